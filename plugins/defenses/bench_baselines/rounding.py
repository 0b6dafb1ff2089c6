"""Rounding with derivatives that an attacker can use."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor

Rounding = Callable[[Tensor], Tensor]

# From nearly a straight line to nearly a staircase while an attack goes on; ours. At 2 the slope runs from .66 (on an
# integer) to 1.31 (half-way between two), at 12 from 4e-4 to 6.
ANNEALED: Final = (2.0, 12.0)


def straight_through(v: Tensor) -> Tensor:
    """Return ``v`` rounded to integers, halves to the even one, with the derivative 1."""
    return v + (torch.round(v.detach()) - v.detach())


def soft_round(v: Tensor, hardness: float) -> Tensor:
    """Return floor(v) + 1/2 + tanh(h (v - floor(v) - 1/2)) / (2 tanh(h/2)): integers stay, the rest is drawn to them.

    Notes
    -----
    Continuous, with a continuous derivative above zero; h -> 0 gives v, h -> infinity rounding.

    References
    ----------
    Agustsson and Theis, "Universally Quantized Neural Compression", NeurIPS 2020.
    """
    floor = torch.floor(v.detach())
    scale = 0.5 / math.tanh(hardness / 2)
    return floor + 0.5 + scale * torch.tanh(hardness * (v - floor - 0.5))


def cubic_round(v: Tensor) -> Tensor:
    """Return round(v) + (v - round(v))^3: exact at integers, where its derivative is zero.

    References
    ----------
    Shin and Song, "JPEG-resistant Adversarial Images", NIPS 2017 workshop on machine learning and computer security.
    """
    nearest = torch.round(v.detach())
    return nearest + (v - nearest) ** 3


def annealed_hardness(progress: float) -> float:
    """Return the hardness for ``progress``, in [0, 1], of an attack; geometric between the ends of ``ANNEALED``."""
    start, end = ANNEALED
    return start * math.pow(end / start, progress)
