"""Our side of the comparison: the same `Setup` and the same loop that a run uses, in the parts that are timed.

Everything that is timed is the project's own code path; nothing is rewritten here.
"""

import dataclasses
import itertools
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import jax

from scripts.benchmark.shapes import Shape
from tipai_jax.config import AuditorConfig
from tipai_jax.config.command_line import load_config
from tipai_jax.store import Store
from tipai_jax.training.setup import Setup

__all__ = ["config_of", "input_only", "loop_seconds", "phrases_config_of", "seconds_at", "step_only"]


def config_of(
    shape: Shape, store: Path, workdir: Path, *, placement: str = "resident", epochs: int = 1, dtype: str = "float32"
) -> AuditorConfig:
    """The plan's config on a store of random embeddings; the reason head, which is ours, reads what the other
    two see.
    """
    base = load_config("plan.py")
    return dataclasses.replace(
        base,
        model=dataclasses.replace(base.model, hidden=shape.hidden, reason_inputs=base.model.global_inputs, dtype=dtype),
        store=str(store),
        workdir=str(workdir),
        data=dataclasses.replace(base.data, batch_size=shape.batch, placement=placement, epochs=epochs),
        optim=dataclasses.replace(base.optim, warmup_steps=1),
        log=dataclasses.replace(base.log, progress=False),
    )


def phrases_config_of(shape: Shape, store: Path, workdir: Path) -> AuditorConfig:
    """`base.py`, the phrase heads, on a store of random embeddings and random phrases."""
    base = load_config("base.py")
    return dataclasses.replace(
        base,
        store=str(store),
        workdir=str(workdir),
        data=dataclasses.replace(base.data, batch_size=shape.batch, epochs=1),
        optim=dataclasses.replace(base.optim, warmup_steps=1),
        log=dataclasses.replace(base.log, progress=False),
    )


def step_only(run: Setup) -> tuple[Callable[[int], None], float]:
    """The steps themselves, on one chunk that is on the device already; and the seconds of the first call, compilation
    included.
    """
    state, loaded = jax.tree.map(lambda leaf: leaf.copy(), run.initial), None
    began = time.perf_counter()

    def call(steps: int) -> None:
        nonlocal state, loaded
        for _ in range(-(-steps // run.length)):
            if loaded is None:
                loaded = run.source.load(run.chunk(0))
            state, record = run.train(state, *loaded)
            state = dataclasses.replace(state, step=state.step * 0)
        jax.block_until_ready(record)

    call(run.length)
    return call, time.perf_counter() - began


def input_only(run: Setup) -> Callable[[int], None]:
    """Chunks planned, gathered and sent to the device, and never used."""
    starts = itertools.cycle(run.chunk_starts(0))
    stream = run.source.chunks(lambda _: run.chunk(next(starts)), 1 << 30)

    def call(steps: int) -> None:
        for _ in range(-(-steps // run.length)):
            jax.block_until_ready(next(stream))

    return call


def loop_seconds(shape: Shape, store: Store, folder: Path, *, every: int, dtype: str = "float32") -> float:
    """Seconds of a step in `fit` as a user runs it: log, validation, checkpoints and all.

    A run of twice `every` epochs, validated and saved after each half; timed from the end of the first half's last
    step, by the run's own log, to that of the second's, which is one validation, one checkpoint and no compilation.
    """
    steps = every * -(-shape.pairs // shape.batch)
    config = config_of(shape, store.path, folder, epochs=2 * every, dtype=dtype)
    config = dataclasses.replace(config, checkpoint=dataclasses.replace(config.checkpoint, every_epochs=every))
    first, second = seconds_at(config, every=steps)
    return (second - first) / steps


def seconds_at(config: AuditorConfig, *, every: int) -> list[float]:
    """Run `fit` anew; the seconds, by the run's own log, at which each `every` steps were done, before they were
    validated and saved.
    """
    from tipai_jax.training.loop import fit

    folder = Path(config.workdir)
    shutil.rmtree(folder, ignore_errors=True)
    lines = next(n for n in range(min(64, every), 0, -1) if every % n == 0)
    fit(dataclasses.replace(config, log=dataclasses.replace(config.log, every_steps=lines)))
    read = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [line["seconds"] for line in read if "seconds" in line and line["step"] % every == 0]
