"""What a plan will cost, roughly."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod

from bench.planning.task import Task
from bench.store.keys import key

_PIECEWISE = frozenset({"block", "seed", "craft"})  # what tells pieces of the same work apart


@dataclass(frozen=True)
class Estimate:
    """Rough cost of tasks.

    Attributes
    ----------
    seconds : on one core
    size : bytes of results
    learned : how many of the tasks resemble one that was timed here
    """

    seconds: float
    size: int
    learned: int


def estimate(tasks: Iterable[Task], timed: Iterable[tuple[Task, float]]) -> Estimate:
    """Return the rough cost of tasks: what their entries declare, corrected by what others took here.

    Parameters
    ----------
    tasks : to be done
    timed : tasks that were done, with the processor seconds that each took

    Notes
    -----
    The correction is measured over declared seconds of the timed tasks that are most like this one: the same work on
    other images, else the same kind of work with the same fitted deployment, else the same kind of work.
    """
    measured: dict[str, float] = {}
    declared: dict[str, float] = {}
    for task, seconds in timed:
        for like in _likeness(task):
            measured[like] = measured.get(like, 0.0) + seconds
            declared[like] = declared.get(like, 0.0) + task.seconds
    total, size, learned = 0.0, 0, 0
    for task in tasks:
        nearest = next((like for like in _likeness(task) if declared.get(like)), None)
        total += task.seconds * (measured[nearest] / declared[nearest] if nearest else 1.0)
        learned += nearest is not None
        size += 2_000
        if task.kind == "craft":
            first, last = task.spec["block"]
            size += 4 * (last - first) * prod(task.spec["deployment"]["network"]["shape"])
    return Estimate(total, size, learned)


def _likeness(task: Task) -> tuple[str, str, str]:
    """Return the names of ever larger groups of tasks that take about the same time."""
    work = {name: value for name, value in task.preimage.items() if name not in _PIECEWISE}
    return key(work), f"{task.kind} {task.preimage.get('fit', '')}", task.kind
