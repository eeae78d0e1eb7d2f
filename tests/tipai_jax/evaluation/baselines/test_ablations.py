"""The runs of the ablations: how long they are for few and for many pairs."""

import dataclasses

import pytest

from tipai_jax.config.command_line import load_config
from tipai_jax.evaluation.baselines.ablations import ablation_config


@pytest.mark.parametrize("pairs", [300, 5000, 28000])
def test_the_matched_ablation_is_longer_than_its_warm_up_however_few_pairs_there_are(pairs, tmp_path):
    config = load_config("base.py")
    short = ablation_config(config, which="image_only", store=tmp_path, workdir=tmp_path, pairs=pairs)
    assert short.model == dataclasses.replace(config.model, reads="image")
    assert short.optim.warmup_steps < short.data.epochs * (pairs // short.data.batch_size)
    assert (short.data.start_fraction, short.data.full_at_epoch, short.loss.phrase) == (1.0, 0, 0.0)


@pytest.mark.parametrize(("pairs", "epochs"), [(300, 6), (5000, 6), (12800, 2), (28000, 1)])
def test_few_pairs_are_seen_more_often(pairs, epochs, tmp_path):
    """Else heads of a few dozen steps would be at chance whatever shortcut the data have."""
    config = load_config("base.py")
    short = ablation_config(config, which="image_only", store=tmp_path, workdir=tmp_path, pairs=pairs)
    assert short.data.epochs == epochs <= config.data.epochs
