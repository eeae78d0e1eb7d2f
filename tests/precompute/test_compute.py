"""What a model computes with: defaults by device, and what is not there is refused."""

import pytest

from precompute.compute import best_device, check_device, choose_dtype
from tipai_jax.errors import UserError


def test_defaults_by_device():
    assert choose_dtype("auto", "cuda", parts=2) == choose_dtype(None, "cuda") == "float16"
    assert choose_dtype(None, "cpu", parts=2) == "float32" and choose_dtype("bfloat16", "cpu", parts=2) == "bfloat16"
    with pytest.raises(UserError, match="every worker would measure for itself"):
        choose_dtype("auto", "cpu", parts=2)


@pytest.mark.parametrize("there", [True, False])
def test_a_gpu_is_taken_where_there_is_one(monkeypatch, there):
    monkeypatch.setattr("torch.cuda.is_available", lambda: there)
    assert best_device() == ("cuda" if there else "cpu")
    check_device("cpu")
    if there:
        check_device("cuda")
    else:
        with pytest.raises(
            UserError, match="device cuda: this machine has none that torch can use; take --device cpu, or wait"
        ):
            check_device("cuda", go_on=", or wait")
