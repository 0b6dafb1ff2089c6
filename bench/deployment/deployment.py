"""A deployed pipeline: a small graph of placed stages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import nn

from bench.deployment.signal import Signal
from bench.deployment.stage import Placement, Stage

INPUT = "input"


class Join(Stage):
    """A stage that takes several signals: a detector's decision, a second network with taps."""

    def combine(self, *signals: Signal) -> Signal:
        """Return one signal of several, in the order of the node's inputs."""
        raise NotImplementedError(f"{type(self).__name__} does not define combine")


@dataclass(frozen=True)
class Node:
    """A stage in the graph.

    Attributes
    ----------
    inputs : names of the nodes whose signals it takes; "input" is the image. Several nodes may share one stage
    """

    name: str
    stage: Stage
    inputs: tuple[str, ...] = (INPUT,)
    placed: Placement | None = field(default=None)

    @property
    def placement(self) -> Placement:
        return self.placed or self.stage.placement


Apply = Callable[[Node, tuple[Signal, ...]], Signal]
Cross = Callable[[Node, Signal], Signal]


class Deployment(nn.Module):
    """A graph of stages in the order in which they run; the last node gives the logits.

    A detecting last node also sets the side tensor ``score``, float, (B,), above 0 where it detects; one that refuses
    to answer sets ``rejected`` too, bool, (B,).

    Raises
    ------
    ValueError : two nodes of one name, or an input that no earlier node gives
    """

    def __init__(self, nodes: Sequence[Node]) -> None:
        super().__init__()
        known = {INPUT}
        for node in nodes:
            missing = [name for name in node.inputs if name not in known]
            if missing or node.name in known:
                raise ValueError(
                    f"Node {node.name!r}: {f'no earlier node {missing}' if missing else 'name used twice'}."
                )
            known.add(node.name)
        self.nodes = tuple(nodes)
        self.stages = nn.ModuleList(dict.fromkeys(node.stage for node in nodes))
        self.eval()

    @classmethod
    def chain(cls, *stages: Stage) -> Deployment:
        """Return a deployment that runs ``stages`` one after the other."""
        names = [INPUT, *(f"{i}-{type(s).__name__.lower()}" for i, s in enumerate(stages))]
        return cls([Node(names[i + 1], stage, (names[i],)) for i, stage in enumerate(stages)])

    @property
    def randomised(self) -> bool:
        """Whether some stage declares that it draws."""
        return any(stage.randomised for stage in self.stages)

    @property
    def differentiable(self) -> bool:
        """Whether every stage declares a true derivative."""
        return all(stage.differentiable for stage in self.stages)

    @property
    def placements(self) -> tuple[Placement, ...]:
        """Where it runs, in order of first use."""
        return tuple(dict.fromkeys(node.placement for node in self.nodes))

    def walk(self, signal: Signal, apply: Apply, cross: Cross) -> Signal:
        """Return the last node's signal, with ``apply`` run at every node and ``cross`` at every border.

        Parameters
        ----------
        apply : (node, its input signals) -> its output signal
        cross : (node whose signal leaves its placement, that signal) -> what arrives
        """
        given = {INPUT: signal.replace(signal.x.clone())}  # a stage may write into what it gets; the image stays
        placed: dict[str, Placement] = {}
        arrived: dict[str, Signal] = {}
        for node in self.nodes:
            inputs = []
            for name in node.inputs:
                if name != INPUT and placed[name] != node.placement:
                    if name not in arrived:
                        arrived[name] = cross(self.node(name), given[name])
                    inputs.append(arrived[name])
                else:
                    inputs.append(given[name])
            given[node.name] = apply(node, tuple(inputs))
            placed[node.name] = node.placement
        return given[self.nodes[-1].name]

    def node(self, name: str) -> Node:
        """Return the node of that name."""
        return next(node for node in self.nodes if node.name == name)

    def forward(self, signal: Signal) -> Signal:
        """Return the last node's signal, borders crossed as tensors: the differentiable form."""
        return self.walk(signal, run_node, lambda node, leaving: node.stage.cross(leaving))

    @torch.no_grad()
    def answer(self, signal: Signal) -> Signal:
        """Return the last node's signal, borders crossed as real bytes: the form that is evaluated."""

        def over_the_wire(node: Node, leaving: Signal) -> Signal:
            return node.stage.decode(node.stage.encode(leaving), leaving)

        return self.walk(signal, run_node, over_the_wire)


def run_node(node: Node, inputs: tuple[Signal, ...]) -> Signal:
    """Return what the node's stage makes of its inputs."""
    if isinstance(node.stage, Join):
        return node.stage.combine(*inputs)
    result: Signal = node.stage(inputs[0])
    return result
