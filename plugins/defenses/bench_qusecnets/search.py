"""Exact robustness of one image behind a quantiser: branch and bound over what the classifier can be shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from bench_qusecnets.bounds import Bounds, Box, Relaxed, margins
from bench_qusecnets.codespace import CodeSpace

Verdict: TypeAlias = Literal["robust", "broken", "open"]
Judge: TypeAlias = Callable[[Tensor], Tensor]  # ranks (B, C, H, W) -> whether the deployment answers rightly, (B,)


@dataclass(frozen=True)
class Solved:
    """What is known of one image.

    Attributes
    ----------
    verdict : "open" where the budget was used up
    ranks : int64, (C, H, W), of an input that is answered wrongly; None where none is known
    nodes, leaves : boxes that were bounded, and inputs that were judged one by one
    """

    verdict: Verdict
    ranks: Tensor | None = None
    nodes: int = 0
    leaves: int = 0


@dataclass
class _Node:
    low: Tensor
    high: Tensor
    around: Relaxed | None
    goals: Tensor


class BranchAndBound:
    """Decides whether some reachable input of an image is answered wrongly.

    Parameters
    ----------
    space : what the classifier can be shown
    bounds : of the classifier
    classes : of the answers
    nodes : boxes bounded for an image at most
    leaf : inputs of a box that are judged one by one rather than bounded

    Notes
    -----
    A box whose margins to all other classes are bounded above zero holds no wrong answer. Else its input with the
    lowest bound is judged, which finds what is there to be found; then the box is split at the pixel that moves the
    bound most. Bounds hold for float32 arithmetic in any order (``bounds``), so that a proof is one of the deployment
    as it runs; single inputs are judged by the deployment itself.
    """

    def __init__(self, space: CodeSpace, bounds: Bounds, classes: int, *, nodes: int = 400, leaf: int = 64) -> None:
        self.space, self.bounds, self.classes = space, bounds, classes
        self.nodes, self.leaf = nodes, leaf

    def solve(self, low: Tensor, high: Tensor, label: int, judge: Judge) -> Solved:
        """Return what is true of one image.

        Parameters
        ----------
        low, high : int64, (C, H, W), its reachable ranks
        judge : answers for ranks as the deployment does
        """
        stack = [_Node(low[None], high[None], None, margins(torch.tensor([label]), self.classes)[0])]
        nodes = leaves = 0
        while stack:
            node = stack.pop()
            if _inputs(node, self.leaf) <= self.leaf:
                ranks = _every(node)
                leaves += len(ranks)
                wrong = ~judge(ranks)
                if bool(wrong.any()):
                    return Solved("broken", ranks[wrong][0], nodes, leaves)
                continue
            if nodes == self.nodes:
                return Solved("open", None, nodes, leaves)
            nodes += 1
            known, goals, slope = self._bound(node)
            if not len(goals):
                continue
            lowest = torch.where(slope > 0, node.low, node.high)
            leaves += 1
            if not bool(judge(lowest)[0]):
                return Solved("broken", lowest[0], nodes, leaves)
            stack += self._split(node, known, goals, slope)
        return Solved("robust", None, nodes, leaves)

    def _bound(self, node: _Node) -> tuple[Relaxed, Tensor, Tensor]:
        """Return what is known of a box, the margins that it leaves open, and the slope of the lowest, (1, C, H, W)."""
        box = Box(self.space.shown(node.low), self.space.shown(node.high))
        # Inside a box that was bounded already, most of it is known: the cheap part first.
        known = self.bounds.sharpened(box, node.around, deep=node.around is None)
        goals, slope = self._open(node.goals, known)
        if len(goals) and node.around is not None:
            known = self.bounds.sharpened(box, known)
            goals, slope = self._open(goals, known)
        return known, goals, slope

    def _open(self, goals: Tensor, known: Relaxed) -> tuple[Tensor, Tensor]:
        found, slopes = self.bounds.lower(goals[None], known)
        # A bound of magnitudes beyond float32 is no number, and proves nothing.
        return goals[~(found[0] > 0)], slopes[0, found[0].argmin()][None]

    def _split(self, node: _Node, known: Relaxed, goals: Tensor, slope: Tensor) -> list[_Node]:
        """Return the two halves of a box, the one with the lower bound last."""
        width = self.space.shown(node.high) - self.space.shown(node.low)
        # A slope that is no number counts for nothing: a fixed pixel cannot be split.
        steep = slope.abs().nan_to_num(nan=0.0)
        pixel = int((steep * width + 1e-12 * width).flatten().argmax())
        low, high = int(node.low.flatten()[pixel]), int(node.high.flatten()[pixel])
        middle = (low + high) // 2
        dark, bright = node.high.clone(), node.low.clone()
        dark.view(-1)[pixel] = middle
        bright.view(-1)[pixel] = middle + 1
        halves = [_Node(node.low, dark, known, goals), _Node(bright, node.high, known, goals)]
        return halves if float(slope.flatten()[pixel]) < 0 else halves[::-1]


def _inputs(node: _Node, limit: int) -> int:
    """Return how many inputs a box holds, or some number above ``limit``."""
    count = 1
    for choices in (node.high - node.low + 1)[node.high > node.low].tolist():
        count *= choices
        if count > limit:
            return limit + 1
    return count


def _every(node: _Node) -> Tensor:
    """Return every input of a box, int64, (N, C, H, W)."""
    free = torch.nonzero((node.high > node.low).flatten()).flatten()
    low, high = node.low.flatten()[free].tolist(), node.high.flatten()[free].tolist()
    choices = torch.tensor(list(product(*(range(a, b + 1) for a, b in zip(low, high, strict=True)))), dtype=torch.int64)
    ranks = node.low.flatten().repeat(len(choices), 1)
    ranks[:, free] = choices.reshape(len(choices), len(free))
    return ranks.reshape(-1, *node.low.shape[1:])
