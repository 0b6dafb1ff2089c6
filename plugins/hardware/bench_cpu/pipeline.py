"""A deployment as a row of timed parts: each subgraph with the decoding before it and the encoding behind it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np
import torch

from bench.deployment import INPUT, Deployment, Placement, Signal
from bench.deployment.subgraph import Subgraph, subgraphs

Clock = Callable[[], int]
CLOCK_SHARE: Final = 50  # a part shorter than so many clock readings is timed in inner batches


class Runner(Protocol):
    """Computes a subgraph: ``Subgraph`` in torch, ``OnnxSubgraph`` in onnxruntime."""

    def run(self, given: Mapping[str, Signal]) -> dict[str, Signal]:
        """Return the signals of the subgraph's outputs."""
        ...


@dataclass
class Passage:
    """One image on its way: signals where they were made, and the bytes of those that left their placement."""

    made: dict[str, Signal]
    sent: dict[str, list[bytes]] = field(default_factory=dict)


class Part:
    """A subgraph, what it decodes and what it encodes."""

    def __init__(self, deployment: Deployment, subgraph: Subgraph, runner: Runner) -> None:
        self.subgraph, self.runner = subgraph, runner
        placed: dict[str, Placement] = {node.name: node.placement for node in deployment.nodes}
        here = subgraph.placement
        self.near = tuple(name for name in subgraph.inputs if name == INPUT or placed[name] == here)
        self.far = tuple((n, deployment.node(n).stage) for n in subgraph.inputs if n != INPUT and placed[n] != here)
        taken = {n: {o.placement for o in deployment.nodes if n in o.inputs} - {here} for n in subgraph.outputs}
        self.leaving = {name: deployment.node(name).stage for name in subgraph.outputs if taken[name]}
        self.destinations = {name: frozenset(taken[name]) for name in self.leaving}

    def run(self, passage: Passage) -> None:
        """Decode what arrived, compute, encode what leaves: what is timed."""
        given = {name: passage.made[name] for name in self.near}
        for name, stage in self.far:
            given[name] = stage.decode(passage.sent[name], passage.made[name])
        made = self.runner.run(given)
        passage.made.update(made)
        for name, stage in self.leaving.items():
            passage.sent[name] = stage.encode(made[name])


class Pipeline:
    """A deployment that runs image by image with a clock on every part.

    Parameters
    ----------
    signals : one image each, prepared; run number i takes number i modulo their count
    runners : subgraph name -> what computes it; torch where it is missing
    clock : monotonic, ns
    """

    def __init__(
        self,
        deployment: Deployment,
        signals: Sequence[Signal],
        runners: Mapping[str, Runner] | None = None,
        clock: Clock = time.perf_counter_ns,
    ) -> None:
        chosen = runners or {}
        self.parts = tuple(Part(deployment, s, chosen.get(s.name, s)) for s in subgraphs(deployment))
        self.placements = tuple(part.subgraph.placement for part in self.parts)
        self.last = deployment.nodes[-1].name
        self.signals, self.clock = signals, clock
        self.repeats = [1] * len(self.parts)

    @torch.no_grad()
    def __call__(self, index: int) -> tuple[int, ...]:
        """Run one image and return the duration of each part in ns."""
        passage = Passage({INPUT: self.signals[index % len(self.signals)]})
        clock, durations = self.clock, []
        for part, repeats in zip(self.parts, self.repeats, strict=True):
            start = clock()
            for _ in range(repeats):
                part.run(passage)
            durations.append(round((clock() - start) / repeats))
        return tuple(durations)

    @torch.no_grad()
    def answer(self, index: int) -> Signal:
        """Return the last node's signal of one image."""
        passage = Passage({INPUT: self.signals[index % len(self.signals)]})
        for part in self.parts:
            part.run(passage)
        return passage.made[self.last]

    def calibrate(self, runs: Sequence[tuple[int, ...]], clock_cost: float) -> None:
        """Set how often each part is repeated inside one pair of clock readings, from runs of the warm-up."""
        medians = np.median(np.asarray(runs, dtype=np.float64), axis=0)
        self.repeats = [
            1 if median >= CLOCK_SHARE * clock_cost else math.ceil(CLOCK_SHARE * clock_cost / max(median, 1.0))
            for median in medians
        ]


def clock_cost(clock: Clock = time.perf_counter_ns) -> float:
    """Return what one pair of clock readings costs, ns: the median of 1000 empty pairs, at least 1."""
    pairs = [-(clock() - clock()) for _ in range(1000)]
    return max(1.0, float(np.median(pairs)))
