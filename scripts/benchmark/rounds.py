"""Measuring in alternation: a machine that is busy for a while then hits every candidate alike.

Owns the rounds and what is made of them. A candidate is a function that runs a number of steps and returns when the device is done.
"""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

__all__ = ["Timing", "alternate", "ratio"]


@dataclass(frozen=True)
class Timing:
    """The seconds of a step, over all rounds.

    Attributes:
        median: of all measured groups of steps.
        fastest: of the rounds' medians.
        rounds: the median of each round.
        steps: measured in all.
    """

    median: float
    fastest: float
    rounds: tuple[float, ...]
    steps: int


def alternate(candidates: Mapping[str, Callable[[int], None]], *, rounds: int = 5, steps: int = 32, group: int = 1) -> dict[str, Timing]:
    """Seconds of a step of each candidate.

    Args:
        candidates: by name; called with a number of steps. Each is warmed up by one group first.
        rounds: times that every candidate gets its turn.
        steps: of a candidate in a round.
        group: steps between two looks at the clock: 1, or a whole dispatch.
    """
    seconds: dict[str, list[list[float]]] = {name: [] for name in candidates}
    for call in candidates.values():
        call(group)
    for _ in range(rounds):
        for name, call in candidates.items():
            found = []
            for _ in range(-(-steps // group)):
                began = time.perf_counter()
                call(group)
                found.append((time.perf_counter() - began) / group)
            seconds[name].append(found)
    made = {}
    for name, found in seconds.items():
        medians = tuple(statistics.median(each) for each in found)
        every = [value for each in found for value in each]
        made[name] = Timing(statistics.median(every), min(medians), medians, len(every) * group)
    return made


def ratio(ours: Timing, theirs: Timing) -> tuple[float, float, float]:
    """How many times faster ours is: the median over rounds of the ratio within each, and the least and the greatest of them."""
    each = [b / a for a, b in zip(ours.rounds, theirs.rounds, strict=True)]
    return statistics.median(each), min(each), max(each)
