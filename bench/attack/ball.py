"""Random points inside a threat's ball and on its border, as a camera would deliver them."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from bench.attack.threat import Threat
from bench.deployment import Draws


def inner_points(x: Tensor, threat: Threat, draws: Draws, count: int, *, share: float) -> Tensor:
    """Return uniform points of the ball of ``share`` times the radius, cut by the box, float32, (count, C, H, W).

    Parameters
    ----------
    x : float32, (1, C, H, W)
    draws : one stream

    Notes
    -----
    On the grid v/255, a pixel of an Linf ball takes each step up to share * epsilon with equal chance.
    """
    shape = (count, *x.shape[1:])
    radius = share * threat.epsilon
    if threat.norm == "linf":
        u = torch.from_numpy(draws.uniform("inner", *shape)[0])
        if threat.domain == "uint8":
            steps = math.floor(radius * 255.0 + 1e-4)
            return _delivered(x, (torch.floor(u * (2 * steps + 1)) - steps) / 255.0, threat)
        return _delivered(x, (2 * u - 1) * radius, threat)
    reach = torch.from_numpy(draws.uniform("reach", count)[0]) ** (1 / x[0].numel())
    return _delivered(x, _directions(draws, "inner", shape) * (radius * reach)[:, None, None, None], threat)


def boundary_points(x: Tensor, threat: Threat, draws: Draws, count: int) -> Tensor:
    """Return points of the border, cut by the box, float32, (count, C, H, W): corners of an Linf ball."""
    shape = (count, *x.shape[1:])
    if threat.norm == "linf":
        sign = torch.where(torch.from_numpy(draws.uniform("border", *shape)[0]) < 0.5, -1.0, 1.0)
        return _delivered(x, sign * threat.epsilon, threat)
    return _delivered(x, _directions(draws, "border", shape) * threat.epsilon, threat)


def _directions(draws: Draws, name: str, shape: tuple[int, ...]) -> Tensor:
    normal: Tensor = torch.from_numpy(draws.normal(name, *shape)[0])
    length: Tensor = normal.square().sum((1, 2, 3), keepdim=True).sqrt()
    return normal / length


def _delivered(x: Tensor, change: Tensor, threat: Threat) -> Tensor:
    moved = (x.double() + change).clamp(0.0, 1.0).float()
    return threat.realise(x.expand_as(moved), moved)
