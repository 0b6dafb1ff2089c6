"""Uniform draws from norm balls, one stream an image."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

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
