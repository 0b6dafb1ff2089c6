"""Median smoothing: every value becomes the median of its neighbourhood, on the server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from bench.deployment import Capture, Classify, Deployment, FitResult, Placement, Stage, Surrogate
from bench_baselines.sizes import refuse_window


class MedianFilter(Stage):
    """Replace every value by the median over a window of its channel.

    Parameters
    ----------
    window : side of the window in pixels. A window of even side reaches one pixel farther up and left, and of the two
        values in the middle the larger one is taken

    Notes
    -----
    ``scipy.ndimage.median_filter(x, (1, 1, window, window), mode="reflect")``, as ART's ``SpatialSmoothing`` calls it:
    at the border the image is mirrored about its edge (d c b a | a b c d | d c b a). ART's
    ``SpatialSmoothingPyTorch`` mirrors about the last pixel's middle, takes the smaller of the middle two, and so
    differs from it. The derivative is the median's own: that of the value taken, shared out among equal ones.

    References
    ----------
    Xu, Evans, Qi, "Feature Squeezing: Detecting Adversarial Examples in Deep Neural Networks", NDSS 2018.
    """

    placement: Placement = "server"
    macs_declared = 0  # comparisons only

    def __init__(self, window: int) -> None:
        super().__init__()
        self.window = window

    @property
    def surrogates(self) -> Mapping[str, Surrogate]:
        """``identity``: of neighbours the true derivative reaches one alone, which changes as the image moves."""
        return {"identity": lambda signal, progress: signal}

    def transform(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        padded = x[:, :, self._mirrored(height, x.device)][..., self._mirrored(width, x.device)]
        if not (torch.is_grad_enabled() and x.requires_grad):
            return _median(_views(padded, self.window))
        out: Tensor = _WindowMedian.apply(padded, self.window)  # type: ignore[no-untyped-call]
        return out

    def _mirrored(self, side: int, device: torch.device) -> Tensor:
        """Return which row or column stands at each place of the padded image."""
        before = self.window // 2
        places = torch.arange(-before, side + self.window - 1 - before, device=device) % (2 * side)
        return torch.minimum(places, 2 * side - 1 - places)


def _views(padded: Tensor, window: int) -> list[Tensor]:
    """Return the image once for each place in the window, moved so that the place comes to lie on the pixel."""
    height, width = padded.shape[2] - window + 1, padded.shape[3] - window + 1
    return [padded[..., i : i + height, j : j + width] for i in range(window) for j in range(window)]


def _median(values: list[Tensor]) -> Tensor:
    """Return the median of tensors, value by value; of an even number the larger of the middle two.

    Notes
    -----
    Forgetful selection: of n/2 + 2 values neither the smallest nor the largest is the median, so both make room for one
    of those that wait. Whole tensors are compared, which is many times faster than sorting window by window.
    """
    waiting = list(values)
    if len(waiting) % 2 == 0:
        waiting.append(torch.full_like(values[0], torch.inf))
    count = len(waiting) // 2 + 2
    held, waiting = waiting[:count], waiting[count:]
    while len(held) > 1:
        held = _without_extremes(held) + waiting[:1]
        waiting = waiting[1:]
    return held[0]


def _without_extremes(values: list[Tensor]) -> list[Tensor]:
    """Return all but the smallest and the largest of three or more tensors, value by value."""
    half = len(values) // 2
    pairs = list(zip(values[:half], values[half : 2 * half], strict=True))
    low, high = [torch.minimum(a, b) for a, b in pairs], [torch.maximum(a, b) for a, b in pairs]
    kept = []
    if len(values) % 2:
        odd = torch.maximum(low[0], values[-1])
        low[0] = torch.minimum(low[0], values[-1])
        kept.append(torch.minimum(high[0], odd))
        high[0] = torch.maximum(high[0], odd)
    smallest, largest = low[0], high[0]
    for below, above in zip(low[1:], high[1:], strict=True):
        kept += [torch.maximum(smallest, below), torch.minimum(largest, above)]
        smallest, largest = torch.minimum(smallest, below), torch.maximum(largest, above)
    return kept


class _WindowMedian(torch.autograd.Function):
    """The median over windows of a padded image, with a backward pass that keeps the image alone in memory."""

    @staticmethod
    def forward(ctx: Any, padded: Tensor, window: int) -> Tensor:
        median = _median(_views(padded, window))
        ctx.save_for_backward(padded, median)
        ctx.window = window
        return median

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        padded, median = ctx.saved_tensors
        taken = [view == median for view in _views(padded, ctx.window)]
        share = grads[0] / sum(flags.to(median.dtype) for flags in taken)
        gradient = torch.zeros_like(padded)
        for view, flags in zip(_views(gradient, ctx.window), taken, strict=True):
            view += share * flags
        return gradient, None


class MedianSmoothing:
    """The image over the wire as it is; median and the unchanged classifier on the server.

    Parameters
    ----------
    window : side of the window in pixels
    """

    def __init__(self, *, window: int = 3) -> None:
        self.window = window

    def deploy(self, network: nn.Module, result: FitResult, shape: tuple[int, int, int]) -> Deployment:
        """Return the deployment; nothing of it is learned.

        Raises
        ------
        UsageError : a window larger than the image
        """
        refuse_window(self.window, shape)
        return Deployment.chain(Capture(), MedianFilter(self.window), Classify(network))
