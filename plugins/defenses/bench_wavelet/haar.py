"""Wavelet denoising of one image after the other, compiled: the form that runs on the server.

Computed in float64 whatever the images' type, so that an image's result depends neither on its type nor on the batch.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

# RGB in [0, 1] to YCbCr, ITU-R BT.601 as in scikit-image.
TO_YCBCR: Final = np.array([[65.481, 128.553, 24.966], [-37.797, -74.203, 112.0], [112.0, -93.786, -18.214]])
YCBCR_OFFSET: Final = np.array([16.0, 128.0, 128.0])
FROM_YCBCR: Final = np.linalg.inv(TO_YCBCR)
NORMAL_QUARTILE: Final = 0.6744897501960817  # median of |z| for a standard normal z
SHARE: Final = 0.5**0.5  # of each neighbour in a sum or difference along one side
EPS: Final = float(np.finfo(np.float64).eps)


def levels(height: int, width: int) -> int:
    """Return the depth of the decomposition: as deep as it goes, less the three coarsest scales, at least 1."""
    return max(int(np.log2(min(height, width))) - 3, 1)


def denoise(x: NDArray[Any], *, skip_zeros: bool) -> NDArray[Any]:
    """Return images with soft BayesShrink thresholds on their Haar coefficients, clipped to [0, 1].

    Parameters
    ----------
    x : float32 or float64, (B, C, H, W), in [0, 1]; three channels are taken for RGB and denoised as YCbCr
    skip_zeros : leave exact zeros out of the median that estimates the noise

    Returns
    -------
    (B, C, H, W), of the type of ``x``
    """
    out = np.empty(x.shape, dtype=x.dtype)
    source = np.ascontiguousarray(x)
    depth = levels(*x.shape[2:])
    for i in range(len(x)):
        _denoise_image(source[i], out[i], depth, skip_zeros)
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def _denoise_image(x, out, depth, skip_zeros):  # type: ignore[no-untyped-def]
    channels, height, width = x.shape
    planes = x.astype(np.float64)
    coloured = channels == 3
    if coloured:
        r, g, b = x[0], x[1], x[2]
        for i in range(height):
            for j in range(width):
                for c in range(3):
                    planes[c, i, j] = (
                        TO_YCBCR[c, 0] * r[i, j] + TO_YCBCR[c, 1] * g[i, j] + TO_YCBCR[c, 2] * b[i, j] + YCBCR_OFFSET[c]
                    )
    for c in range(channels):
        plane = planes[c]
        low, scale = 0.0, 1.0
        if coloured:
            low = plane.min()
            scale = plane.max() - low
            if scale == 0.0:
                continue
        for i in range(height):
            for j in range(width):
                plane[i, j] = (plane[i, j] - low) / scale
        _denoise_plane(plane, depth, skip_zeros)
        for i in range(height):
            for j in range(width):
                plane[i, j] = plane[i, j] * scale + low
    for i in range(height):
        for j in range(width):
            if coloured:
                y = planes[0, i, j] - YCBCR_OFFSET[0]
                u = planes[1, i, j] - YCBCR_OFFSET[1]
                v = planes[2, i, j] - YCBCR_OFFSET[2]
                for c in range(3):
                    value = FROM_YCBCR[c, 0] * y + FROM_YCBCR[c, 1] * u + FROM_YCBCR[c, 2] * v
                    out[c, i, j] = min(max(value, 0.0), 1.0)
            else:
                for c in range(channels):
                    out[c, i, j] = min(max(planes[c, i, j], 0.0), 1.0)


@njit(cache=True, nogil=True, error_model="numpy")
def _denoise_plane(plane, depth, skip_zeros):  # type: ignore[no-untyped-def]
    """Shrink the details of a plane, (H, W), in place."""
    height, width = plane.shape
    rows, columns = (height + 1) // 2, (width + 1) // 2
    low, details = np.empty((rows, columns)), np.empty((3, rows, columns))
    _split(plane, low, details)
    variance = _noise(details[2], skip_zeros) ** 2
    _shrink(details, variance)
    lows, bands = [low], [details]
    for _ in range(1, depth):
        rows, columns = (rows + 1) // 2, (columns + 1) // 2
        low, details = np.empty((rows, columns)), np.empty((3, rows, columns))
        _split(lows[-1], low, details)
        _shrink(details, variance)
        lows.append(low)
        bands.append(details)
    for level in range(depth - 1, 0, -1):
        _join(lows[level], bands[level], lows[level - 1])
    _join(lows[0], bands[0], plane)


@njit(cache=True, nogil=True, error_model="numpy")
def _split(plane, low, details):  # type: ignore[no-untyped-def]
    """Write a plane's averages and its three bands of differences."""
    height, width = plane.shape
    for i in range(low.shape[0]):
        below = min(2 * i + 1, height - 1)  # an odd side repeats its last pixel
        for j in range(low.shape[1]):
            right = min(2 * j + 1, width - 1)
            a, b, c, d = plane[2 * i, 2 * j], plane[2 * i, right], plane[below, 2 * j], plane[below, right]
            # The library's own order of operations: the noise estimate tells exact zeros from values of 1e-17.
            left_sum, right_sum = SHARE * (SHARE * c + SHARE * a), SHARE * (SHARE * d + SHARE * b)
            left_step, right_step = SHARE * (SHARE * a - SHARE * c), SHARE * (SHARE * b - SHARE * d)
            low[i, j] = right_sum + left_sum
            details[0, i, j] = left_sum - right_sum
            details[1, i, j] = right_step + left_step
            details[2, i, j] = left_step - right_step


@njit(cache=True, nogil=True, error_model="numpy")
def _noise(finest, skip_zeros):  # type: ignore[no-untyped-def]
    """Return the standard deviation of the noise; 0 where no coefficient tells, for which the library gives NaN."""
    sizes, found = np.empty(finest.size), 0
    for i in range(finest.shape[0]):
        for j in range(finest.shape[1]):
            if finest[i, j] != 0.0 or not skip_zeros:
                sizes[found] = abs(finest[i, j])
                found += 1
    return np.median(sizes[:found]) / NORMAL_QUARTILE if found else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def _shrink(details, variance):  # type: ignore[no-untyped-def]
    """Apply BayesShrink's soft threshold to each band, in place."""
    bands, rows, columns = details.shape
    for band in range(bands):
        total = 0.0
        for i in range(rows):
            for j in range(columns):
                total += details[band, i, j] ** 2
        threshold = variance / np.sqrt(max(total / (rows * columns) - variance, EPS))
        for i in range(rows):
            for j in range(columns):
                value = details[band, i, j]
                size = max(abs(value) - threshold, 0.0)
                details[band, i, j] = size if value > 0 else -size


@njit(cache=True, nogil=True, error_model="numpy")
def _join(low, details, plane):  # type: ignore[no-untyped-def]
    """Write the plane of which ``_split`` makes these parts."""
    height, width = plane.shape
    for i in range(low.shape[0]):
        for j in range(low.shape[1]):
            s, h, v, d = low[i, j], details[0, i, j], details[1, i, j], details[2, i, j]
            plane[2 * i, 2 * j] = (s + h + v + d) / 2
            if 2 * j + 1 < width:
                plane[2 * i, 2 * j + 1] = (s - h + v - d) / 2
            if 2 * i + 1 < height:
                plane[2 * i + 1, 2 * j] = (s + h - v - d) / 2
                if 2 * j + 1 < width:
                    plane[2 * i + 1, 2 * j + 1] = (s - h - v + d) / 2
