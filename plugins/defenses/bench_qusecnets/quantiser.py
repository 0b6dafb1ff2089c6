"""The mathematics of quantisers: thresholds, codes, and the sum of sigmoids that stands for them in training.

Thresholds are shared by all channels, shape (N,), or given for each, shape (C, N). N is levels - 1, or levels in the
form of the authors' code, whose last threshold at 1 and whose clip change the soft form only.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor


def uniform_thresholds(levels: int, *, reference: bool = False) -> Tensor:
    """Return i/levels for i = 1 .. levels - 1, float32; up to levels, hence with 1.0, in the reference form."""
    count = levels if reference else levels - 1
    return (torch.arange(1, count + 1, dtype=torch.float64) / levels).float()


def rounding_thresholds(levels: int) -> Tensor:
    """Return (i - 1/2)/(levels - 1), float32, (levels - 1,): Q is then the nearest level, bit-depth squeezing."""
    return ((torch.arange(1, levels, dtype=torch.float64) - 0.5) / (levels - 1)).float()


def hard_thresholds(thresholds: Tensor, levels: int) -> Tensor:
    """Return the thresholds of the hard quantiser, ascending, (..., levels - 1).

    Notes
    -----
    In the reference form the code is min(#{x >= t_i}, levels - 1), which the largest threshold can never change.
    """
    return thresholds.detach().sort(-1).values[..., : levels - 1].contiguous()


def codes(x: Tensor, thresholds: Tensor) -> Tensor:
    """Return #{i : x >= t_i}, int64, the shape of ``x``.

    Parameters
    ----------
    x : (B, C, H, W), in [0, 1]; any shape where the thresholds are shared
    thresholds : ascending, (N,) or (C, N), of the type of ``x``

    Notes
    -----
    Ties go up: ``right=True``. With t = i/L this is min(v * L // 255, L - 1) for every grey v/255 in float32.
    """
    x = x.contiguous()
    if thresholds.ndim == 1:
        return torch.bucketize(x, thresholds, right=True)
    return torch.stack([torch.bucketize(x[:, c].contiguous(), t, right=True) for c, t in enumerate(thresholds)], 1)


def values(code: Tensor, levels: int) -> Tensor:
    """Return code/(levels - 1), float32: the one place that turns codes into what a classifier sees."""
    return code.float() / (levels - 1)


def soft_values(x: Tensor, thresholds: Tensor, hardness: float, levels: int) -> Tensor:
    """Return min(1, sum_i sigmoid(h (x - t_i)) / (levels - 1)), differentiable in ``x`` and in the thresholds.

    Parameters
    ----------
    x : float, (B, C, H, W), in [0, 1]; any shape where the thresholds are shared
    thresholds : (N,) or (C, N), in any order

    Notes
    -----
    The derivative is written as sigmoid(z) sigmoid(-z). The authors' 1/(1 + exp(-z)) has a NaN derivative in float32
    for z < -88.72, which attack libraries turn into zero; autograd's s (1 - s) is zero already for z > 16.6.
    One threshold at a time: a tensor of (B, C, H, W, levels) is never made.
    """
    result: Tensor = _SoftValues.apply(x, thresholds, hardness, levels)  # type: ignore[no-untyped-call]
    return result


def effective_levels(thresholds: Tensor, levels: int) -> int:
    """Return how many codes the 256 greys really take; the fewest of all channels."""
    greys = torch.arange(256, dtype=torch.float32, device=thresholds.device) / 255.0
    rows = hard_thresholds(thresholds, levels).reshape(-1, levels - 1)
    return min(len(torch.unique(codes(greys, row))) for row in rows)


class _SoftValues(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, thresholds: Tensor, hardness: float, levels: int) -> Tensor:
        total = torch.zeros_like(x)
        for t in _one_by_one(thresholds):
            total += torch.sigmoid(hardness * (x - t))
        # Active in the reference form only: levels - 1 sigmoids never sum to more than levels - 1.
        clipped = total > levels - 1
        ctx.save_for_backward(x, thresholds, clipped)
        ctx.hardness, ctx.levels = hardness, levels
        return total.clamp(max=levels - 1) / (levels - 1)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        x, thresholds, clipped = ctx.saved_tensors
        wants_x, wants_thresholds = ctx.needs_input_grad[:2]
        scaled = grads[0].masked_fill(clipped, 0.0) * (ctx.hardness / (ctx.levels - 1))
        slope = torch.zeros_like(x) if wants_x else None
        columns = []
        for t in _one_by_one(thresholds):
            z = ctx.hardness * (x - t)
            p = torch.sigmoid(z) * torch.sigmoid(-z)
            if slope is not None:
                slope += p
            if wants_thresholds:
                columns.append(-(scaled * p).sum((0, 2, 3) if thresholds.ndim == 2 else None))
        return (
            None if slope is None else scaled * slope,
            torch.stack(columns, -1) if wants_thresholds else None,
            None,
            None,
        )


def _one_by_one(thresholds: Tensor) -> Iterator[Tensor]:
    """Give each threshold in a shape that meets (B, C, H, W)."""
    for column in thresholds.unbind(-1):
        yield column if thresholds.ndim == 1 else column[:, None, None]
