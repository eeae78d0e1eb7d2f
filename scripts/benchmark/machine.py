"""What this machine can do: the rate of matrix products of the step's shapes, and of the memory, in the program that
trains.

A rate is the best of several rounds: the limit is what the machine can do, not what it does while busy.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from scripts.benchmark.shapes import Shape, pair_bytes, pair_flops, step_bytes, step_flops

__all__ = ["Limit", "count_table", "describe", "measure_limit"]


@dataclass(frozen=True)
class Limit:
    """Rates of the machine and what follows for a step.

    Attributes:
        flops: f32 multiplications and additions a second, in the products of the patches (forward and kernel gradient).
        bytes: copied a second, read and written counted, for arrays of the size of a batch's embeddings, much of which
            a cache holds.
    """

    flops: float
    bytes: float

    def step_seconds(self, shape: Shape) -> float:
        """The least time of a step: its products and then its traffic, one after the other (on a CPU both take the same
        cores).
        """
        return step_flops(shape) / self.flops + step_bytes(shape) / self.bytes

    def pairs_per_s(self, shape: Shape) -> float:
        """Pairs a second at that time."""
        return shape.batch / self.step_seconds(shape)


def _best(call: Callable[[], object], *, rounds: int, repeat: int) -> float:
    """Seconds of one call: the best of `rounds`, each the mean of `repeat`."""
    call()
    found = []
    for _ in range(rounds):
        began = time.perf_counter()
        for _ in range(repeat):
            call()
        found.append((time.perf_counter() - began) / repeat)
    return min(found)


def measure_limit(shape: Shape, *, rounds: int = 7) -> Limit:
    """Measure both rates with XLA, on the default device."""
    rows = 2 * shape.k * shape.batch
    rng = np.random.default_rng(0)
    inputs = jnp.asarray(rng.standard_normal((rows, shape.d), np.float32))
    kernel = jnp.asarray(rng.standard_normal((shape.d, shape.hidden), np.float32))
    back = jnp.asarray(rng.standard_normal((rows, shape.hidden), np.float32))
    forward, gradient = (
        jax.jit(lambda a, b: a @ b),
        jax.jit(lambda a, g: jax.lax.dot_general(g, a, (((0,), (0,)), ((), ())))),
    )
    each = 2.0 * rows * shape.d * shape.hidden
    seconds = _best(lambda: forward(inputs, kernel).block_until_ready(), rounds=rounds, repeat=8)
    seconds += _best(lambda: gradient(inputs, back).block_until_ready(), rounds=rounds, repeat=8)
    copy = jax.jit(lambda a: a + 1.0)
    copied = _best(lambda: copy(inputs).block_until_ready(), rounds=rounds, repeat=8)
    return Limit(flops=2 * each / seconds, bytes=2 * inputs.nbytes / copied)


def describe() -> dict[str, str | int]:
    """The machine and the versions, for the record."""
    import os
    import platform
    from importlib.metadata import version

    names = ("jax", "jaxlib", "flax", "optax", "torch", "numpy", "transformers")
    return {
        "device": jax.devices()[0].device_kind,
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        **{name: version(name) for name in names},
    }


def _processor() -> str:
    from pathlib import Path

    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")


def count_table(shape: Shape) -> str:
    """The written count, as Markdown."""
    rows = [f"| {name} | {value / 1e6:.2f} MFLOP |" for name, value in pair_flops(shape).items()]
    rows += [f"| {name} | {value / 1e6:.3f} MB |" for name, value in pair_bytes(shape).items()]
    return "\n".join(["| of a pair | needed |", "|---|---|", *rows])
