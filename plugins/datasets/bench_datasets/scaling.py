"""Bring images of any size to one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.errors import UsageError


def scaled(path: Path, size: int, channels: int) -> NDArray[np.uint8]:
    """Return an image file's whole picture at ``size`` x ``size``, uint8, (channels, size, size).

    Notes
    -----
    Pillow's bilinear filter, which averages over all pixels that fall into one when it makes an image smaller; the
    sides' ratio is not kept, nothing is cut off. An image that has the size already keeps its pixels.

    Raises
    ------
    UsageError : the file is no image that can be read
    """
    try:
        with Image.open(path) as opened:
            picture = opened.convert("RGB" if channels == 3 else "L")
            if picture.size != (size, size):
                picture = picture.resize((size, size), Image.Resampling.BILINEAR)
            pixels = np.asarray(picture, dtype=np.uint8)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:  # what Pillow raises on bad files
        raise UsageError(f"Image {path} cannot be read: {error}. Replace or remove it.") from error
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)) if channels == 3 else pixels[None].copy()
