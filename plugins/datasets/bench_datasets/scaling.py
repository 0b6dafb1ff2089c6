"""Bring images of any size to one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from bench.errors import UsageError

_SIXTEEN_BITS = ("PNG", "PPM")  # formats whose mode "I", of 32 bits, holds 16


def scaled(path: Path, size: int, channels: int) -> NDArray[np.uint8]:
    """Return an image file's whole picture at ``size`` x ``size``, uint8, (channels, size, size).

    Notes
    -----
    Pillow's bilinear filter, which averages over all pixels that fall into one when it makes an image smaller; the
    sides' ratio is not kept, nothing is cut off. An image that has the size already keeps its pixels. Before that it is
    turned as its EXIF orientation says, 16 bits become 8 over their whole range, and what is transparent lies on white
    (ours).

    Raises
    ------
    UsageError : the file is no image that can be read, or its values have no known range
    """
    try:
        with Image.open(path) as opened:
            picture = _opaque(_eight_bits(opened)).convert("RGB" if channels == 3 else "L")
            if picture.size != (size, size):
                picture = picture.resize((size, size), Image.Resampling.BILINEAR)
            pixels = np.asarray(picture, dtype=np.uint8)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:  # what Pillow raises on bad files
        raise UsageError(f"Image {path} cannot be read: {error}. Replace or remove it.") from error
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)) if channels == 3 else pixels[None].copy()


def _eight_bits(opened: Image.Image) -> Image.Image:
    """Return the picture upright, in 8 bits a value; Pillow's own conversion would cut 16 bits off at 255."""
    upright = ImageOps.exif_transpose(opened)
    if upright.mode.startswith("I;16") or (upright.mode == "I" and opened.format in _SIXTEEN_BITS):
        values = np.asarray(upright).astype(np.int64)
        return Image.fromarray(((255 * values + 32767) // 65535).astype(np.uint8))
    if upright.mode in ("I", "F"):
        raise ValueError(f"the range of its values, of Pillow's mode {upright.mode!r}, is unknown; save 8 or 16 bits")
    return upright


def _opaque(picture: Image.Image) -> Image.Image:
    if not picture.has_transparency_data:
        return picture
    seen = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", seen.size, "white"), seen)
