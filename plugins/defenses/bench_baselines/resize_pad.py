"""Random resizing and padding: the image at a random size somewhere on a black ground."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.deployment import Capture, Classify, Deployment, FitResult, Placement, Signal, Stage
from bench_baselines.sizes import heights


class ResizePad(Stage):
    """Shrink the image by a random factor and put it at a random place of an empty one of the old size.

    Parameters
    ----------
    smallest : the least share of its sides that an image keeps; sizes are uniform over whole pixels from
        round(smallest H) up to H - 1, the width in proportion
    interpolation : "nearest" or "bilinear"

    Notes
    -----
    Nearest takes the value at floor(i H / h) as TensorFlow's ``resize_images`` does; bilinear samples at
    (i + 1/2) H / h - 1/2 without a filter against aliasing, as ``torch.nn.functional.interpolate`` does.

    References
    ----------
    Xie, Wang, Zhang, Ren, Yuille, "Mitigating Adversarial Effects Through Randomization", ICLR 2018: 299 pixels resized
    to 299 up to 330 and padded to 331 with zeros, for a network that takes any size. Ours keeps the share 299/331 and
    the network's input size, so images shrink where theirs grow.
    """

    placement: Placement = "server"
    randomised = True

    def __init__(self, shape: tuple[int, int, int], *, smallest: float, interpolation: str) -> None:
        super().__init__()
        self.bilinear = interpolation == "bilinear"
        self.sizes = heights(smallest, shape[1])
        self.macs_declared = 4 * shape[0] * shape[1] * shape[2] if self.bilinear else 0

    @property
    def facts(self) -> Mapping[str, object]:
        """The smallest height, in pixels."""
        return {"smallest_height": self.sizes.start}

    def forward(self, signal: Signal) -> Signal:
        height, width = signal.x.shape[2:]
        draws = signal.draws.uniform("resize", 3)
        heights = self.sizes.start + (draws[:, 0] * len(self.sizes)).astype(np.int64)
        widths = np.maximum(1, np.round(heights * (width / height)).astype(np.int64))
        x = self._placed(signal.x, heights, draws[:, 1], 2)
        return signal.replace(self._placed(x, widths, draws[:, 2], 3))

    def _placed(self, x: Tensor, sizes: NDArray[np.int64], shares: NDArray[np.float64], axis: int) -> Tensor:
        """Return images, (B, C, H, W), with one side shrunk to ``sizes``, (B,), and padded.

        Parameters
        ----------
        shares : (B,), in [0, 1): how much of the padding lies before the image
        """
        side = x.shape[axis]
        before = (shares * (side - sizes + 1)).astype(np.int64)
        place = np.arange(side) - before[:, None]
        inside = (place >= 0) & (place < sizes[:, None])
        if not self.bilinear:
            return _taken(x, place * side // sizes[:, None], inside, axis)
        at = np.clip((place + 0.5) * side / sizes[:, None] - 0.5, 0, side - 1)
        low = at.astype(np.int64)
        share = _along(torch.from_numpy(at - low), x, axis)
        return (
            _taken(x, low, inside, axis) * (1 - share) + _taken(x, np.minimum(low + 1, side - 1), inside, axis) * share
        )


def _taken(x: Tensor, places: NDArray[np.int64], inside: NDArray[np.bool_], axis: int) -> Tensor:
    """Return what stands at ``places``, (B, side), of one axis, 0 where not ``inside``."""
    index = torch.from_numpy(np.where(inside, places, 0))
    taken = x.gather(axis, _along(index, x, axis).expand_as(x))
    return taken * _along(torch.from_numpy(inside), x, axis)


def _along(values: Tensor, x: Tensor, axis: int) -> Tensor:
    """Return (B, side) in a shape that meets (B, C, H, W) along one axis, of x's type unless whole numbers."""
    values = values.to(x.device)
    values = values.to(x.dtype) if values.is_floating_point() else values
    return values[:, None, :, None] if axis == 2 else values[:, None, None, :]


class RandomResizePad:
    """The image over the wire as it is; resizing, padding and the unchanged classifier on the server.

    Parameters
    ----------
    smallest : the least share of its sides that an image keeps
    interpolation : "nearest" or "bilinear"
    """

    def __init__(self, *, smallest: float = 0.9, interpolation: str = "nearest") -> None:
        self.smallest, self.interpolation = smallest, interpolation

    def deploy(self, network: nn.Module, result: FitResult, shape: tuple[int, int, int]) -> Deployment:
        """Return the deployment; nothing of it is learned.

        Raises
        ------
        UsageError : no size lies between ``smallest`` and the image's
        """
        stage = ResizePad(shape, smallest=self.smallest, interpolation=self.interpolation)
        return Deployment.chain(Capture(), stage, Classify(network))
