"""Which way to a gradient gets clearly further than the usual one, as seen in a short attack."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional as F

from bench.attack.ways import LEARNED, backward
from bench.deployment import Deployment, Draws, Signal

IMAGES: Final = 32  # ours
_STEPS: Final = 5  # ours, each of half the radius
_SHARE: Final = 0.25  # of the threat's radius: at the whole of it most ways break every image, and none stands out
_CLEAR: Final = 0.125  # of the images, four of 32: what differs by less may change with the machine; ours
_GREY: Final = 1.0 / 255.0


def furthest(deployment: Deployment, x: Tensor, names: Sequence[bytes], ways: Sequence[str], radius: float) -> str:
    """Return the way that turns clearly more answers than the usual one, "" where none does.

    Parameters
    ----------
    x : float32, (B, C, H, W), on the 8-bit grid in [0, 1]
    names : of the images, for their draws
    ways : as ``bench.attack.ways.ways`` lists them, the usual one first; one that has to be learned is not tried
    radius : of the Linf threat, in pixels of [0, 1]

    Notes
    -----
    A few signed gradient steps of cross-entropy in a quarter of the radius, but no less than a grey level. Measured,
    since what a defense declares of its stand-ins is its author's word.
    """
    tried = [way for way in ways if way != LEARNED]
    if len(tried) < 2:
        return ""
    turned = [_turned(deployment, x, names, way, max(_SHARE * radius, _GREY)) for way in tried]
    best = max(range(len(tried)), key=lambda place: turned[place])  # of equals the first
    return tried[best] if turned[best] - turned[0] >= _CLEAR * len(x) else ""


def _turned(deployment: Deployment, x: Tensor, names: Sequence[bytes], way: str, radius: float) -> int:
    """Return how many answers a short attack in that way changes."""
    through, x_adv = backward(way), x
    assert through is not None
    with torch.no_grad():
        y = deployment(Signal(x, Draws.of("probe", 0, names))).x.argmax(1)
    for step in range(_STEPS):
        image = x_adv.detach().requires_grad_(True)
        answer = through(deployment, Signal(image, Draws.of("probe", 1, names, step)), 1.0).x
        (gradient,) = torch.autograd.grad(F.cross_entropy(answer, y, reduction="sum"), image)
        moved = x_adv + 0.5 * radius * gradient.nan_to_num(0.0, 0.0, 0.0).sign()
        x_adv = torch.minimum(torch.maximum(moved, x - radius), x + radius).clamp(0.0, 1.0).detach()
    delivered = torch.round(x_adv * 255.0) / 255.0
    with torch.no_grad():
        return int((deployment(Signal(delivered, Draws.of("probe", 0, names))).x.argmax(1) != y).sum())
