"""Fixed filters on feature maps, each channel for itself (specification section 2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

_GAUSSIAN: Final = (0.274068619061197, 0.451862761877606, 0.274068619061197)  # sigma 1, sum 1
_LAPLACIAN: Final = ((1.0, 1.0, 1.0), (1.0, -8.0, 1.0), (1.0, 1.0, 1.0))  # all eight neighbours
_SOBEL: Final = ((-1.0, 0.0, 1.0), (-2.0, 0.0, 2.0), (-1.0, 0.0, 1.0))
_SOBEL_FLOOR: Final = 1e-6  # keeps the root's derivative finite where the map is flat


class _Filters(nn.Module):
    """Some 3x3 filters on every channel: (B, C, H, W) to (B, C * filters, H, W), a channel's filters side by side.

    Parameters
    ----------
    border : torch's name; ``reflect`` is SciPy's ``mirror``, ``replicate`` its ``nearest``
    """

    kernels: Tensor

    def __init__(self, kernels: Sequence[Sequence[Sequence[float]]], border: str) -> None:
        super().__init__()
        self.border = border
        self.register_buffer("kernels", torch.tensor(kernels, dtype=torch.float64)[:, None], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        channels = x.shape[1]
        padded = functional.pad(x, (1, 1, 1, 1), mode=self.border)
        return functional.conv2d(padded, self.kernels.to(x.dtype).repeat(channels, 1, 1, 1), groups=channels)


class Blur(_Filters):
    """Gaussian of 3x3, sigma 1."""

    def __init__(self) -> None:
        super().__init__([[[a * b for b in _GAUSSIAN] for a in _GAUSSIAN]], "reflect")


class Laplacian(_Filters):
    """Sum of the eight neighbours less eight times the middle; not normalised."""

    def __init__(self) -> None:
        super().__init__([_LAPLACIAN], "reflect")


class Sobel(_Filters):
    """Length of the gradient, sqrt(gx^2 + gy^2 + 1e-6); not normalised."""

    def __init__(self) -> None:
        super().__init__([_SOBEL, list(zip(*_SOBEL, strict=True))], "replicate")

    def forward(self, x: Tensor) -> Tensor:
        both = super().forward(x)
        # A channel's two derivatives lie side by side.
        return (both[:, 0::2].square() + both[:, 1::2].square() + _SOBEL_FLOOR).sqrt()
