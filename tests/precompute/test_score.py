"""Zero-shot scores: the stated rule, in the order of the cosines, kept batch by batch, never of a changed image."""

import dataclasses

import numpy as np
import pytest
from catalog_world import write_prompts

from precompute.encoders.clip import load_clip
from precompute.encoders.folder import find_encoder
from precompute.generate import main as generate
from precompute.score import main, score, to_scores
from tipai_jax.errors import UserError
from tipai_jax.store.catalog import open_catalog


def entries(folder):
    with open_catalog(folder) as catalog:
        scorer = catalog.find_scorer("zero_shot")
        return scorer, catalog.images(), catalog.scores(scorer)


def test_the_rule_by_hand():
    assert to_scores(np.array([0.15, 0.21, 0.33]), logit_scale=100.0) == pytest.approx(
        [0.5, 1 / (1 + np.exp(-1.0)), 1 / (1 + np.exp(-3.0))]
    )
    assert to_scores(np.array([0.5]), logit_scale=30.0) == pytest.approx([0.5])
    cosines = np.linspace(-1, 1, 2001)
    for scale in (10.0, 30.0, 100.0):
        scores = to_scores(cosines, logit_scale=scale)
        assert (np.diff(scores) > 0).all() and scores[0] > 0 and scores[-1] < 1


def test_scores_are_those_of_the_cosines_of_image_and_patches(scored):
    scorer, images, scores = entries(scored)
    assert len(scores) == 16 and scorer.model.startswith("tiny, tiles patches") and "s * cosine - 37" in scorer.rule
    encoder = load_clip(find_encoder("tiny"), batch_size=16)
    assert scorer.digest == encoder.fingerprint.digest
    image = images[5]
    embedded = encoder.encode_images([encoder.preparation.prepare((scored / image.path).read_bytes())])
    text = encoder.encode_text([image.prompt]).text[0].astype(np.float64)
    scale = encoder.fingerprint.logit_scale
    cosine, cosines = embedded.image[0].astype(np.float64) @ text, embedded.patches[0].astype(np.float64) @ text
    assert scores[image.image_id].global_score == pytest.approx(1 / (1 + np.exp(-(scale * cosine - 37) / 6)), abs=2e-3)
    assert np.array(scores[image.image_id].patch_scores) == pytest.approx(
        1 / (1 + np.exp(-(scale * cosines - 37) / 6)), abs=2e-3
    )
    assert (
        scores[image.image_id].raw == pytest.approx(cosine, abs=2e-3) and len(scores[image.image_id].patch_scores) == 49
    )


def test_images_that_keep_their_prompt_score_higher(scored):
    _, images, scores = entries(scored)
    values = {
        state: [scores[image.image_id].global_score for image in images if image.broken is state]
        for state in (True, False)
    }
    assert np.mean(values[False]) > np.mean(values[True]) + 0.1


def test_what_is_scored_is_not_scored_again(catalog_copy, capsys, monkeypatch):
    before = entries(catalog_copy)
    monkeypatch.setattr("precompute.score._load", lambda *_, **__: pytest.fail("the encoder was loaded"))
    assert main(["--data", str(catalog_copy), "--device", "cpu"]) == 0
    assert "scored already, 16 images by tiny" in capsys.readouterr().out and entries(catalog_copy) == before


def test_auto_keeps_to_what_the_first_call_computed_in(catalog_copy, capsys, monkeypatch):
    monkeypatch.setattr("precompute.score.choose_dtype", lambda *_: pytest.fail("measured again"))
    assert main(["--data", str(catalog_copy), "--device", "cpu", "--dtype", "auto"]) == 0
    assert "scored already, 16 images by tiny" in capsys.readouterr().out


def test_an_interrupted_run_keeps_its_batches_and_goes_on(catalog_copy, capsys, monkeypatch, clip):
    """The random encoder of the tests scores beside the small one; it is stopped after its second batch of four."""
    from tipai_jax.store.catalog import Catalog

    command = ["--data", str(catalog_copy), "--encoder", str(clip), "--device", "cpu", "--batch-size", "4"]
    put, calls = Catalog.put_scores, []

    def stopped(self, scorer, scores):
        if len(calls) == 2:
            raise KeyboardInterrupt
        calls.append(scorer)
        put(self, scorer, scores)

    monkeypatch.setattr(Catalog, "put_scores", stopped)
    with pytest.raises(KeyboardInterrupt):
        main(command)
    monkeypatch.setattr(Catalog, "put_scores", put)
    with open_catalog(catalog_copy) as catalog:
        half = catalog.scores(calls[0])
        assert len(half) == 8 and len(catalog.scorers()) == 2
    assert main(command) == 0
    assert "resuming: 8 images are scored, 8 to do" in capsys.readouterr().out
    with open_catalog(catalog_copy) as catalog:
        whole = catalog.scores(calls[0])
        assert len(whole) == 16 and {name: whole[name] for name in half} == half
        with pytest.raises(UserError, match="2 scorers of that name have judged here; say which: zero_shot@"):
            catalog.find_scorer("zero_shot")


def test_a_changed_image_is_refused_and_an_image_made_anew_is_scored_anew(catalog_copy, tmp_path, capsys):
    path = catalog_copy / "images/c1_0.png"
    before = path.read_bytes()
    with open_catalog(catalog_copy) as catalog:
        found = next(image for image in catalog.images() if image.image_id == "c1_0")
        catalog.put_image(dataclasses.replace(found, sha256="0" * 64))
    for content, line in ((before, "has changed since it was made"), (None, "No such file or directory")):
        path.unlink() if content is None else path.write_bytes(content)
        with pytest.raises(UserError, match=rf"c1_0\.png: {line}; run the same generate\.py command again"):
            score(catalog_copy, device="cpu")
    generate(["--prompts", str(write_prompts(tmp_path / "prompts.json")), "--out", str(catalog_copy)])
    assert path.read_bytes() == before
    capsys.readouterr()
    score(catalog_copy, device="cpu")
    assert "resuming: 15 images are scored, 1 to do" in capsys.readouterr().out


def test_nothing_to_score_is_said(tmp_path):
    with pytest.raises(
        UserError, match=r"catalog\.db: no catalogue here; make images first: python precompute/generate\.py --out"
    ):
        main(["--data", str(tmp_path)])
    with open_catalog(tmp_path / "empty", create=True):
        pass
    with pytest.raises(UserError, match="holds no image; generate some first"):
        main(["--data", str(tmp_path / "empty")])
    assert not (tmp_path / "catalog.db").exists()
