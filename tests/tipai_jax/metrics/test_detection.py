"""Average precision against pycocotools, and by hand."""

import contextlib
import io

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from tipai_jax.metrics.detection import average_precision, average_precision_by_group, box_iou, match_boxes


def scenes(images=60, seed=0, blank=0.4, decimals=2):
    """True boxes (none in some images) and found ones: some near the truth, some false alarms, scores with ties."""
    rng = np.random.default_rng(seed)

    def boxes(n):
        corner = rng.random((n, 2)) * 0.7
        return np.concatenate([corner, corner + 0.05 + 0.25 * rng.random((n, 2))], axis=1)

    truth, found, score = [], [], []
    for _ in range(images):
        true = boxes(0 if rng.random() < blank else rng.integers(1, 4))
        near = np.repeat(true, rng.integers(0, 3, size=len(true)), axis=0)
        near = near + 0.04 * rng.normal(size=near.shape)
        mine = np.concatenate([near, boxes(rng.integers(0, 3))])
        truth.append(true)
        found.append(mine)
        score.append(np.round(rng.random(len(mine)) + 0.3 * (np.arange(len(mine)) < len(near)), decimals))
    offsets = lambda parts: np.concatenate([[0], np.cumsum([len(each) for each in parts])])
    joined = np.concatenate(found), np.concatenate(score), offsets(found), np.concatenate(truth), offsets(truth)
    return (*joined, (found, score, truth))


def of_pycocotools(found, score, truth, overlap):
    """AP of one class of COCOeval at one overlap."""
    wide = lambda box: [float(box[0]), float(box[1]), float(box[2] - box[0]), float(box[3] - box[1])]
    area = lambda box: float((box[2] - box[0]) * (box[3] - box[1]))
    truths = [
        {"id": i + 1, "image_id": image, "category_id": 1, "bbox": wide(box), "area": area(box), "iscrowd": 0}
        for i, (image, box) in enumerate((image, box) for image, boxes in enumerate(truth) for box in boxes)
    ]
    detections = [
        {"image_id": image, "category_id": 1, "bbox": wide(box), "score": float(one)}
        for image, (boxes, scores) in enumerate(zip(found, score))
        for box, one in zip(boxes, scores)
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {
            "info": {},
            "images": [{"id": image} for image in range(len(truth))],
            "annotations": truths,
            "categories": [{"id": 1}],
        }
        coco.createIndex()
        judge = COCOeval(coco, coco.loadRes(detections), "bbox")
        judge.params.iouThrs = np.array([overlap])
        judge.params.areaRng, judge.params.areaRngLbl = [[-1.0, 1e10]], ["all"]
        judge.evaluate()
        judge.accumulate()
    return float(judge.eval["precision"][0, :, 0, 0, -1].mean())


@pytest.mark.parametrize("overlap", [0.25, 0.5])
@pytest.mark.parametrize(("seed", "decimals"), [(0, 2), (1, 1), (2, 6)])
def test_it_is_pycocotools(overlap, seed, decimals):
    found, score, found_offsets, truth, truth_offsets, lists = scenes(seed=seed, decimals=decimals)
    right = match_boxes(found, score, found_offsets, truth, truth_offsets, overlap=overlap)
    value = average_precision(score, right, len(truth))
    assert value == pytest.approx(of_pycocotools(*lists, overlap), abs=1e-9)
    assert 0.05 < value < 0.9


def test_matching_by_hand():
    """Two boxes on one truth: the second is a false alarm; a box takes the free truth that it covers best."""
    truth = np.array([[0, 0, 0.4, 0.4], [0.1, 0, 0.5, 0.4]])
    found = np.array([[0, 0, 0.4, 0.4], [0, 0, 0.4, 0.38], [0.7, 0.7, 0.9, 0.9]])
    np.testing.assert_allclose(box_iou(found, truth)[0], [1.0, 0.12 / 0.20])
    offsets = np.array([0, 3]), truth, np.array([0, 2])
    assert match_boxes(found, np.array([0.9, 0.8, 0.7]), *offsets, overlap=0.5).tolist() == [True, True, False]
    assert match_boxes(found, np.array([0.9, 0.8, 0.7]), *offsets, overlap=0.6).tolist() == [True, False, False]
    assert match_boxes(found, np.array([0.7, 0.8, 0.9]), *offsets, overlap=0.9).tolist() == [False, True, False]
    assert not box_iou(np.zeros((1, 4)), np.zeros((1, 4))).any()


def test_precision_by_hand():
    """Right, wrong, right of three truths: precision 1 up to recall 1/3, 2/3 up to 2/3, then 0."""
    value = average_precision(np.array([0.9, 0.5, 0.1]), np.array([True, False, True]), 3)
    assert value == pytest.approx((34 * 1.0 + 33 * 2 / 3) / 101)
    assert average_precision(np.zeros(0), np.zeros(0, bool), 3) == 0.0
    assert np.isnan(average_precision(np.ones(2), np.zeros(2, bool), 0))


def test_a_false_alarm_in_an_image_without_truth_counts():
    found, score, found_offsets, truth, truth_offsets, _ = scenes(blank=0.0)
    right = match_boxes(found, score, found_offsets, truth, truth_offsets, overlap=0.25)
    alone = average_precision(score, right, len(truth))
    alarms = np.full(50, 2.0)
    assert average_precision(np.append(score, alarms), np.append(right, np.zeros(50, bool)), len(truth)) < alone - 0.1


def test_weights_are_copies_and_groups_are_the_unit():
    found, score, found_offsets, truth, truth_offsets, _ = scenes(decimals=6)
    right = match_boxes(found, score, found_offsets, truth, truth_offsets, overlap=0.25)
    twice = average_precision(np.repeat(score, 2), np.repeat(right, 2), 2 * len(truth))
    assert average_precision(score, right, 2 * len(truth), np.full(len(score), 2)) == pytest.approx(twice)
    truths, groups = np.diff(truth_offsets), np.arange(60)
    value = average_precision(score, right, len(truth))
    lo, hi = average_precision_by_group(score, right, found_offsets, truths, groups)
    assert lo < value < hi and hi - lo < 0.5
    wide = average_precision_by_group(score, right, found_offsets, truths, groups // 6)
    assert wide.hi - wide.lo > hi - lo
    assert np.isnan(average_precision_by_group(score, right, found_offsets, 0 * truths, groups)).all()
    nothing = np.zeros(61, np.int64)
    lo, hi = average_precision_by_group(score[:0], right[:0], nothing, truths, groups)
    assert lo == 0.0 and hi == pytest.approx(1 - 0.025 ** (1 / 60))


def test_average_precision_is_covered():
    def drawn(count, seed):
        found, score, found_offsets, truth, truth_offsets, _ = scenes(images=count, seed=seed, decimals=9)
        right = match_boxes(found, score, found_offsets, truth, truth_offsets, overlap=0.25)
        return score, right, found_offsets, np.diff(truth_offsets)

    whole, inside = 0.371, 0  # of 40,000 images
    score, right, _, truths = drawn(4000, 10_000)
    assert average_precision(score, right, int(truths.sum())) == pytest.approx(whole, abs=0.02)
    for seed in range(200):
        lo, hi = average_precision_by_group(*drawn(60, seed), np.arange(60), n=100)
        inside += lo <= whole <= hi
    assert inside / 200 >= 0.93
