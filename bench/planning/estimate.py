"""What a plan will cost, roughly."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod

from bench.planning.task import Task


@dataclass(frozen=True)
class Estimate:
    """Rough cost of tasks.

    Attributes
    ----------
    seconds : on one core
    size : bytes of results
    """

    seconds: float
    size: int


def estimate(tasks: Iterable[Task]) -> Estimate:
    """Return the rough cost of tasks, from what their entries declare."""
    seconds, size = 0.0, 0
    for task in tasks:
        seconds += task.seconds
        size += 2_000
        if task.kind == "craft":
            first, last = task.spec["block"]
            size += 4 * (last - first) * prod(task.spec["deployment"]["network"]["shape"])
    return Estimate(seconds, size)
