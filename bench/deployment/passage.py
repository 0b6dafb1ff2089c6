"""What passes the nodes of a deployment."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from bench.deployment.deployment import Deployment, Node, run_node
from bench.deployment.signal import Signal


@dataclass(frozen=True)
class Passage:
    """What went in and out of one node, and what left its placement."""

    node: Node
    inputs: tuple[Signal, ...]
    output: Signal


@torch.no_grad()
def trace(deployment: Deployment, given: Signal) -> tuple[list[Passage], list[tuple[Node, Signal]]]:
    """Return what passed each node, and (node, signal) for each signal that left a placement."""
    passages: list[Passage] = []
    leaving: list[tuple[Node, Signal]] = []

    def apply(node: Node, inputs: tuple[Signal, ...]) -> Signal:
        kept = tuple(signal.replace(signal.x.clone()) for signal in inputs)  # a stage may write into what it gets
        output = run_node(node, inputs)
        passages.append(Passage(node, kept, output))
        return output

    def cross(node: Node, outgoing: Signal) -> Signal:
        leaving.append((node, outgoing))
        return node.stage.cross(outgoing)

    deployment.walk(given, apply, cross)
    return passages, leaving
