import json

import numpy as np
import pytest

from tipai_jax.config import LogConfig
from tipai_jax.training.metric_log import MetricLog


def open_log(folder, *, step=0, window=None, **config):
    return MetricLog(
        folder,
        config=LogConfig(**{"every_steps": 4, "progress": False, **config}),
        step=step,
        total_steps=10,
        steps_per_epoch=5,
        unit="faces",
        window=window,
    )


def feed(log, first, count):
    values = np.arange(first, first + count, dtype=np.float32)
    norms = {"grad_norm": float(first + count)}
    log.steps(first, {"loss": values, "pair": 2 * values}, norms=norms, lr=values / 10, examples=np.full(count, 32))


def lines(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_a_line_is_the_mean_of_the_steps_since_the_one_before(tmp_path):
    log = open_log(tmp_path)
    for first, count in ((0, 3), (3, 3), (6, 4)):  # chunks do not fall on lines
        feed(log, first, count)
    log.close()
    assert [(line["step"], line["epoch"], line["loss"], line["pair"]) for line in lines(tmp_path)] == [
        (4, 0.8, 1.5, 3.0),
        (8, 1.6, 5.5, 11.0),
        (10, 2.0, 8.5, 17.0),
    ]
    assert [line["lr"] for line in lines(tmp_path)] == pytest.approx([0.3, 0.7, 0.9])
    assert [line["grad_norm"] for line in lines(tmp_path)] == [6, 10, 10]  # of the end of the dispatch
    assert all(line["faces_per_s"] > 0 for line in lines(tmp_path))


def test_a_resumed_log_drops_what_lies_ahead_and_finishes_its_window(tmp_path):
    log = open_log(tmp_path)
    feed(log, 0, 6)
    state = json.loads(json.dumps(log.state()))
    feed(log, 6, 3)
    log.validation(9, {"loss": 1.0})
    log.close()
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"step": 9, "lo')  # torn by a kill
    resumed = open_log(tmp_path, step=6, window=state)
    feed(resumed, 6, 4)
    resumed.close()
    assert [(line["step"], line["loss"]) for line in lines(tmp_path)] == [(4, 1.5), (8, 5.5), (10, 8.5)]


def test_without_a_checkpoint_the_log_begins_afresh(tmp_path):
    for loss in (1.0, 2.0):  # the first attempt is killed after the validation at step 0
        log = open_log(tmp_path)
        log.validation(0, {"loss": loss})
        log.close()
    assert [line["validation"]["loss"] for line in lines(tmp_path)] == [2.0]


def test_a_validation_line_and_what_is_said(tmp_path, capsys):
    log = open_log(tmp_path, progress=True)
    log.validation(5, {"loss": 0.5, "global_pair_auc": 0.75})
    log.say("epoch 1 is over")
    log.close()
    assert lines(tmp_path) == [{"step": 5, "epoch": 1.0, "validation": {"loss": 0.5, "global_pair_auc": 0.75}}]
    assert capsys.readouterr().err == "epoch 1 is over\n"
    quiet = open_log(tmp_path / "quiet")
    quiet.say("nothing")
    quiet.say("stopped", always=True)
    quiet.close()
    assert capsys.readouterr().err == "stopped\n"


def test_tensorboard_files_by_a_flag(tmp_path):
    log = open_log(tmp_path, tensorboard=True)
    feed(log, 0, 4)
    log.close()
    assert list((tmp_path / "tensorboard").glob("events.*"))
    quiet = open_log(tmp_path / "quiet")
    quiet.close()
    assert not (tmp_path / "quiet" / "tensorboard").exists()
