"""The dry run measures little, prints what it does, and its estimate counts what a run would compute."""

from types import SimpleNamespace

import pytest

from precompute.forecast import Probe, probe, run_seconds, shorter_pass, store_bytes
from precompute.shards import Work
from scripts.benchmark.synthetic import fingerprint

KEYS = [f"image {i}" for i in range(100)]


def probed(seconds: float, *, most: int = 64, keys: list[str] = KEYS, budget: float = 3.0) -> list[int]:
    """How many images are measured together, where each takes so many seconds."""
    measured: list[str] = []
    found = list(
        probe(keys, lambda part: (measured.extend(part), (0.0, seconds * len(part)))[1], most=most, budget=budget)
    )
    assert measured == keys[: len(measured)] and all(each.seconds == pytest.approx(seconds) for each in found)
    return [each.rows for each in found]


def test_as_many_images_are_measured_as_the_time_allows():
    assert probed(10.0) == [1]  # one at least, however long it takes
    assert probed(0.9) == [1, 2]
    assert probed(0.4) == [1, 2, 4]
    assert probed(0.001) == [1, 2, 4, 8, 16, 32, 37]  # the data end
    assert probed(0.001, most=6) == [1, 2, 4, 6]  # a batch of the run, no more
    assert probed(0.001, keys=KEYS[:1]) == [1] and probed(0.001, keys=[]) == []


def work(table: str, count: int) -> Work:
    return Work(table, 0, tuple(str(i) for i in range(count)), "")


def test_the_estimate_counts_padded_batches_and_the_threads_that_have_work(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    one, half = Probe(1, 0.25, 0.75), Probe(1, 0.0, 0.5)
    images = [work("images", 20), work("images", 3)]
    assert run_seconds(images, one, batch=64, threads=1, cpu=True) == 128.0  # two batches, one in each shard
    assert run_seconds(images, one, batch=4, threads=2, cpu=True) == 12.0  # 24 images, the padding included
    assert (
        run_seconds(images, one, batch=64, threads=16, cpu=True) == 64.0
    )  # two batches keep no more than two threads busy
    assert run_seconds(images, one, batch=1, threads=16, cpu=True) == 23 / 4  # nor do four cores do more than four
    assert (
        run_seconds([work("prompts", 20)], half, batch=4, threads=4, cpu=True) == 10.0
    )  # a shard of prompts is one thread's
    assert (
        run_seconds(images, one, batch=4, threads=8, cpu=False) == 24 * 0.75
    )  # a GPU encodes one batch after the other
    assert (
        run_seconds(images, Probe(1, 8.0, 0.5), batch=4, threads=8, cpu=False) == 24 * 1.0
    )  # and waits for the readers
    assert run_seconds([], one, batch=4, threads=2, cpu=True) == 0.0


@pytest.mark.parametrize("patches", ["dense", "crops"])
def test_the_dry_run_reports_and_writes_nothing(patches, embed, pairs, tmp_path, monkeypatch):
    monkeypatch.setattr("precompute.forecast.BUDGET", float("inf"))
    lines = embed(pairs, tmp_path / "s", "--dry-run", "--patches", patches).splitlines()
    starts = [line.split()[0] for line in lines]
    assert starts == ["pairs", "to", "bytes", "loading", *3 * ["probing", "1", "2", "4"], "estimate"]
    assert (
        "to encode 12 images, 12 prompts, 17 phrases" in lines[1]
        and f"{patches}, float32, cpu, 4 a forward pass" in lines[1]
        and "MB free" in lines[2]
    )
    assert ("one of the 50 forward passes that each takes" in lines[4]) == (patches == "crops")
    assert "12 images in " in lines[-1] and "s each on one core" in lines[-1] and "with 2 threads" in lines[-1]
    assert ", 17 phrases in " in lines[-1]
    assert not (tmp_path / "s").exists()


def test_bytes_count_each_phrase_twice():
    plan = SimpleNamespace(encoder=fingerprint(d=24))
    works = [work("prompts", 10), work("phrases", 10)]
    assert store_bytes(plan, works) - store_bytes(plan, works[:1]) == 10 * (2 * 2 * 24 + 200)


def test_the_dry_run_computes_few_images(embed, pairs, tmp_path, monkeypatch):
    """Where a single image takes longer than the budget, one is measured, whatever a batch of the run is."""
    from precompute import forecast

    measured = []
    monkeypatch.setattr(forecast, "_measure_images", lambda keys, *_: (measured.extend(keys), (0.0, 20.0))[1])
    printed = embed(pairs, tmp_path / "s", "--dry-run")
    assert (
        len(measured) == 1 and "12 images in 200.0 s (20 s each on one core)" in printed
    )  # five batches of four, on two threads


def test_a_forward_pass_without_progress_for_long_is_named_with_the_size_that_fits():
    slow = Probe(1, 1.0, 3.0)
    assert shorter_pass(slow, batch=64) == (
        "64 in a forward pass take 256 s without progress; --batch-size 7 shows it sooner"
    )
    assert shorter_pass(slow, batch=7) == "" == shorter_pass(Probe(1, 40.0, 40.0), batch=1)
    assert "--batch-size 1 " in shorter_pass(Probe(1, 0.0, 80.0), batch=2)
