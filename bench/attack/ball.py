"""Random points of balls: around zero, and around an image as a camera would deliver them."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.attack.threat import Threat
from bench.deployment import Draws
from bench.plugins.entries import Norm


def uniform_in_ball(draws: Draws, shape: tuple[int, ...], norm: Norm, radius: float) -> NDArray[np.float64]:
    """Return one point of the ball around zero for each image, float64, (B, *shape).

    Notes
    -----
    Linf: independent coordinates. L2: a direction by normals, a radius by U^(1/d). L1: Laplace coordinates divided by
    their sum plus one more exponential (Barthe et al., Annals of Probability 33, 2005). L0: ``floor(radius)``
    coordinates chosen at random, each uniform in [-1, 1].
    """
    size = int(np.prod(shape))
    if norm == "linf":
        flat = (2.0 * draws.uniform("ball", size) - 1.0) * radius
    elif norm == "l2":
        direction = draws.normal("ball", size)
        length = draws.uniform("radius", 1) ** (1.0 / size)
        flat = direction / np.linalg.norm(direction, axis=1, keepdims=True) * length * radius
    elif norm == "l1":
        magnitude = -np.log1p(-draws.uniform("ball", size))
        slack = -np.log1p(-draws.uniform("radius", 1))
        sign = np.where(draws.uniform("sign", size) < 0.5, -1.0, 1.0)
        flat = sign * magnitude / (magnitude.sum(1, keepdims=True) + slack) * radius
    else:
        order = draws.uniform("ball", size).argsort(1).argsort(1)
        flat = np.where(order < int(radius), 2.0 * draws.uniform("value", size) - 1.0, 0.0)
    return flat.reshape(len(draws), *shape)


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
