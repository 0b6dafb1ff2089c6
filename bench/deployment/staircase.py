"""Values that no autograd made, with the derivative that an attacker is to see."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class _WithSlope(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, exact: Tensor, x: Tensor, slope: float) -> Tensor:
        ctx.slope = slope
        return exact.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[None, Tensor, None]:
        return None, grads[0] * ctx.slope if ctx.slope else torch.zeros_like(grads[0]), None


def with_slope(exact: Tensor, x: Tensor, slope: float) -> Tensor:
    """Return ``exact`` to the bit, with the derivative ``slope`` in ``x``, where gradients are recorded.

    Parameters
    ----------
    exact, x : (B, ...), of one shape
    slope : 0 for a staircase as it runs: a white-box attacker gets that rather than an error of autograd; 1 for what
        passes a border as bytes and comes back as it was
    """
    if not (torch.is_grad_enabled() and x.requires_grad):
        return exact
    result: Tensor = _WithSlope.apply(exact, x, slope)  # type: ignore[no-untyped-call]
    return result
