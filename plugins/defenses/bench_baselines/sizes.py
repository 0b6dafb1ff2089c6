"""Which images suit which parameters; imported while a run is planned."""

from __future__ import annotations

import math
from collections.abc import Mapping

from bench.errors import UsageError
from bench.plugins.entries import Shape
from bench.plugins.parameters import Value


def deflections(ratio: float, shape: Shape) -> int:
    """Return how many pixels a share is; raises UsageError where it is none."""
    pixels = shape[1] * shape[2]
    count = round(pixels * ratio)
    if not count:
        raise UsageError(
            f"pixel-deflection with ratio={ratio:g} would deflect none of {pixels} pixels. "
            f"Choose a ratio of at least {math.ceil(1e6 / pixels) / 1e6:g}."
        )
    return count


def check_deflections(parameters: Mapping[str, Value], shape: Shape | None) -> None:
    """Refuse a share that deflects nothing."""
    ratio = float(parameters["ratio"])
    if shape is not None:
        deflections(ratio, shape)
    elif not ratio:
        raise UsageError("pixel-deflection with ratio=0 deflects nothing. Choose a larger ratio.")


def refuse_window(window: int, shape: Shape) -> None:
    """Raise UsageError where a median's window is larger than the image."""
    if window > min(shape[1:]):
        raise UsageError(
            f"A median over {window}x{window} pixels does not fit into images of {shape[1]}x{shape[2]}. "
            f"Set median-smoothing's window to at most {min(shape[1:])}."
        )


def check_window(parameters: Mapping[str, Value], shape: Shape | None) -> None:
    """Refuse a median's window that is larger than the image."""
    if shape is not None:
        refuse_window(int(parameters["window"]), shape)


def heights(smallest: float, height: int) -> range:
    """Return the heights of random resizing; raises UsageError where there are none."""
    found = range(max(1, round(smallest * height)), height)
    if not found:
        most = math.floor(100 * (height - 1) / height) / 100
        advice = f"Choose smallest of at most {most:g}." if most else "Images of one row cannot be shrunk."
        raise UsageError(
            f"resize-pad with smallest={smallest:g} leaves no size below {height} pixels to choose. {advice}"
        )
    return found


def check_heights(parameters: Mapping[str, Value], shape: Shape | None) -> None:
    """Refuse a smallest share that leaves no size to choose."""
    smallest = float(parameters["smallest"])
    if shape is not None:
        heights(smallest, shape[1])
    elif smallest == 1:
        raise UsageError("resize-pad with smallest=1 leaves no size to choose. Choose smallest below 1, such as 0.9.")


def refuse_channels(shape: Shape) -> None:
    """Raise UsageError where a JPEG file does not hold images of so many channels."""
    if shape[0] not in (1, 3):
        raise UsageError(
            f"jpeg compresses images of 1 or 3 channels; these have {shape[0]}. Choose another defense or data set."
        )


def check_channels(parameters: Mapping[str, Value], shape: Shape | None) -> None:
    """Refuse images that are neither grey nor of three colours."""
    if shape is not None:
        refuse_channels(shape)
