"""scikit-learn's handwritten digits: embedded, so that a first run needs no file and no network."""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import blake2b
from importlib.resources import files as package_files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.data.source import Images, Split

FACTOR = 4
BLOCK = 128
BLOCKS = 3
_LEVELS = 16  # the original grey values are 0..16


class Digits:
    """The 1,797 images of 8x8, enlarged to 1x32x32; 384 of them are the official test set, for good.

    Notes
    -----
    scikit-learn names no test set; the committed list ``digits_test.json`` is ours, made once by
    ``choose_test_positions``. Its order is the test set's order: every first N images hold all classes evenly.
    """

    def files(self, root: Path) -> Sequence[Path]:
        return ()

    def load(self, root: Path, split: Split) -> Images:
        from sklearn.datasets import load_digits  # lazy: takes most of a second

        bundled = load_digits()
        tested = committed_test_positions()
        chosen = tested if split == "test" else np.setdiff1d(np.arange(len(bundled.target)), tested)
        return Images(
            enlarge(bundled.images[chosen].astype(np.int64))[:, None], bundled.target[chosen].astype(np.int64)
        )

    def download(self, root: Path) -> None:
        """Do nothing: the images are part of scikit-learn."""

    def class_names(self) -> tuple[str, ...]:
        return tuple("0123456789")


def committed_test_positions() -> NDArray[np.int64]:
    """Return the positions of the frozen test images in ``load_digits``, int64, (384,), in the test set's order."""
    text = package_files("bench_datasets").joinpath("digits_test.json").read_text("utf-8")
    return np.asarray(json.loads(text)["positions"], dtype=np.int64)


def enlarge(levels: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return the images at four times the side, by bilinear interpolation in whole numbers.

    Parameters
    ----------
    levels : int64, (N, H, W), in 0..16

    Returns
    -------
    uint8, (N, 4H, 4W); 16 becomes 255

    Notes
    -----
    Pixel centres lie at (i + 1/2); positions beyond the outer centres take the edge's value. All weights are eighths,
    so the sum is exact and the bytes are the same on every machine; halves are rounded up.
    """
    rows, columns = _weights(levels.shape[1]), _weights(levels.shape[2])
    summed = np.einsum("ih,nhw,jw->nij", rows, levels, columns)
    unit = _LEVELS * (2 * FACTOR) ** 2
    enlarged: NDArray[np.uint8] = ((2 * 255 * summed + unit) // (2 * unit)).astype(np.uint8)
    return enlarged


def _weights(side: int) -> NDArray[np.int64]:
    """Return the interpolation along one axis as int64, (4 side, side); each row sums to 8."""
    weights = np.zeros((side * FACTOR, side), dtype=np.int64)
    for target in range(side * FACTOR):
        eighths = 2 * target + 1 - FACTOR  # (target + 1/2) / 4 - 1/2, in eighths of a pixel
        below, share = divmod(eighths, 2 * FACTOR)
        weights[target, max(below, 0)] += 2 * FACTOR - share
        weights[target, min(below + 1, side - 1)] += share
    return weights


def choose_test_positions(levels: NDArray[np.int64], labels: NDArray[np.int64]) -> list[int]:
    """Return the positions of 3 x 128 test images; the rule by which the committed list was made.

    Parameters
    ----------
    levels : int64, (N, 8, 8), in 0..16
    labels : int64, (N,)

    Notes
    -----
    Within a class, images are ranked by the BLAKE2b digest of their bytes. A class gets seats in proportion to its size
    (largest remainder; equal remainders by class number). The chosen images are ordered by (rank + 1/2) / seats, then
    class, so that each block, and each beginning of the list, holds the classes evenly.
    """
    total = BLOCK * BLOCKS
    classes, counts = np.unique(labels, return_counts=True)
    shares = counts * total / len(labels)
    seats = np.floor(shares).astype(int)
    for place in np.argsort(-(shares - seats), kind="stable")[: total - int(seats.sum())]:
        seats[place] += 1
    ordered: list[tuple[float, int, int]] = []
    for number, count in zip(classes, seats, strict=True):
        members = np.flatnonzero(labels == number)
        ranked = sorted(members, key=lambda p: blake2b(levels[p].astype(np.uint8).tobytes(), digest_size=16).digest())
        ordered += [((rank + 0.5) / count, int(number), int(p)) for rank, p in enumerate(ranked[:count])]
    return [position for _, _, position in sorted(ordered)]
