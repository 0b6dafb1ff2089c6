"""How wide a network a number of multiply-accumulates allows; imported while a run is planned."""

from __future__ import annotations

import math
from collections.abc import Mapping

from bench.errors import UsageError
from bench.plugins.entries import Shape
from bench.plugins.parameters import Value

_BLOCKS = 3  # in each of the network's three groups
_NARROWEST = 2
_FEWEST_CLASSES = 2  # how many there are is not known while a run is planned, and hardly matters


def macs_of(width: int, shape: Shape, classes: int) -> int:
    """Return the multiply-accumulates of one image in a ``ResNet20`` of that width."""
    channels, height, columns = shape
    narrow, wide = width, width
    count = 9 * channels * width * height * columns
    for group in range(3):
        if group:
            height, columns, wide = -(-height // 2), -(-columns // 2), 2 * narrow
        count += 9 * wide * height * columns * (narrow + (2 * _BLOCKS - 1) * wide)
        narrow = wide
    return count + narrow * classes


def widest(macs: float, shape: Shape, classes: int) -> int:
    """Return the largest even width whose network does not exceed ``macs``.

    Raises
    ------
    UsageError : none is so small
    """
    least = macs_of(_NARROWEST, shape, classes)
    if least > macs:
        raise UsageError(
            f"equal-compute with macs={macs / 1e6:g} allows no network: the narrowest takes {least / 1e6:.3f} million "
            f"for images of {'x'.join(map(str, shape))}. Choose macs of at least {math.ceil(least / 1e4) / 100:g}."
        )
    width = _NARROWEST
    while macs_of(width + 2, shape, classes) <= macs:
        width += 2
    return width


def check(parameters: Mapping[str, Value], shape: Shape | None) -> None:
    """Refuse a number that even the narrowest network exceeds."""
    if shape is not None:
        widest(1e6 * float(parameters["macs"]), shape, _FEWEST_CLASSES)
