"""What a machine multiplies fastest: measured, with a clear rule for how much faster is worth it."""

import pytest
import torch

from precompute.encoders import dtypes


@pytest.mark.parametrize(
    ("float32", "bfloat16", "taken"), [(1.0, 0.49, "bfloat16"), (1.0, 0.51, "float32"), (1.0, 270.0, "float32")]
)
def test_bfloat16_is_taken_where_it_takes_less_than_half_of_the_time(float32, bfloat16, taken, monkeypatch):
    seconds = {torch.float32: float32, torch.bfloat16: bfloat16}
    monkeypatch.setattr(dtypes, "_seconds", lambda dtype, device: seconds[dtype])
    assert dtypes.fast_dtype(torch.device("cpu")) == taken


def test_every_format_is_measured_on_one_core_and_the_threads_are_given_back(monkeypatch):
    used, plain, before = [], torch.nn.functional.linear, torch.get_num_threads()
    monkeypatch.setattr(
        torch.nn.functional, "linear", lambda *args: (used.append(torch.get_num_threads()), plain(*args))[1]
    )
    assert all(dtypes._seconds(dtype, torch.device("cpu")) > 0 for dtype in (torch.float32, torch.bfloat16))
    assert used == [1] * 100 and torch.get_num_threads() == before
