"""Masks drawn in a compiled loop: on the path of every image, at both ends of the wire."""

from __future__ import annotations

import numpy as np
from numba import njit

from bench_superiot.windows import Mask, Windows

# Philox4x64-10 (Salmon, Moraes, Dror, Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011), as NumPy has it.
_MULTIPLIERS = (np.uint64(0xD2E7470EE14C6C93), np.uint64(0xCA5A826395121157))
_WEYL = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBB67AE8584CAA73B))
_LOW, _HALF, _ELEVEN = np.uint64(0xFFFFFFFF), np.uint64(32), np.uint64(11)
_ROUNDS = 10
_TO_UNIT = 1.0 / 9007199254740992.0  # 2^-53


def random_mask(windows: Windows, seed: int) -> Mask:
    """Return the mask of a seed, bool, (H, W): that of ``windows.random_positions(seed)``, to the bit.

    Parameters
    ----------
    seed : in [0, 2^64)
    """
    mask = np.zeros((windows.height, windows.width), dtype=np.bool_)
    if windows.dropped:
        _draw(np.uint64(seed), windows.rows, windows.columns, windows.size, windows.dropped, mask)
    return mask


@njit(cache=True, nogil=True)
def _draw(seed, rows, columns, size, dropped, mask):  # type: ignore[no-untyped-def]
    n = size * size
    keys = np.empty(rows * columns * n, dtype=np.float64)
    _uniform(seed, keys)
    best = np.empty(dropped, dtype=np.int64)
    for window in range(rows * columns):
        own = keys[window * n : (window + 1) * n]
        found = 0
        for pixel in range(n):
            key = own[pixel]
            if found == dropped and key >= own[best[found - 1]]:
                continue  # an equal key later in the window comes after: ties to the earlier position
            place = found if found < dropped else dropped - 1
            while place > 0 and own[best[place - 1]] > key:
                best[place] = best[place - 1]
                place -= 1
            best[place] = pixel
            found = min(found + 1, dropped)
        top, left = window // columns * size, window % columns * size
        for k in range(dropped):
            mask[top + best[k] // size, left + best[k] % size] = True


@njit(cache=True, nogil=True)
def _uniform(seed, out):  # type: ignore[no-untyped-def]
    """Write the numbers in [0, 1) of ``Generator(Philox(key=seed)).random``."""
    for block in range((out.shape[0] + 3) // 4):
        c0, c1, c2, c3 = np.uint64(block + 1), np.uint64(0), np.uint64(0), np.uint64(0)
        k0, k1 = seed, np.uint64(0)
        for _ in range(_ROUNDS):
            high0, low0 = _high(_MULTIPLIERS[0], c0), _MULTIPLIERS[0] * c0
            high1, low1 = _high(_MULTIPLIERS[1], c2), _MULTIPLIERS[1] * c2
            c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
            k0, k1 = k0 + _WEYL[0], k1 + _WEYL[1]
        words = (c0, c1, c2, c3)
        for j in range(min(4, out.shape[0] - 4 * block)):
            out[4 * block + j] = (words[j] >> _ELEVEN) * _TO_UNIT


@njit(cache=True, nogil=True, inline="always")
def _high(a, b):  # type: ignore[no-untyped-def]
    """Return the upper 64 of the 128 bits of a product."""
    a0, a1, b0, b1 = a & _LOW, a >> _HALF, b & _LOW, b >> _HALF
    low, cross, crossed = a0 * b0, a0 * b1, a1 * b0
    middle = (low >> _HALF) + (cross & _LOW) + (crossed & _LOW)
    return a1 * b1 + (cross >> _HALF) + (crossed >> _HALF) + (middle >> _HALF)
