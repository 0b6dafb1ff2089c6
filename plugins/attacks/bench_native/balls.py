"""Norm balls around images: directions of steepest ascent, projections, starting points.

Perturbations are float32, (B, C, H, W); lengths and radii (B,), or one number for all.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from bench.attack.ball import uniform_in_ball
from bench.deployment import Draws
from bench.plugins.entries import Norm

SPARSE = 0.01  # share of values that one L1 step moves: Tramer and Boneh 2019, section 4.1, q = 99 %
_INWARDS = 2.0**-22


def length(delta: Tensor, norm: Norm) -> Tensor:
    """Return the norm of each perturbation, (B,)."""
    order: dict[Norm, float] = {"linf": math.inf, "l2": 2, "l1": 1}
    lengths: Tensor = torch.linalg.vector_norm(delta.flatten(1), ord=order[norm], dim=1)
    return lengths


def dual_length(gradient: Tensor, norm: Norm) -> Tensor:
    """Return the dual norm of each gradient, (B,): how fast the loss can rise for each unit of ``norm``."""
    duals: dict[Norm, Norm] = {"linf": "l1", "l2": "l2", "l1": "linf"}
    return length(gradient, duals[norm])


def per_image(values: Tensor, like: Tensor) -> Tensor:
    """Return numbers, (B,), in a shape that goes with images, (B, 1, 1, 1)."""
    return values.reshape(-1, *[1] * (like.dim() - 1))


def steepest(gradient: Tensor, norm: Norm) -> Tensor:
    """Return the step of length 1 along which the loss rises fastest; zero where the gradient is.

    Notes
    -----
    Linf: signs. L2: the gradient over its length, both over its largest value first: squares of small gradients, such
    as those of the cross-entropy where the answer is sure, are 0 in float32. L1: signs of the ``SPARSE`` share of
    values with the largest gradients, each of size 1 / their number; a single value, which is steepest in truth, is
    used up at the box's edge.

    References
    ----------
    Tramer and Boneh, NeurIPS 2019, arXiv 1904.13000, section 4.1 (sparse L1 descent).
    """
    if norm == "linf":
        return gradient.sign()
    if norm == "l2":
        largest = length(gradient, "linf")
        even = gradient / per_image(torch.where(largest == 0, 1.0, largest), gradient)
        return even / per_image(length(even, "l2").clamp(min=1.0), gradient)
    flat = gradient.flatten(1)
    count = max(1, round(SPARSE * flat.shape[1]))
    rows = flat.abs().topk(count, 1).indices
    return torch.zeros_like(flat).scatter(1, rows, flat.gather(1, rows).sign() / count).reshape(gradient.shape)


def still(gradient: Tensor) -> Tensor:
    """Return which gradients are zero everywhere, bool, (B,)."""
    return (gradient == 0).flatten(1).all(1)


def project(delta: Tensor, radius: Tensor | float, norm: Norm) -> Tensor:
    """Return the nearest perturbation with at most this length.

    References
    ----------
    L1: Duchi et al., ICML 2008, figure 1.
    """
    bound = torch.as_tensor(radius, dtype=torch.float64).expand(len(delta))
    if norm == "linf":
        sides = per_image(bound, delta).float()
        return torch.minimum(torch.maximum(delta, -sides), sides)
    if norm == "l2":
        size = length(delta, "l2")
        share = torch.where(size == 0, 1.0, torch.minimum(torch.ones(1), bound / size))
        return (delta * per_image(share, delta)).float()
    flat = delta.flatten(1).double()
    sizes = flat.abs().sort(1, descending=True).values
    excess = sizes.cumsum(1) - bound[:, None]
    ranks = torch.arange(1, flat.shape[1] + 1)
    last = (sizes * ranks > excess).sum(1, keepdim=True).clamp(min=1)
    cut = (excess.gather(1, last - 1) / last).clamp(min=0)  # 0 inside the ball
    return (flat.sign() * (flat.abs() - cut).clamp(min=0)).reshape(delta.shape).float()


def within(x: Tensor, moved: Tensor, radius: Tensor | float, norm: Norm) -> Tensor:
    """Return ``moved`` brought into the box, then into the ball around ``x``, which stays in the box."""
    return x + project(moved.clamp(0.0, 1.0) - x, radius, norm)


def settle(x: Tensor, x_adv: Tensor, epsilon: float, norm: Norm) -> Tensor:
    """Return ``x_adv`` inside ball and box exactly: x + delta in float32 may lie some units in the last place outside.

    Notes
    -----
    Linf: the bounds x ± epsilon, rounded inwards. Others: shrunk until float64 agrees.
    """
    x_adv = x_adv.clamp(0.0, 1.0)
    centre = x.double()
    if norm == "linf":
        low, high = (centre - epsilon).float(), (centre + epsilon).float()
        low = torch.where(low.double() < centre - epsilon, torch.nextafter(low, torch.tensor(2.0)), low)
        high = torch.where(high.double() > centre + epsilon, torch.nextafter(high, torch.tensor(-2.0)), high)
        return torch.minimum(torch.maximum(x_adv, low), high).clamp(0.0, 1.0)
    shrink = _INWARDS
    while bool((outside := length(x_adv.double() - centre, norm) > epsilon).any()):
        delta = x_adv.double() - centre
        share = torch.where(outside, epsilon / length(delta, norm) * (1 - shrink), 1.0)
        x_adv = torch.where(
            per_image(outside, x), (centre + delta * per_image(share, x)).float().clamp(0.0, 1.0), x_adv
        )
        shrink *= 2
    return x_adv


def uniform(draws: Draws, shape: tuple[int, ...], radius: float, norm: Norm) -> Tensor:
    """Return one uniform point of the ball around zero for each image, float32, (B, *shape)."""
    return torch.from_numpy(uniform_in_ball(draws, shape, norm, radius)).float()


def edge(draws: Draws, shape: tuple[int, ...], radius: float, norm: Norm) -> Tensor:
    """Return a random point on the surface of the ball around zero for each image, float32, (B, *shape).

    Notes
    -----
    As APGD starts (Croce and Hein 2020, released code): Linf uniform values, L2 normal ones, scaled to the radius.
    """
    size = math.prod(shape)
    flat = draws.normal("edge", size) if norm == "l2" else 2.0 * draws.uniform("edge", size) - 1.0
    point = torch.from_numpy(flat).reshape(-1, *shape)
    return (point / per_image(length(point, norm), point) * radius).float()
