"""Pairs: the best against the worst by a scorer, counted against the truth, and a file that embed.py reads."""

import json

import numpy as np
import pytest
from PIL import Image

from precompute.pairs import Accuracy, choose_pairs, count_correct, main, pair_row
from precompute.readers import read_source
from tipai_jax.errors import UserError
from tipai_jax.store import open_store
from tipai_jax.store.catalog import CatalogImage, CatalogScore, Scorer, open_catalog

ANYONE = Scorer(name="anyone", digest="12345678ab", model="m", rule="r")
BOX = {"bbox": [1, 2, 3, 4], "category": "counting"}


def image(name: str, broken: bool | None) -> CatalogImage:
    prompt, seed = name.split("_")
    wrong = {"broken_category": "counting", "kind": "wrong count", "boxes": (BOX,)} if broken else {}
    return CatalogImage(
        image_id=name,
        sha256=f"{int.from_bytes(name.encode()):064x}",
        prompt_id=prompt,
        prompt=f"words of {prompt}",
        category="counting",
        seed=int(seed),
        path=f"images/{name}.png",
        generator="g",
        settings="{}",
        drawn=broken is not None,
        broken=broken,
        **wrong,
    )


def scores_of(values: dict[str, float], raw: dict[str, float] | None = None) -> dict[str, CatalogScore]:
    return {
        name: CatalogScore(sha256="", prompt="", global_score=value, raw=(raw or values)[name], patch_scores=(value,))
        for name, value in values.items()
    }


def test_best_against_worst_by_hand():
    values = {"a_0": 0.4, "a_1": 0.9, "a_2": 0.4, "a_3": 0.9, "b_0": 0.5, "c_0": 0.2, "c_1": 0.2}
    pairs = choose_pairs([image(name, None) for name in values], scores_of(values), ANYONE)
    assert [(pair.chosen_img, pair.rejected_img, pair.c_score, pair.r_score) for pair in pairs] == [
        ("a_1", "a_2", 0.9, 0.4),
        ("c_0", "c_1", 0.2, 0.2),
    ]
    assert pairs[0].pair_id == "a-anyone-12345678"


def test_scores_that_a_calibration_made_equal_keep_their_order():
    raw = {"a_0": -1.0, "a_1": -3.0, "a_2": 2.0, "a_3": 2.5}
    (pair,) = choose_pairs(
        [image(name, None) for name in raw], scores_of({"a_0": 0.1, "a_1": 0.1, "a_2": 0.9, "a_3": 0.9}, raw), ANYONE
    )
    assert (pair.chosen_img, pair.rejected_img) == ("a_3", "a_1")


def test_the_count_against_the_truth_by_hand():
    truth = {"a_0": False, "a_1": True, "b_0": True, "b_1": False, "c_0": False, "c_1": False, "d_0": True, "d_1": True}
    values = {"a_0": 0.9, "a_1": 0.1, "b_0": 0.9, "b_1": 0.1, "c_0": 0.9, "c_1": 0.1, "d_0": 0.9, "d_1": 0.1}
    images = [image(name, broken) for name, broken in truth.items()]
    pairs = choose_pairs(images, scores_of(values), ANYONE)
    scores = scores_of(values | {"a_0": 0.1})  # a tie of its two images
    assert count_correct(pairs, images, scores) == Accuracy(
        worst=(2, 4), best=(2, 4), worst_mixed=(1, 2), best_mixed=(1, 2), order=(0.5, 2)
    )
    assert count_correct(pairs, [image(name, None) for name in truth], scores) is None


def test_a_line_holds_no_more_than_is_known_and_fits():
    def line(chosen, rejected):
        one, other = image("a_0", chosen), image("a_1", rejected)
        return pair_row(choose_pairs([one, other], scores_of({"a_0": 0.9, "a_1": 0.1}), ANYONE)[0], one, other)

    assert (
        line(False, True)["unfaithful_patches"] == [BOX]
        and line(False, True)["category"] == "counting"
        and "control" not in line(False, True)
    )
    assert (
        line(False, False)["control"] is True
        and line(False, False)["unfaithful_patches"] == []
        and "category" not in line(False, False)
    )
    assert (
        line(True, True) is None and line(True, False) is None
    )  # a preference that is known to be wrong is none to learn from
    assert not {"unfaithful_patches", "category", "control"} & line(None, None).keys()


