"""Measuring in alternation: a machine that is busy for a while then hits every candidate alike.

A candidate is a function that does its work once and returns the seconds of a step, once for each time that it read
the clock.
"""

import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

__all__ = ["Candidate", "Timing", "alternate", "clocked", "ratio"]

Candidate = Callable[[], list[float]]


@dataclass(frozen=True)
class Timing:
    """The seconds of a step, over all rounds.

    Attributes:
        median: of all measurements.
        fastest: of the rounds' medians.
        rounds: the median of each round.
        looks: how often the clock was read, in all rounds.
    """

    median: float
    fastest: float
    rounds: tuple[float, ...]
    looks: int


def clocked(call: Callable[[int], None], *, steps: int, group: int = 1) -> Candidate:
    """A candidate out of a function that runs a number of steps and returns when the device is done.

    Args:
        call: the function; run once here, so that it is warm.
        steps: in a round, at least.
        group: steps between two readings of the clock: 1, or a whole dispatch.
    """
    call(group)

    def measure() -> list[float]:
        found = []
        for _ in range(-(-steps // group)):
            began = time.perf_counter()
            call(group)
            found.append((time.perf_counter() - began) / group)
        return found

    return measure


def alternate(candidates: Mapping[str, Candidate], *, rounds: int = 5) -> dict[str, Timing]:
    """What a step of each candidate took; every candidate gets its turn in each round."""
    seconds: dict[str, list[list[float]]] = {name: [] for name in candidates}
    for number in range(rounds):
        for name, measure in candidates.items():
            began = time.perf_counter()
            seconds[name].append(measure())
            took = (
                f"{1e3 * statistics.median(seconds[name][-1]):.3g} ms a step, the round took"
                f" {time.perf_counter() - began:.0f} s"
            )
            print(f"round {number + 1} of {rounds}: {name}: {took}", file=sys.stderr, flush=True)
    made = {}
    for name, found in seconds.items():
        medians = tuple(statistics.median(each) for each in found)
        every = [value for each in found for value in each]
        made[name] = Timing(statistics.median(every), min(medians), medians, len(every))
    return made


def ratio(ours: Timing, theirs: Timing) -> tuple[float, float, float]:
    """How many times faster ours is: the median over rounds of the ratio within each, and the least and the greatest of
    them.
    """
    each = [b / a for a, b in zip(ours.rounds, theirs.rounds, strict=True)]
    return statistics.median(each), min(each), max(each)
