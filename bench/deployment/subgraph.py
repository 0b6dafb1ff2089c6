"""Cut a deployment into what runs in one go at one place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bench.deployment.deployment import INPUT, Deployment, Node, run_node
from bench.deployment.signal import Signal
from bench.deployment.stage import Placement


@dataclass(frozen=True)
class Subgraph:
    """Nodes of one placement that need nothing from elsewhere but what has arrived when they start.

    Attributes
    ----------
    crossings : borders that lie before it; the device's first part has 0, the server behind it 1
    inputs : whose signals it takes: "input" (the image), nodes elsewhere, or earlier nodes of its own placement
    outputs : nodes whose signal another subgraph takes, and the deployment's last node
    """

    placement: Placement
    crossings: int
    nodes: tuple[Node, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    @property
    def name(self) -> str:
        """Return the name of its file: "device-0"."""
        return f"{self.placement}-{self.crossings}"

    def run(self, given: Mapping[str, Signal]) -> dict[str, Signal]:
        """Return the signals of ``outputs``.

        Parameters
        ----------
        given : the signals of ``inputs``, as they arrived
        """
        signals = dict(given)
        for node in self.nodes:
            signals[node.name] = run_node(node, tuple(signals[name] for name in node.inputs))
        return {name: signals[name] for name in self.outputs}


def subgraphs(deployment: Deployment) -> tuple[Subgraph, ...]:
    """Return the deployment's subgraphs in an order in which they can run.

    Notes
    -----
    A node's number of crossings is the largest over its inputs, plus one for an input from another placement. Nodes of
    one placement and number form a subgraph: two networks with taps from the one to the other give two, however their
    layers alternate in the list of nodes; a device that waits for a server's answer gives two for the device.
    """
    crossings: dict[str, int] = {}
    placed: dict[str, Placement] = {}
    members: dict[tuple[int, Placement], list[Node]] = {}
    for node in deployment.nodes:
        before = [crossings[n] + (placed[n] != node.placement) for n in node.inputs if n != INPUT]
        crossings[node.name], placed[node.name] = max(before, default=0), node.placement
        members.setdefault((crossings[node.name], node.placement), []).append(node)

    last = deployment.nodes[-1].name
    result = []
    for (order, placement), nodes in sorted(members.items(), key=lambda item: item[0][0]):
        own = {node.name for node in nodes}
        taken = {n for other in deployment.nodes if other.name not in own for n in other.inputs}
        result.append(
            Subgraph(
                placement,
                order,
                tuple(nodes),
                tuple(dict.fromkeys(n for node in nodes for n in node.inputs if n not in own)),
                tuple(node.name for node in nodes if node.name in taken or node.name == last),
            )
        )
    return tuple(result)
