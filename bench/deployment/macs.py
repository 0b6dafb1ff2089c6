"""Count multiply-accumulates of a deployment, node by node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from bench.deployment.deployment import Deployment, Node, run_node
from bench.deployment.signal import Signal
from bench.deployment.stage import Placement


@dataclass(frozen=True)
class Macs:
    """Multiply-accumulates of one inference.

    Attributes
    ----------
    nodes : node name -> count; None where neither a counter nor the stage says anything
    placed : node name -> placement
    """

    nodes: Mapping[str, int | None]
    placed: Mapping[str, Placement]

    def total(self, placement: Placement | None = None) -> int | None:
        """Return the sum over a placement, or over all; None as soon as one node is unknown, never its zero."""
        counts = [count for name, count in self.nodes.items() if placement in (None, self.placed[name])]
        return None if None in counts else sum(count for count in counts if count is not None)

    def unknown(self, placement: Placement | None = None) -> tuple[str, ...]:
        """Return the nodes that nothing is known of."""
        return tuple(
            name for name, count in self.nodes.items() if count is None and placement in (None, self.placed[name])
        )


def count_macs(deployment: Deployment, signal: Signal) -> Macs:
    """Return the multiply-accumulates of running ``signal`` through the deployment.

    Parameters
    ----------
    signal : one image; the count is for the whole batch

    Notes
    -----
    torch's counter sees convolutions and matrix products, functional calls too (2 FLOPs = 1 MAC). It sees nothing of an
    FFT, a wavelet, a sort or NumPy: what a stage declares (``macs_declared``, an image) is added. A stage that the
    counter sees nothing of and that declares nothing is unknown.
    """
    counts: dict[str, int | None] = {}

    def counted(node: Node, inputs: tuple[Signal, ...]) -> Signal:
        with _Counter() as counter:
            result = run_node(node, inputs)
        seen, declared = counter.flops // 2, node.stage.macs_declared
        counts[node.name] = None if not seen and declared is None else seen + (declared or 0) * len(signal)
        return result

    def over_the_wire(node: Node, leaving: Signal) -> Signal:
        return node.stage.decode(node.stage.encode(leaving), leaving)

    with torch.no_grad():
        deployment.walk(signal, counted, over_the_wire)
    return Macs(counts, {node.name: node.placement for node in deployment.nodes})


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """torch's ``FlopCounterMode`` without its table by module, and without its import of the compiler (1.5 s)."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.flops = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing is compiled here; True makes torch import its compiler to keep it off

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        count = flop_registry.get(func._overloadpacket)
        if count is None and func is not torch.ops.prim.device.default:
            with self:
                parts = func.decompose(*args, **kwargs)
                if parts is not NotImplemented:
                    return parts
        result = func(*args, **kwargs)
        if count is not None:
            self.flops += int(count(*args, **kwargs, out_val=result))
        return result
