"""The windows of an image and which of their pixels are dropped."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bench.errors import UsageError

Mask = NDArray[np.bool_]
_LARGEST: Final = 0.99  # ratio that the parameter allows


@dataclass(frozen=True)
class Windows:
    """How images of one shape are cut, and how much of each window is dropped.

    Attributes
    ----------
    channels, height, width : of the image
    size : side of a window in pixels
    dropped : pixels dropped in each window, the same in all channels
    """

    channels: int
    height: int
    width: int
    size: int
    dropped: int

    @classmethod
    def of(cls, shape: tuple[int, int, int], size: int, ratio: float) -> Windows:
        """Return the windows of images of ``shape``, (C, H, W).

        Parameters
        ----------
        size : side of a window; 0 takes 8, 6 or 4, the first that divides both sides, else 8 and leaves a border
        ratio : share to drop, in [0, 1); a window drops the nearest whole number of pixels, halves to the even one

        Raises
        ------
        UsageError : a window larger than the image, or one that would lose no pixel or all of them
        """
        channels, height, width = shape
        if size == 0:
            fitting = (s for s in (8, 6, 4) if height % s == 0 and width % s == 0)
            size = next(fitting, min(8, height, width))
        if size > min(height, width):
            raise UsageError(
                f"Windows of {size}x{size} pixels do not fit into an image of {height}x{width}. "
                f"Set superiot's ws to at most {min(height, width)}, or to 0 to have it chosen."
            )
        pixels = size * size
        dropped = round(pixels * ratio)  # half to even, as numpy.round in the authors' code
        if ratio and not 0 < dropped < pixels:
            raise UsageError(
                f"superiot with ratio={ratio:g} would drop {dropped} of the {pixels} pixels of a {size}x{size} window; "
                f"expected at least 1 and not all. Choose {_ratios(pixels)}another ws (ratio=0 switches the drop off)."
            )
        return cls(channels, height, width, size, dropped)

    @property
    def rows(self) -> int:
        """Windows from top to bottom; what is left over at the border is neither dropped nor recovered."""
        return self.height // self.size

    @property
    def columns(self) -> int:
        """Windows from left to right."""
        return self.width // self.size

    @property
    def count(self) -> int:
        """Windows of an image."""
        return self.rows * self.columns

    @property
    def pixels(self) -> int:
        """Pixels of a window."""
        return self.size * self.size

    @property
    def kept(self) -> int:
        """Pixels of an image that are not dropped."""
        return self.height * self.width - self.count * self.dropped

    @property
    def room(self) -> int:
        """Values of an image that are dropped, of all channels."""
        return self.count * self.dropped * self.channels

    @property
    def effective_ratio(self) -> float:
        """Share of all pixels that is dropped."""
        return self.count * self.dropped / (self.height * self.width)

    def random_positions(self, seed: int) -> NDArray[np.int64]:
        """Return the dropped positions of each window, sorted, (N, K), drawn uniformly without replacement.

        Notes
        -----
        Part of the wire format: both ends compute it. The K smallest of n uniform keys of ``Philox(key=seed)``, windows
        in row-major order, ties to the earlier position.
        """
        keys = np.random.Generator(np.random.Philox(key=seed)).random((self.count, self.pixels))
        order = np.argsort(keys, axis=1, kind="stable")
        return np.sort(order[:, : self.dropped], axis=1)

    def regular_positions(self) -> NDArray[np.int64]:
        """Return evenly spaced positions, the same in every window, (N, K).

        Ours; the authors' code has random positions only.
        """
        one = ((np.arange(self.dropped) + 0.5) * self.pixels / max(self.dropped, 1)).astype(np.int64)
        return np.tile(one, (self.count, 1))

    def mask(self, positions: NDArray[np.int64]) -> Mask:
        """Return the dropped pixels of the image, bool, (H, W), of those of each window, (N, K)."""
        flat = np.zeros((self.count, self.pixels), dtype=bool)
        np.put_along_axis(flat, positions, True, axis=1)
        mask = np.zeros((self.height, self.width), dtype=bool)
        inner = flat.reshape(self.rows, self.columns, self.size, self.size).swapaxes(1, 2)
        mask[: self.rows * self.size, : self.columns * self.size] = inner.reshape(
            self.rows * self.size, self.columns * self.size
        )
        return mask

    def positions(self, mask: Mask) -> NDArray[np.int64]:
        """Return the dropped positions of each window, sorted, (N, K): the inverse of ``mask``."""
        inner = mask[: self.rows * self.size, : self.columns * self.size]
        flat = inner.reshape(self.rows, self.size, self.columns, self.size).swapaxes(1, 2).reshape(self.count, -1)
        return np.nonzero(flat)[1].reshape(self.count, self.dropped)


def _ratios(pixels: int) -> str:
    """Return the ratios that drop some pixels of a window, rounded inwards, in words; "" where there are none."""
    low, high = math.ceil(1e6 / pixels) / 1e6, min(math.floor(1e6 * (1 - 1 / pixels)) / 1e6, _LARGEST)
    return f"a ratio in [{low:g}, {high:g}] or " if low <= high else ""
