"""Heatmaps: low patch scores are red by their rank in the catalogue, and nothing is drawn twice."""

import dataclasses
import hashlib

import numpy as np
import pytest
from PIL import Image

from precompute.heatmaps import Scale, folder_of, main, open_picture, scale_of
from tipai_jax.errors import UserError
from tipai_jax.render import shown_risk
from tipai_jax.store.catalog import CatalogImage, CatalogScore, Scorer, open_catalog


def score(values, **changes):
    return CatalogScore(
        **(
            {
                "sha256": "0" * 64,
                "prompt": "p",
                "global_score": 0.5,
                "raw": 0.0,
                "patch_scores": tuple(map(float, values)),
            }
            | changes
        )
    )


def test_the_scale_is_ranks_among_all_patches():
    scores = {f"i{i}": score(np.arange(49) + 49 * i) for i in range(4)}
    scale = scale_of(Scorer(name="zero_shot", digest="ab", model="m", rule="r"), scores)
    every = np.arange(196)
    assert (scale.red, scale.yellow, scale.green) == pytest.approx(tuple(np.quantile(every, [0.02, 0.15, 0.5])))
    risk = np.stack([scale.risk(each) for each in scores.values()]).ravel()
    assert (np.diff(risk) <= 0).all() and (risk[:3] == 1).all() and (risk[100:] == 0).all()
    assert (risk > 0.5).sum() == pytest.approx(0.15 * 196, abs=1)


def test_an_image_is_drawn_on_as_the_encoder_takes_it(tmp_path):
    path = tmp_path / "i.png"
    Image.new("RGBA", (8, 4), (0, 0, 0, 0)).save(path)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    listed = CatalogImage(
        image_id="i",
        sha256=sha256,
        prompt_id="p",
        prompt="p",
        category="",
        seed=0,
        path="i.png",
        generator="g",
        settings="{}",
        drawn=False,
    )
    image = open_picture(tmp_path, listed)
    assert image.mode == "RGB" and image.getpixel((0, 0)) == (255, 255, 255)


def test_row_by_row_from_the_top_left():
    values = np.ones(49)
    values[8] = 0.0  # second row, second column
    risk = Scale(red=0.1, yellow=0.3, green=0.6).risk(score(values))
    assert risk.shape == (7, 7) and risk[1, 1] == 1.0 and risk.sum() == 1.0


def test_a_scorer_that_knows_when_a_patch_is_broken_is_drawn_by_that():
    auditor = Scorer(name="auditor", digest="ab", model="m", rule="r", stops=(0.4, 0.7, 1.0))
    scale = scale_of(auditor, {"i": score(np.arange(49) / 48)})
    risk = scale.risk(score([1.0, 0.7, 0.4, 0.0]))
    np.testing.assert_allclose(risk.ravel(), shown_risk(np.array([0.0, 0.3, 0.6, 1.0]), 0.3), atol=1e-6)
    assert not scale.ranks and "counts as broken" in scale.words and "risk" in scale.ends[0]


def test_equal_scores_are_green():
    for value in (0.4, 0.0, 1.0):
        assert (Scale(value, value, value).risk(score(np.full(49, value))) == 0).all()


def test_every_image_is_drawn_under_its_scores_and_none_twice(catalog_copy, capsys):
    assert main(["--data", str(catalog_copy)]) == 0
    printed = capsys.readouterr().out
    assert (
        "16 heatmaps by zero_shot (tiny, tiles patches, float32), 16 of them drawn now" in printed
        and "the lowest 2% of all patch scores" in printed
    )
    with open_catalog(catalog_copy) as catalog:
        scores = catalog.scores(catalog.find_scorer("zero_shot"))
    values = {(name, k): value for name, entry in scores.items() for k, value in enumerate(entry.patch_scores)}
    worst, best = min(values, key=values.get), max(values, key=values.get)
    for (name, k), reddish in ((worst, True), (best, False)):
        with Image.open(catalog_copy / f"heatmaps/{name}_heatmap.png") as image:
            assert (
                image.size == (224, 224)
                and "drawn, not generated" in image.info["generator"]
                and image.info["scorer"].startswith("zero_shot@")
            )
            place = (32 * (k % 7) + 16, 32 * (k // 7) + 16)
            red, green, _ = drawn = image.getpixel(place)
        with Image.open(catalog_copy / f"images/{name}.png") as plain:
            unchanged = drawn == plain.convert("RGB").getpixel(place)
        assert unchanged != reddish and (red > green + 30 or not reddish)  # a red thing may be the best patch
    (catalog_copy / "heatmaps/c1_0_heatmap.png").unlink()
    half = catalog_copy / "heatmaps/c1_1_heatmap.png"
    half.write_bytes(half.read_bytes()[:-900])
    main(["--data", str(catalog_copy)])
    assert "2 of them drawn now" in capsys.readouterr().out
    main(["--data", str(catalog_copy)])
    assert "0 of them drawn now" in capsys.readouterr().out


def test_another_scorers_heatmaps_lie_beside_and_change_with_its_scores(catalog_copy, capsys):
    auditor = Scorer(name="auditor", digest="ab" * 32, model="heads", rule="calibrated")
    with open_catalog(catalog_copy) as catalog:
        zero_shot = catalog.scores(catalog.find_scorer("zero_shot"))
        catalog.put_scores(auditor, list(zero_shot.values())[:3])
    assert main(["--data", str(catalog_copy), "--scorer", "auditor"]) == 0
    printed = capsys.readouterr().out
    assert (
        "13 of 16 images are not scored and left out" in printed
        and "3 heatmaps by auditor (heads), 3 of them drawn now" in printed
    )
    assert len(list((catalog_copy / "heatmaps/auditor@abababab").iterdir())) == 3 and not list(
        (catalog_copy / "heatmaps").glob("*.png")
    )
    with open_catalog(catalog_copy) as catalog:
        first = next(iter(zero_shot.values()))
        catalog.put_scores(auditor, [dataclasses.replace(first, patch_scores=first.patch_scores[::-1])])
    main(["--data", str(catalog_copy), "--scorer", "auditor"])
    assert "1 of them drawn now" in capsys.readouterr().out


def test_the_plain_folder_is_the_zero_shot_scorers_whoever_judged_first(tmp_path):
    auditor, zero_shot, other = (
        Scorer(name=name, digest=letter * 64, model="m", rule="r")
        for name, letter in (("auditor", "a"), ("zero_shot", "b"), ("zero_shot", "c"))
    )
    with open_catalog(tmp_path, create=True) as catalog:
        for scorer in (auditor, zero_shot, other):
            catalog.put_pairs(scorer, [])
        folders = [folder_of(catalog, "pairs", scorer) for scorer in (auditor, zero_shot, other)]
    assert folders == [tmp_path / "pairs/auditor@aaaaaaaa", tmp_path / "pairs", tmp_path / "pairs/zero_shot@cccccccc"]


def test_refusals_are_one_line(catalog_copy, tmp_path):
    with pytest.raises(UserError, match=r"--scorer auditor: has scored nothing in .*there are zero_shot@"):
        main(["--data", str(catalog_copy), "--scorer", "auditor"])
    with pytest.raises(UserError, match="no catalogue here"):
        main(["--data", str(tmp_path / "nowhere")])
    (catalog_copy / "images/c4_2.png").write_bytes(b"x")
    with pytest.raises(
        UserError, match=r"c4_2\.png: has changed since it was made; run the same generate\.py command again"
    ):
        main(["--data", str(catalog_copy)])
