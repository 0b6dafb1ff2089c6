"""The denoisers: Defed's network, the same without edges, and BaseNet (specification section 2)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Final

from torch import Tensor, nn
from torch.nn import functional

from bench_defed.operators import Blur, Laplacian, Sobel

EDGES: Final[Mapping[str, Callable[[int], nn.Module]]] = {"laplacian": Laplacian, "sobel": Sobel}
_SHRINKS_BY: Final = 4  # two halvings


def _block(layer: nn.Module, channels: int) -> nn.Sequential:
    return nn.Sequential(layer, nn.BatchNorm2d(channels), nn.PReLU())


def _down(c: int, m: int) -> nn.Sequential:
    return _block(nn.Conv2d(c, m, 2, stride=2), m)


def _up(c: int, m: int) -> nn.Sequential:
    return _block(nn.ConvTranspose2d(c, m, 2, stride=2), m)


def _same(c: int, m: int) -> nn.Sequential:
    return _block(nn.Conv2d(c, m, 3, padding=1), m)


def _same_transposed(c: int, m: int) -> nn.Sequential:
    return _block(nn.ConvTranspose2d(c, m, 3, padding=1), m)


class SkipBlock(nn.Module):
    """x plus a chain of 3x3 convolutions of it, with nothing between: an affine map.

    Parameters
    ----------
    inner : channels within the chain
    pairs : the chain has twice as many convolutions
    """

    def __init__(self, channels: int, inner: int, pairs: int) -> None:
        super().__init__()
        widths = [channels, *[inner] * (2 * pairs - 1), channels]
        self.chain = nn.Sequential(*(nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise(widths)))

    def forward(self, x: Tensor) -> Tensor:
        changed: Tensor = self.chain(x)
        return x + changed


class EdgeBlock(nn.Module):
    """Three views of the same map, blurred, its edges, and as it is, each with a layer, summed and mixed 1x1.

    Parameters
    ----------
    edges : one of ``EDGES``, or ``none`` for the blurred and the plain view alone (ours)
    layer : what each view goes through, of as many channels in as out
    """

    def __init__(self, channels: int, edges: str, layer: Callable[[int, int], nn.Module]) -> None:
        super().__init__()
        operators = [Blur(channels), *([EDGES[edges](channels)] if edges != "none" else []), nn.Identity()]
        self.views = nn.ModuleList(nn.Sequential(operator, layer(channels, channels)) for operator in operators)
        self.mix = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        first, *others = (view(x) for view in self.views)
        mixed: Tensor = self.mix(sum(others, first))
        return mixed


class Denoiser(nn.Module, ABC):
    """A network that gives an image back, of the same size: one that is not a multiple of 4 is padded, then cropped."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the restored image, (B, C, H, W), not clamped."""
        height, width = (int(side) for side in x.shape[-2:])  # constants of an exported network
        missing = (0, -width % _SHRINKS_BY, 0, -height % _SHRINKS_BY)
        if not any(missing):
            return self.restored(x)
        return self.restored(functional.pad(x, missing, mode="replicate"))[..., :height, :width]

    @abstractmethod
    def restored(self, x: Tensor) -> Tensor:
        """Return the restored image where height and width are multiples of 4."""


class Defed(Denoiser):
    """The edge feature-enhanced denoiser: 122,982 parameters for one channel, 124,142 for three.

    Parameters
    ----------
    channels : of the image
    edges : ``laplacian``, ``sobel``, or ``none`` (ours, 99,650 and 100,810 parameters)
    """

    def __init__(self, channels: int, edges: str) -> None:
        super().__init__()
        self.skip1 = SkipBlock(channels, 16, 3)
        self.head = _same(channels, 16)
        self.skip2 = SkipBlock(16, 16, 2)
        self.encoder1 = EdgeBlock(16, edges, _same)
        self.down1 = _down(16, 32)
        self.skip3 = SkipBlock(32, 32, 1)
        self.encoder2 = EdgeBlock(32, edges, _same)
        self.down2 = _down(32, 32)
        self.up2 = _up(32, 32)
        self.decoder2 = EdgeBlock(32, edges, _same_transposed)
        self.up1 = _up(32, 16)
        self.decoder1 = EdgeBlock(16, edges, _same_transposed)
        self.tail = _same_transposed(16, channels)

    def restored(self, x: Tensor) -> Tensor:
        """Return the restored image where height and width are multiples of 4."""
        wide = self.head(x)
        half = self.down1(self.encoder1(wide))
        inner = self.up2(self.down2(self.encoder2(half)))
        inner = self.up1(self.decoder2(inner) + self.skip3(half))
        image: Tensor = self.tail(self.decoder1(inner) + self.skip2(wide)) + self.skip1(x)
        return image


class BaseNet(Denoiser):
    """The authors' ablation, without edges, blur and skips: 36,301 parameters for one channel, 36,883 for three."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            _same(channels, 16),
            _same(16, 16),
            _down(16, 32),
            _same(32, 32),
            _down(32, 32),
            _up(32, 32),
            _same_transposed(32, 32),
            _up(32, 16),
            _same_transposed(16, 16),
            _same_transposed(16, channels),
        )

    def restored(self, x: Tensor) -> Tensor:
        """Return the restored image where height and width are multiples of 4."""
        image: Tensor = self.layers(x)
        return image
