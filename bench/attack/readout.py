"""Read-outs of two classes, one an image, in place of a deployment's last layer."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bench.attack.separation import Line
from bench.attack.threat import Threat
from bench.deployment import Deployment, Node, Signal, Stage
from bench.errors import Unavailable

ORDERS = {"linf": float("inf"), "l2": 2.0}


@dataclass
class Recognised:
    """Which of the known images each row of the present call is, int64, (B,)."""

    rows: Tensor


class Recognise(Stage):
    """Looks which known image each row of a call lies nearest to, and hands the rows on.

    Parameters
    ----------
    images : float32, (N, C, H, W), farther apart than twice epsilon: whoever stays in the balls is never mistaken

    Notes
    -----
    Attacks ask about any of their images in any order, over and over, and have no way of saying which. Unlike a
    deployment's own stages it leaves something behind, for the read-outs of the same call.
    """

    macs_declared = 0

    def __init__(self, images: Tensor, threat: Threat, found: Recognised) -> None:
        super().__init__()
        self.register_buffer("images", images.flatten(1))
        self.order, self.found = ORDERS[threat.norm], found

    @torch.no_grad()
    def forward(self, signal: Signal) -> Signal:
        self.found.rows = torch.cdist(signal.x.detach().flatten(1), self.get_buffer("images"), p=self.order).argmin(1)
        return signal


class Readout(nn.Module):
    """Two logits, (-s, s), s by the line of the image that the row is.

    Notes
    -----
    Products are summed in float32, also where autocast lowers layers: the gap may be small beside the features.

    Raises
    ------
    Unavailable : more or fewer rows than images
    """

    def __init__(self, lines: Sequence[Line], recognised: Recognised) -> None:
        super().__init__()
        for name in ("centre", "weight", "bias"):
            self.register_buffer(name, torch.stack([getattr(line, name) for line in lines]))
        self.recognised = recognised

    def forward(self, features: Tensor) -> Tensor:
        rows = self.recognised.rows
        _refuse(features, len(rows))
        centre, weight, bias = (self.get_buffer(name)[rows] for name in ("centre", "weight", "bias"))
        s = ((features.float().flatten(1) - centre) * weight).sum(1) + bias
        return torch.stack([-s, s], 1)


@dataclass(frozen=True)
class Opened:
    """A deployment whose last linear layer was found.

    Attributes
    ----------
    layer : the last ``torch.nn.Linear`` that runs, or where there is none the last 1x1 convolution of 1x1 maps
    """

    deployment: Deployment
    layer: nn.Module

    @classmethod
    def of(cls, deployment: Deployment, probe: Signal) -> Opened:
        """Return the deployment with the layer that ran last for ``probe``.

        Raises
        ------
        Unavailable : no such layer runs
        """
        ran: list[nn.Module] = []

        def note(module: nn.Module, given: tuple[Tensor, ...]) -> None:
            if isinstance(module, nn.Linear) or given[0].shape[2:] == (1, 1):
                ran.append(module)

        pointwise = [m for m in deployment.modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (1, 1)]
        layers = [*(m for m in deployment.modules() if isinstance(m, nn.Linear)), *pointwise]
        hooks = [layer.register_forward_pre_hook(note) for layer in layers]
        try:
            with torch.no_grad():
                deployment(probe)
        finally:
            for hook in hooks:
                hook.remove()
        dense = [layer for layer in ran if isinstance(layer, nn.Linear)]
        if not ran:
            raise Unavailable("The deployment runs no linear layer whose place a read-out could take.")
        return cls(deployment, (dense or ran)[-1])

    @torch.no_grad()
    def features(self, signal: Signal) -> Tensor:
        """Return what enters the layer each time that it runs, float32, (R, B, d).

        Raises
        ------
        Unavailable : something else than a vector an image
        """
        entered: list[Tensor] = []
        hook = self.layer.register_forward_pre_hook(lambda _, given: entered.append(given[0]))
        try:
            self.deployment(signal)
        finally:
            hook.remove()
        for features in entered:
            _refuse(features, len(signal))
        return torch.stack([features.float().flatten(1) for features in entered])

    def answering(self, lines: Sequence[Line], images: Tensor, threat: Threat) -> Deployment:
        """Return the deployment with the lines' read-outs wherever the layer was; the other weights are shared.

        Parameters
        ----------
        lines : one for each of ``images``, (N, C, H, W)
        """
        recognised = Recognised(torch.zeros(0, dtype=torch.int64))
        readout = Readout(lines, recognised)
        kept = {id(tensor): tensor for tensor in (*self.deployment.parameters(), *self.deployment.buffers())}
        nodes = copy.deepcopy(self.deployment, {**kept, id(self.layer): readout}).nodes
        # It runs first, and nobody takes what it gives: no border comes or goes by it.
        name = "recognise" + "".join(node.name for node in nodes)
        first = Node(name, Recognise(images, threat, recognised), placed=nodes[0].placement)
        return Deployment([first, *nodes])


def _refuse(features: Tensor, rows: int) -> None:
    if len(features) != rows or features.ndim not in (2, 4):
        raise Unavailable(
            f"What enters the last linear layer is {tuple(features.shape)} for {rows} images; expected a vector an "
            "image."
        )
