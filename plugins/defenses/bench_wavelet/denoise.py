"""Wavelet denoising as a stage on the server."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from bench.deployment import Stage
from bench_wavelet import haar


class WaveletDenoise(Stage):
    """Soft BayesShrink thresholds on Haar coefficients, noise estimated, in YCbCr where there are three channels.

    Parameters
    ----------
    skip_zeros : leave exact zeros out of the noise estimate, as scikit-image does; on images with an empty background
        that makes the estimate huge

    Notes
    -----
    ``skimage.restoration.denoise_wavelet(x, convert2ycbcr=True, method="BayesShrink", mode="soft", channel_axis=-1)``
    and a clip to [0, 1]; an image without a nonzero finest coefficient stays as it is, where the library gives NaN.
    Chang, Yu, Vetterli, "Adaptive wavelet thresholding for image denoising and compression", IEEE TIP 9(9), 2000.
    """

    # Its derivative, which autograd gives, is true almost everywhere and a poor guide: it cuts nearly all fine detail,
    # while a change large enough to matter passes the thresholds (cosine of predicted and true change .34, of the
    # identity .52). So it is declared as one that attackers should replace.
    differentiable = False

    def __init__(self, shape: tuple[int, int, int], *, skip_zeros: bool) -> None:
        super().__init__()
        self.skip_zeros = skip_zeros
        channels, height, width = shape
        pixels = channels * height * width
        transform = sum(8 * pixels // 4**level for level in range(haar.levels(height, width)))
        self.macs_declared = transform + (18 * height * width if channels == 3 else 0)

    def transform(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu":
            return denoise(x, skip_zeros=self.skip_zeros)
        out: Tensor = _Compiled.apply(x, self.skip_zeros)  # type: ignore[no-untyped-call]
        return out


class _Compiled(torch.autograd.Function):
    """The compiled values with the derivative of the tensor form."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, skip_zeros: bool) -> Tensor:
        ctx.save_for_backward(x)
        ctx.skip_zeros = skip_zeros
        return torch.from_numpy(haar.denoise(x.detach().numpy(), skip_zeros=skip_zeros))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        with torch.enable_grad():
            given = x.detach().requires_grad_(True)
            (gradient,) = torch.autograd.grad(denoise(given, skip_zeros=ctx.skip_zeros), given, grads[0])
        return gradient, None


def denoise(x: Tensor, *, skip_zeros: bool) -> Tensor:
    """Return what ``haar.denoise`` returns, as tensor operations: for accelerators and for the derivative.

    Parameters
    ----------
    x : float32 or float64, (B, C, H, W), in [0, 1]
    """
    planes = x.double()
    coloured = x.shape[1] == 3
    offset = torch.from_numpy(haar.YCBCR_OFFSET).to(x.device)[:, None, None]
    low: Tensor | float = 0.0
    scale: Tensor | float = 1.0
    if coloured:
        planes = _mixed(planes, haar.TO_YCBCR) + offset
        low = planes.amin((2, 3), keepdim=True)
        scale = planes.amax((2, 3), keepdim=True) - low
        scale = torch.where(scale == 0, 1.0, scale)  # a constant plane has no details: it comes back as it was
        planes = (planes - low) / scale
    planes = _shrunk(planes, haar.levels(*x.shape[2:]), skip_zeros) * scale + low
    if coloured:
        planes = _mixed(planes - offset, haar.FROM_YCBCR)
    return planes.clamp(0.0, 1.0).to(x.dtype)


def _mixed(planes: Tensor, matrix: NDArray[np.float64]) -> Tensor:
    """Return linear combinations of three planes, added from left to right as the compiled form does."""
    r, g, b = planes.unbind(1)
    return torch.stack([float(row[0]) * r + float(row[1]) * g + float(row[2]) * b for row in matrix], 1)


def _shrunk(planes: Tensor, depth: int, skip_zeros: bool) -> Tensor:
    sides, bands = [], []
    for level in range(depth):
        sides.append(planes.shape[2:])
        planes, details = _split(planes)
        if level == 0:
            variance = _noise(details[:, :, 2], skip_zeros).square()[..., None, None, None]
        spread = details.square().mean((3, 4), keepdim=True) - variance
        threshold = variance / spread.clamp(min=haar.EPS).sqrt()
        bands.append(torch.sign(details) * (details.abs() - threshold).clamp(min=0.0))
    for (height, width), details in zip(reversed(sides), reversed(bands), strict=True):
        planes = _joined(planes, details)[..., :height, :width]
    return planes


def _noise(finest: Tensor, skip_zeros: bool) -> Tensor:
    """Return the standard deviation of the noise, (B, C), of the finest diagonal coefficients, (B, C, h, w)."""
    sizes = finest.abs().flatten(2)
    if skip_zeros:
        silent = (sizes == 0).all(2, keepdim=True)
        sizes = torch.where((sizes == 0) & ~silent, torch.nan, sizes)
    return torch.nanquantile(sizes, 0.5, dim=2) / haar.NORMAL_QUARTILE


def _split(planes: Tensor) -> tuple[Tensor, Tensor]:
    """Return averages, (B, C, h, w), and three bands of differences, (B, C, 3, h, w)."""
    height, width = planes.shape[2:]
    planes = F.pad(planes, (0, width % 2, 0, height % 2), mode="replicate")
    a, b, c, d = planes[..., ::2, ::2], planes[..., ::2, 1::2], planes[..., 1::2, ::2], planes[..., 1::2, 1::2]
    share = haar.SHARE  # the compiled form's order of operations, for the sake of exact zeros
    a, b, c, d = share * a, share * b, share * c, share * d
    left_sum, right_sum, left_step, right_step = share * (c + a), share * (d + b), share * (a - c), share * (b - d)
    details = torch.stack([left_sum - right_sum, right_step + left_step, left_step - right_step], 2)
    return right_sum + left_sum, details


def _joined(low: Tensor, details: Tensor) -> Tensor:
    h, v, d = details.unbind(2)
    top = torch.stack([low + h + v + d, low - h + v - d], -1).flatten(-2)
    bottom = torch.stack([low + h - v - d, low - h - v + d], -1).flatten(-2)
    return torch.stack([top, bottom], -2).flatten(-3, -2) / 2