def test_pairs_sheets_file_and_truth(catalog_copy, capsys):
    listed = catalog_copy / "pairs.jsonl"
    assert main(["--data", str(catalog_copy), "--jsonl", str(listed)]) == 0
    printed = capsys.readouterr().out
    with open_catalog(catalog_copy) as catalog:
        scorer = catalog.find_scorer("zero_shot")
        pairs, scores, images = (
            catalog.pairs(scorer),
            catalog.scores(scorer),
            {image.image_id: image for image in catalog.images()},
        )
    assert [pair.prompt_id for pair in pairs] == ["c1", "c2", "c3", "c4"]
    for pair in pairs:
        group = [scores[f"{pair.prompt_id}_{seed}"].global_score for seed in range(4)]
        assert (pair.c_score, pair.r_score) == (max(group), min(group)) and scores[pair.chosen_img].global_score == max(
            group
        )
    accuracy = count_correct(pairs, list(images.values()), scores)
    assert (
        f"worst truly breaks its prompt: {accuracy.worst[0]} of 4; the best truly keeps it: {accuracy.best[0]} of 4"
        in printed
    )
    assert f"worst {accuracy.worst_mixed[0]} of {accuracy.worst_mixed[1]}" in printed
    assert (
        f"an image that keeps its prompt scores above one that breaks it: {accuracy.order[0] / accuracy.order[1]:.3f} "
        f"of {accuracy.order[1]} combinations" in printed
    )
    with Image.open(catalog_copy / "pairs/c1_comparison.png") as sheet:
        assert (
            sheet.width > 1200
            and "drawn, not generated" in sheet.info["generator"]
            and sheet.info["prompt"] == "a red car on the beach"
        )
        assert len(np.unique(np.asarray(sheet).reshape(-1, 3), axis=0)) > 500
    source = read_source(str(catalog_copy))
    assert source.small_world_only and not source.rejects
    kept = [pair for pair in pairs if not images[pair.chosen_img].broken]
    assert len(kept) == accuracy.best[0] > 0 and [record.prompt for record in source.records] == [
        pair.prompt for pair in kept
    ]
    assert [(record.chosen, record.rejected) for record in source.records] == [
        (images[p.chosen_img].path, images[p.rejected_img].path) for p in kept
    ]
    before = listed.read_bytes()
    main(["--data", str(catalog_copy), "--jsonl", str(listed)])
    assert "4 comparison sheets, 0 of them drawn now" in capsys.readouterr().out and listed.read_bytes() == before


def test_the_file_is_really_embedded(catalog_copy, tmp_path, capsys):
    from precompute.embed import main as embed

    main(["--data", str(catalog_copy), "--jsonl", str(catalog_copy / "pairs.jsonl")])
    assert (
        embed(
            [
                "--data",
                str(catalog_copy),
                "--out",
                str(tmp_path / "store"),
                "--device",
                "cpu",
                "--batch-size",
                "4",
                "--threads",
                "1",
            ]
        )
        == 0
    )
    store = open_store(tmp_path / "store")
    lines = [json.loads(text) for text in (catalog_copy / "pairs.jsonl").read_text().splitlines()]
    assert (
        store.manifest.small_world_only
        and store.manifest.encoder.name == "tiny"
        and store.manifest.counts["rejects"] == 0
    )
    assert list(store.pairs.pair_id) == [line["pair_id"] for line in lines]
    assert store.pairs.margin == pytest.approx(
        [line["chosen_score"] - line["rejected_score"] for line in lines], abs=1e-6
    )
    assert [len(store.pairs.boxes[i]) for i in range(len(lines))] == [
        len(line.get("unfaithful_patches", [])) for line in lines
    ]
    assert sum(len(line.get("unfaithful_patches", [])) for line in lines) > 0


def test_refusals_are_one_line(catalog_copy, tmp_path):
    with pytest.raises(
        UserError,
        match=r"--jsonl .*elsewhere\.jsonl: paths of images start from the folder of this file; write it to "
        r".*poc/elsewhere\.jsonl",
    ):
        main(["--data", str(catalog_copy), "--jsonl", str(tmp_path / "elsewhere.jsonl")])
    with open_catalog(catalog_copy) as catalog:
        catalog.put_scores(ANYONE, [next(iter(catalog.scores(catalog.find_scorer("zero_shot")).values()))])
    with pytest.raises(UserError, match="no prompt has two scored images; generate more"):
        main(["--data", str(catalog_copy), "--scorer", "anyone"])
