"""Is a stage's derivative what it says? Directional derivatives against finite differences."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bench.conformance.workbench import Passage
from bench.deployment import Signal
from bench.deployment.deployment import run_node

STEP = 5e-4  # in pixels: small beside the distances of neighbouring pixels, large beside float32's rounding
COARSE = 0.05  # a staircase that is flat under STEP moves under this
DIRECTIONS = 4
TOLERANCE = 0.05


@dataclass(frozen=True)
class Slope:
    """What was seen along random directions, medians over images and directions.

    Attributes
    ----------
    error : relative difference between autograd's directional derivative and the finite difference
    analytic, numeric : size of the two; numeric by the coarse step where the fine one sees nothing
    connected : autograd reached the input at all
    finite : autograd's derivative has no NaN or infinity
    """

    error: float
    analytic: float
    numeric: float
    connected: bool
    finite: bool


def slope(passage: Passage) -> Slope:
    """Return how one node's derivative with respect to its first input compares with finite differences."""
    # Off the ends of the box, where clamping bends everything, and without flat areas, where every pixel is a tie.
    image = passage.inputs[0].x.detach()
    x = 0.25 + 0.5 * image + 0.3 * _noise(image, 0)
    errors, sizes, differences, coarse = [], [], [], []
    leaf = x.clone().requires_grad_(True)
    output = _through(passage, leaf)
    connected = output.requires_grad
    finite = True
    weight = _noise(output, 1).sign()
    gradient = torch.zeros_like(x)
    if connected:
        (found,) = torch.autograd.grad((weight * output).sum(), leaf, allow_unused=True)
        connected = found is not None
        gradient = found if found is not None else gradient
        finite = bool(torch.isfinite(gradient).all())
    for number in range(DIRECTIONS):
        direction = _noise(x, 2 + number).sign()
        analytic = (gradient.double() * direction).flatten(1).sum(1)
        numeric = _difference(passage, x, direction, weight, STEP)
        errors.append((analytic - numeric).abs() / torch.maximum(analytic.abs(), numeric.abs()).clamp_min(1e-6))
        sizes.append(analytic.abs())
        differences.append(numeric.abs())
        coarse.append(_difference(passage, x, direction, weight, COARSE).abs())
    size = float(torch.cat(differences).median())
    return Slope(
        float(torch.cat(errors).median()),
        float(torch.cat(sizes).median()),
        size if size > 1e-6 else float(torch.cat(coarse).median()),
        connected,
        finite,
    )


@torch.no_grad()
def _difference(passage: Passage, x: Tensor, direction: Tensor, weight: Tensor, step: float) -> Tensor:
    ahead, behind = _through(passage, x + step * direction), _through(passage, x - step * direction)
    return (weight.double() * (ahead.double() - behind.double())).flatten(1).sum(1) / (2 * step)


def _through(passage: Passage, x: Tensor) -> Tensor:
    first: Signal = passage.inputs[0].replace(x)
    return run_node(passage.node, (first, *passage.inputs[1:])).x


def _noise(like: Tensor, seed: int) -> Tensor:
    return torch.rand(like.shape, generator=torch.Generator().manual_seed(seed)) - 0.5
