"""Is a stage's derivative what it says? Directional derivatives against finite differences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from bench.deployment.deployment import run_node
from bench.deployment.passage import Passage
from bench.deployment.signal import Signal

# In pixels. The shortest step keeps the order of pixels within a median's window, the longest stands above a deep net's
# rounding in float32; a true derivative agrees with one of them, a wrong one with none.
STEPS = (1e-3, 1e-4, 1e-5)
COARSE = 0.05  # a staircase that is flat under STEPS moves under this
DIRECTIONS = 4
TOLERANCE = 0.1


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
    """Return how one node's derivative with respect to its inputs compares with finite differences."""
    # Off the ends of the box, where clamping bends everything, and without flat areas, where every pixel is a tie.
    given = [signal.x.detach() for signal in passage.inputs]
    x = [0.25 + 0.5 * image + 0.3 * _noise(image, 0) for image in given]
    leaves = [image.clone().requires_grad_(True) for image in x]
    output = _through(passage, leaves)
    connected = output.requires_grad
    weight = _noise(output, 1)  # of no two equal sizes: ten signs cancel to nothing in every fourth direction
    gradients: Sequence[Tensor] = [torch.zeros_like(image) for image in x]
    if connected:
        found = torch.autograd.grad((weight * output).sum(), leaves, allow_unused=True)
        connected = any(gradient is not None for gradient in found)
        gradients = [z if gradient is None else gradient for z, gradient in zip(gradients, found, strict=True)]
    finite = all(bool(torch.isfinite(gradient).all()) for gradient in gradients)
    directions = [[_noise(image, 2 + number).sign() for image in x] for number in range(DIRECTIONS)]
    analytic = torch.stack([_along(gradients, direction) for direction in directions])
    errors, differences = [], []
    for step in STEPS:
        numeric = torch.stack([_difference(passage, x, direction, weight, step) for direction in directions])
        size = torch.maximum(analytic.abs(), numeric.abs()).clamp_min(1e-6)
        errors.append(float(((analytic - numeric).abs() / size).median()))
        differences.append(float(numeric.abs().median()))
    coarse = torch.stack([_difference(passage, x, direction, weight, COARSE) for direction in directions])
    return Slope(
        error=min(errors),
        analytic=float(analytic.abs().median()),
        numeric=max(*differences) if max(differences) > 1e-6 else float(coarse.abs().median()),
        connected=connected,
        finite=finite,
    )


@torch.no_grad()
def _difference(
    passage: Passage, x: Sequence[Tensor], direction: Sequence[Tensor], weight: Tensor, step: float
) -> Tensor:
    ahead, behind = (
        _through(passage, [image + sign * step * moved for image, moved in zip(x, direction, strict=True)])
        for sign in (1, -1)
    )
    return (weight.double() * (ahead.double() - behind.double())).flatten(1).sum(1) / (2 * step)


def _through(passage: Passage, x: Sequence[Tensor]) -> Tensor:
    moved: tuple[Signal, ...] = tuple(s.replace(image.clone()) for s, image in zip(passage.inputs, x, strict=True))
    return run_node(passage.node, moved).x


def _along(gradients: Sequence[Tensor], direction: Sequence[Tensor]) -> Tensor:
    parts = [(g.double() * d).flatten(1).sum(1) for g, d in zip(gradients, direction, strict=True)]
    return torch.stack(parts).sum(0)


def _noise(like: Tensor, seed: int) -> Tensor:
    return torch.rand(like.shape, generator=torch.Generator().manual_seed(seed)) - 0.5
