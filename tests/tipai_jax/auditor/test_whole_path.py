"""One image on both its ways to a prediction: through the public API, and through embed.py, the store and a run.

The run is trained on a store that a CLIP of random weights in a local folder embedded, so this is also where an auditor
has to find its encoder again.
"""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from auditor_world import CALIBRATION
from random_clip import write_clip, write_pairs

from precompute.embed import main as embed
from tipai_jax.auditor.api import Auditor
from tipai_jax.auditor.bundle import find_bundle
from tipai_jax.config import AuditorConfig, DataConfig, InputFeatures, LogConfig, ModelConfig, OptimConfig
from tipai_jax.errors import UserError
from tipai_jax.evaluation.calibration import save_calibration
from tipai_jax.evaluation.calibrators import Platt
from tipai_jax.evaluation.inference import load_run, predict
from tipai_jax.evaluation.record import made_for
from tipai_jax.store import open_store
from tipai_jax.tasks.auditor import pair_columns
from tipai_jax.training.loop import fit

pytestmark = pytest.mark.slow
IDENTITY = replace(CALIBRATION, patch=Platt())
"""Its patch score is the sigmoid of the patch logit."""


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """`encoders/my_clip`, `data`, `store` and `run`."""
    import torch

    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("world")
    encoder, data = write_clip(folder / "encoders" / "my_clip"), write_pairs(folder / "data", size=84)
    options = ("--device", "cpu", "--batch-size", "1", "--threads", "1")
    assert embed(["--data", str(data), "--encoder", str(encoder), "--out", str(folder / "store"), *options]) == 0
    everything = InputFeatures(products=True, scale_inputs=True)
    inputs = {name: everything for name in ("global_inputs", "patch_inputs", "reason_inputs")}
    config = AuditorConfig(
        store=str(folder / "store"),
        workdir=str(folder / "run"),
        model=ModelConfig(hidden=16, **inputs),
        optim=OptimConfig(peak_lr=1e-2, warmup_steps=1),
        data=DataConfig(batch_size=4, epochs=3, start_fraction=1.0, full_at_epoch=0),
        log=LogConfig(progress=False),
    )
    fit(config)
    calibration = replace(IDENTITY, record={"made_for": made_for(load_run(folder / "run"))})
    save_calibration(calibration, folder / "run")
    return folder


def test_the_api_predicts_what_the_store_and_the_run_predict(world):
    """Logit, patch logits and risk of both images of every pair."""
    store, run, auditor = open_store(world / "store"), load_run(world / "run"), Auditor.from_pretrained(world / "run")
    pairs = store.pairs
    stored = predict(run.task, run.model, pair_columns(store, pairs))
    assert len(pairs) == 12 and np.ptp(stored["global_logit"]) > 1e-3 and np.ptp(stored["patch_logit"]) > 1e-3
    for row in range(len(pairs)):
        prompt = str(store.prompts.prompt[pairs.prompt[row]])
        for side, image in enumerate((int(pairs.chosen[row]), int(pairs.rejected[row]))):
            found = auditor.explain(store.image_path(image), prompt)
            again = auditor.embed_images([store.image_path(image)])
            np.testing.assert_array_equal(again.image[0], store.image.take(np.array([image]))[0])
            np.testing.assert_array_equal(again.patches[0], store.patches.take(np.array([image]))[0])
            assert found.logit == pytest.approx(float(stored["global_logit"][row, side]), abs=1e-5)
            patch_logit = np.log(found.patch_score / (1 - found.patch_score)).reshape(-1)
            np.testing.assert_allclose(patch_logit, stored["patch_logit"][row, side], atol=1e-5)
            np.testing.assert_allclose(found.risk.reshape(-1), stored["risk"][row, side], atol=1e-6)


def test_the_encoder_of_a_run_is_found_where_its_store_was_embedded_from(world, tmp_path):
    assert json.loads((world / "store/source.json").read_text()) == {
        "data": "../data",
        "encoder": "../encoders/my_clip",
    }
    bundle = find_bundle(str(world / "run"))
    assert bundle.encoder_folder == (world / "encoders/my_clip").resolve() and bundle.encoder.name == "my_clip"
    Auditor(bundle).save_pretrained(tmp_path / "saved")
    for file in (*(tmp_path / "saved").iterdir(), world / "store/manifest.json"):
        assert str(world).encode() not in file.read_bytes(), "no path of a machine in what is handed on"


def test_where_the_encoder_is_gone_one_line_asks_for_it(world, tmp_path):
    """From a saved auditor, and from a run whose encoder was moved; naming the folder helps in both cases."""
    image, prompt = world / "data/images/0001a.png", "a red cat"
    here = Auditor.from_pretrained(world / "run").explain(image, prompt)
    Auditor.from_pretrained(world / "run").save_pretrained(tmp_path / "saved")
    asked = (
        r"encoder my_clip: no such folder.*; the heads were trained on 'my_clip'.*--encoder, in Python .*encoder=FOLDER"
    )
    with pytest.raises(UserError, match=asked):
        Auditor.from_pretrained(tmp_path / "saved").explain(image, prompt)
    moved = shutil.move(world / "encoders" / "my_clip", tmp_path / "moved")
    try:
        with pytest.raises(UserError, match=asked):
            Auditor.from_pretrained(world / "run").explain(image, prompt)
        named = Auditor.from_pretrained(world / "run", encoder=moved).explain(image, prompt)
    finally:
        shutil.move(moved, world / "encoders" / "my_clip")
    assert named.logit == here.logit
