import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from tipai_jax.checkpoint import Checkpoints
from tipai_jax.errors import UserError
from tipai_jax.train_state import TrainState, init_state

OPTIMIZER = optax.adamw(0.1)


def state(step, value=1.0):
    params = {"head": {"kernel": jnp.full((4, 3), value), "bias": jnp.arange(3.0)}}
    fresh = init_state(params, OPTIMIZER)
    return TrainState(jnp.asarray(step, jnp.int32), fresh.params, fresh.opt_state)


@pytest.fixture
def checkpoints(tmp_path):
    return Checkpoints(tmp_path / "run")


def save(checkpoints, step, score=None, value=1.0):
    checkpoints.save(state(step, value), score=score, record={"config": {"seed": 1}, "log": {"count": step}})


def test_a_state_comes_back_bit_for_bit(checkpoints):
    save(checkpoints, 7, score=0.5, value=1 / 3)
    seal = checkpoints.last()
    assert (seal.step, seal.score, seal.record) == (7, 0.5, {"config": {"seed": 1}, "log": {"count": 7}})
    restored, original = checkpoints.restore(seal, state(0)), state(7, 1 / 3)
    assert jax.tree.structure(restored) == jax.tree.structure(original)
    for here, there in zip(jax.tree.leaves(restored), jax.tree.leaves(original)):
        assert here.dtype == there.dtype
        np.testing.assert_array_equal(here, there)
    params = checkpoints.restore_params(seal, state(0).params, state(0).step.sharding)
    np.testing.assert_array_equal(params["head"]["kernel"], original.params["head"]["kernel"])


def test_best_and_last_are_kept_and_the_rest_goes(checkpoints):
    for step, score in ((1, 0.5), (2, 0.8), (3, 0.8), (4, 0.6), (5, None)):
        save(checkpoints, step, score)
    assert [seal.step for seal in checkpoints.seals()] == [3, 5]  # of equal scores the later
    assert sorted(path.name for path in checkpoints.folder.iterdir()) == [
        "00000003",
        "00000003.json",
        "00000005",
        "00000005.json",
    ]
    assert (checkpoints.best().step, checkpoints.last().step) == (3, 5)


def test_a_stray_folder_or_an_unsealed_step_is_not_the_latest(checkpoints):
    save(checkpoints, 3, 0.5)
    (checkpoints.folder / "00000009").mkdir()
    save(checkpoints, 4, 0.4)
    (checkpoints.folder / "00000004.json").unlink()  # killed before the seal
    assert checkpoints.last().step == 3
    save(checkpoints, 4, 0.6)  # and the step can be written again
    assert checkpoints.restore(checkpoints.last(), state(0)).step == 4


def test_a_score_can_be_added_to_a_state_that_is_there(checkpoints):
    save(checkpoints, 4)
    before = {path: path.stat().st_mtime_ns for path in (checkpoints.folder / "00000004").rglob("*")}
    save(checkpoints, 4, 0.9)
    assert checkpoints.best().score == 0.9
    assert before == {path: path.stat().st_mtime_ns for path in (checkpoints.folder / "00000004").rglob("*")}


def test_any_flipped_bit_is_noticed_and_the_file_named(checkpoints):
    save(checkpoints, 2, 0.4)
    save(checkpoints, 3, 0.5)
    seal = checkpoints.last()
    files = [path for path in (checkpoints.folder / "00000003").rglob("*") if path.is_file() and path.stat().st_size]
    assert len(files) > 5
    draw = np.random.default_rng(0)
    for path in files:
        clean = path.read_bytes()
        broken = bytearray(clean)
        broken[draw.integers(len(clean))] ^= 1 << draw.integers(8)
        path.write_bytes(broken)
        with pytest.raises(
            UserError, match=r"sha256 differs.*move 00000003 and 00000003.json in .* away to "
        ) as caught:
            checkpoints.restore(seal, state(0))
        assert str(path) in str(caught.value)
        path.write_bytes(clean)
    checkpoints.restore(seal, state(0))


def test_a_missing_file_and_a_broken_seal_are_named(checkpoints):
    save(checkpoints, 3)
    path = next(path for path in (checkpoints.folder / "00000003" / "params").rglob("*") if path.is_file())
    path.unlink()
    with pytest.raises(UserError, match="missing from the checkpoint"):
        checkpoints.restore(checkpoints.last(), state(0))
    (checkpoints.folder / "00000003.json").write_text(json.dumps({"step": 3})[:-4])
    with pytest.raises(UserError, match="not the seal of a checkpoint"):
        checkpoints.last()


def test_a_state_that_is_not_finite_is_never_written(checkpoints):
    save(checkpoints, 3)
    with pytest.raises(AssertionError, match="not finite"):
        save(checkpoints, 4, value=float("nan"))
    assert [seal.step for seal in checkpoints.seals()] == [3]
