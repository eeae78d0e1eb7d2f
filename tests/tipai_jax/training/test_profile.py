"""`--profile FIRST:LAST`: a trace of whole dispatches that TensorBoard and Perfetto find, and nothing without it."""

import dataclasses
import gzip
import json

import pytest
from loop_world import log_lines, small_config, small_store

from tipai_jax.errors import UserError
from tipai_jax.training.loop import fit


@pytest.mark.slow
def test_a_window_is_traced_and_changes_nothing(tmp_path, capsys):
    small_store()
    traced = small_config(tmp_path / "traced", data={"epochs": 2}, log={"progress": True})
    traced = dataclasses.replace(traced, profile="3:4")
    plain = small_config(tmp_path / "plain", data={"epochs": 2})
    assert (fit(traced).status, fit(plain).status) == ("finished", "finished")
    assert capsys.readouterr().err.count("for ui.perfetto.dev") == 1
    assert log_lines(tmp_path / "traced") == log_lines(tmp_path / "plain")
    assert not (tmp_path / "plain" / "profile").exists()
    (perfetto,) = (tmp_path / "traced" / "profile").rglob("perfetto_trace.json.gz")
    names = {event.get("name", "") for event in json.loads(gzip.decompress(perfetto.read_bytes()))["traceEvents"]}
    assert any("train" in name for name in names), sorted(names)[:50]
    assert list((tmp_path / "traced" / "profile").rglob("*.xplane.pb"))


@pytest.mark.slow
def test_a_window_that_the_end_of_the_run_cuts_short_is_written(tmp_path):
    config = dataclasses.replace(small_config(tmp_path / "run", data={"epochs": 2}), profile="9:1000")
    assert fit(config).status == "finished" and list((tmp_path / "run" / "profile").rglob("*.xplane.pb"))


@pytest.mark.parametrize("window", ["10", "20:10", "a:b", "-1:3", ""])
def test_what_is_no_window_is_refused(window, tmp_path):
    with pytest.raises(UserError, match=r"profile is .*; allowed is none or FIRST:LAST, such as 10:20"):
        dataclasses.replace(small_config(tmp_path), profile=window)
