"""Fixed filters on feature maps, each channel for itself (specification section 2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

Border: TypeAlias = Literal["reflect", "replicate"]

_GAUSSIAN: Final = (0.274068619061197, 0.451862761877606, 0.274068619061197)  # sigma 1, sum 1
_LAPLACIAN: Final = ((1.0, 1.0, 1.0), (1.0, -8.0, 1.0), (1.0, 1.0, 1.0))  # all eight neighbours
_SOBEL: Final = ((-1.0, 0.0, 1.0), (-2.0, 0.0, 2.0), (-1.0, 0.0, 1.0))
_SOBEL_FLOOR: Final = 1e-6  # keeps the root's derivative finite where the map is flat


class _Filters(nn.Module):
    """Some 3x3 filters on every channel: (B, C, H, W) to (B, C * filters, H, W), a channel's filters side by side.

    Parameters
    ----------
    channels : C
    border : "reflect" (SciPy's ``mirror``) or "replicate" (its ``nearest``)
    """

    kernels: Tensor

    def __init__(self, channels: int, kernels: Sequence[Sequence[Sequence[float]]], border: Border) -> None:
        super().__init__()
        self.channels, self.border = channels, border
        each = torch.tensor(kernels, dtype=torch.float64)[:, None].repeat(channels, 1, 1, 1)
        self.register_buffer("kernels", each, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return functional.conv2d(framed(x, self.border), self.kernels.to(x.dtype), groups=self.channels)


def framed(x: Tensor, border: Border) -> Tensor:
    """Return ``x`` with one more row and column at each side.

    Notes
    -----
    The ONNX exporter loses the shape at torch's padding, so it gets rows and columns that are joined, to the same
    values. Their derivative, of slices, takes several times as long.
    """
    if not torch.onnx.is_in_onnx_export():
        with torch.autocast(x.device.type, enabled=False):  # it would copy as float32 what is bfloat16
            return functional.pad(x, (1, 1, 1, 1), mode=border)
    beyond = 1 if border == "reflect" else 0
    return _joined(_joined(x, beyond, 2), beyond, 3)


def _joined(x: Tensor, beyond: int, dim: int) -> Tensor:
    """Return ``x`` with a row or column more at either end: the end itself, or the one ``beyond`` it."""
    size = x.shape[dim]
    return torch.cat([x.narrow(dim, beyond, 1), x, x.narrow(dim, size - 1 - beyond, 1)], dim)


class Blur(_Filters):
    """Gaussian of 3x3, sigma 1."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, [[[a * b for b in _GAUSSIAN] for a in _GAUSSIAN]], "reflect")


class Laplacian(_Filters):
    """Sum of the eight neighbours less eight times the middle; not normalised."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, [_LAPLACIAN], "reflect")


class Sobel(_Filters):
    """Length of the gradient, sqrt(gx^2 + gy^2 + 1e-6); not normalised."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, [_SOBEL, list(zip(*_SOBEL, strict=True))], "replicate")

    def forward(self, x: Tensor) -> Tensor:
        both = super().forward(x)
        # A channel's two derivatives lie side by side.
        return (both[:, 0::2].square() + both[:, 1::2].square() + _SOBEL_FLOOR).sqrt()
