"""Drive arms through warm-up and ABBA quads; every clock and every look at the machine is handed in."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from bench.hardware.latency import Limits, Runs, on_plateau
from bench_cpu.machine import State, observe, taints

Clock = Callable[[], int]


class Arm(Protocol):
    """Something that is timed run by run."""

    def __call__(self, index: int) -> tuple[int, ...]:
        """Do run number ``index`` and return the duration of each part, ns."""
        ...


@dataclass(frozen=True)
class Block:
    """Consecutive runs of one arm.

    Attributes
    ----------
    parts : int64, (runs, parts), ns
    wall_ns, cpu_ns : of the whole block, with what lies between the clocks
    """

    parts: Runs
    wall_ns: int
    cpu_ns: int

    @property
    def totals(self) -> Runs:
        """Return the duration of each run over all parts, int64, (runs,), ns."""
        totals: Runs = self.parts.sum(axis=1)
        return totals


@dataclass(frozen=True)
class Quad:
    """Blocks A B B A, and one of the arm that is timed beside, where there is one."""

    a: tuple[Block, Block]
    b: tuple[Block, Block]
    beside: Block | None
    taint: tuple[str, ...]


@dataclass
class Series:
    """All quads of one comparison.

    Attributes
    ----------
    quads : those that count
    discarded : tainted ones that were done again
    short : the cap came before the floors
    """

    quads: list[Quad] = field(default_factory=list)
    discarded: list[Quad] = field(default_factory=list)
    short: bool = False

    def blocks(self, arm: str) -> list[Block]:
        """Return the blocks of "a", "b" or "beside" in the order in which they ran."""
        if arm == "beside":
            return [quad.beside for quad in self.quads if quad.beside is not None]
        return [block for quad in self.quads for block in (quad.a if arm == "a" else quad.b)]

    @property
    def tainted(self) -> int:
        """Return how many of the quads that count were disturbed."""
        return sum(bool(quad.taint) for quad in self.quads)


@dataclass(frozen=True)
class WarmUp:
    """How an arm settled: its runs, and whether it reached a plateau."""

    runs: tuple[tuple[int, ...], ...]
    plateau: bool


def warm_up(arm: Arm, limits: Limits, clock: Clock = time.perf_counter_ns) -> WarmUp:
    """Run the arm until its floor is met and its last runs are level, at most ten times the floor."""
    runs: list[tuple[int, ...]] = []
    totals: list[int] = []
    start = clock()
    while True:
        runs.append(arm(len(runs)))
        totals.append(sum(runs[-1]))
        elapsed = (clock() - start) / 1e9
        if len(runs) >= limits.warm_runs and elapsed >= limits.warm_s and on_plateau(totals):
            return WarmUp(tuple(runs), True)
        if len(runs) >= 10 * max(limits.warm_runs, 1) and elapsed >= 10 * limits.warm_s:
            return WarmUp(tuple(runs), False)


def interleave(
    a: Arm,
    b: Arm,
    limits: Limits,
    *,
    beside: Arm | None = None,
    redos: int = 3,
    redos_in_all: int | None = None,
    clock: Clock = time.perf_counter_ns,
    cpu_clock: Clock = time.process_time_ns,
    look: Callable[[], State] = observe,
) -> Series:
    """Time two arms in quads A B B A until both meet the floors of ``limits``.

    Parameters
    ----------
    beside : a third arm, one block of half the length behind each quad; it enters no ratio
    redos : how often a disturbed quad is done again; afterwards it counts, with its taint
    redos_in_all : the same over the whole series; None for no such limit
    """
    series, index = Series(), _Counter()
    spent, runs, timed = 0, 0, 0
    left = redos_in_all if redos_in_all is not None else -1
    tries = 0
    while True:
        before = look()
        blocks = [_block(arm, limits, 1.0, index, clock, cpu_clock) for arm in (a, b, b, a)]
        extra = _block(beside, limits, 0.5, index, clock, cpu_clock) if beside else None
        quad = Quad((blocks[0], blocks[3]), (blocks[1], blocks[2]), extra, taints(before, look()))
        spent += max(quad.a[0].wall_ns + quad.a[1].wall_ns, quad.b[0].wall_ns + quad.b[1].wall_ns)
        capped = spent >= limits.cap_s * 1e9
        if quad.taint and tries < redos and left != 0 and not capped:
            series.discarded.append(quad)
            tries, left = tries + 1, left - 1
            continue
        tries = 0
        series.quads.append(quad)
        runs += min(sum(len(block.parts) for block in arm) for arm in (quad.a, quad.b))
        timed += min(sum(block.wall_ns for block in arm) for arm in (quad.a, quad.b))
        enough = runs >= limits.runs and timed >= limits.seconds * 1e9 and len(series.quads) >= limits.quads
        if enough or capped:
            series.short = not enough
            return series


class _Counter:
    """Numbers the runs of a series, so that every arm cycles through the images."""

    def __init__(self) -> None:
        self.value: dict[int, int] = {}

    def next(self, arm: Arm) -> int:
        number = self.value.get(id(arm), 0)
        self.value[id(arm)] = number + 1
        return number


def _block(arm: Arm, limits: Limits, share: float, index: _Counter, clock: Clock, cpu_clock: Clock) -> Block:
    parts: list[tuple[int, ...]] = []
    cpu, start = cpu_clock(), clock()
    end = start + int(limits.block_s * share * 1e9)
    while len(parts) < limits.block_runs or clock() < end:
        parts.append(arm(index.next(arm)))
    wall = clock() - start
    return Block(np.asarray(parts, dtype=np.int64), wall, cpu_clock() - cpu)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Collect garbage once and keep the collector off inside."""
    was_on = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def cpu_seconds_a_run(blocks: Sequence[Block]) -> float:
    """Return CPU-seconds an inference.

    Notes
    -----
    A part that is repeated inside its clock uses CPU for all repeats but counts once. What a block used is therefore
    scaled by (sum of the runs' durations) / (wall time of the block).
    """
    runs = sum(len(block.parts) for block in blocks)
    used = sum(block.cpu_ns * min(1.0, float(block.totals.sum()) / block.wall_ns) for block in blocks)
    return used / runs / 1e9
