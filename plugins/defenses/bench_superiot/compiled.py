"""The recovery as one compiled loop an image: the form that runs on the server.

Every image is computed alone, so its result does not depend on the batch. Reassociating sums lets the compiler use
vector registers; their order is fixed when the code is compiled, so a machine repeats its results to the bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from bench_superiot.schedule import GRADIENTS, Schedule, cosine_matrix
from bench_superiot.windows import Windows

# What is called is compiled into its caller, always. Else the process that compiles would run the copy compiled alone,
# and all later ones, which load the caller from the cache, the copy inside it: other sums, where they are reassociated.
_FAST = {"reassoc", "contract", "nsz", "nnan", "ninf"}
_RELEASE, _NOTEBOOK, _SUBGRADIENT = (GRADIENTS.index(name) for name in ("release", "notebook", "subgradient"))
_USUAL_PIXELS = 64
_ZERO, _ONE = np.float32(0.0), np.float32(1.0)


def recover(
    x: NDArray[np.float32], mask: NDArray[np.bool_], windows: Windows, schedule: Schedule
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return images with their dropped pixels filled in, and the iterations that each took.

    Parameters
    ----------
    x : float32, (B, C, H, W), in [0, 1]
    mask : bool, (B, H, W), the dropped pixels: the same number in every window

    Returns
    -------
    float32, (B, C, H, W), kept pixels as they were; int64, (B,)
    """
    out = np.array(x, dtype=np.float32, order="C")
    iterations = np.zeros(len(x), dtype=np.int64)
    if windows.dropped == 0:
        return out, iterations
    impulses = np.ascontiguousarray(cosine_matrix(windows.size).T, dtype=np.float32)
    for image in range(len(x)):
        iterations[image] = _recover_image(
            out[image], mask[image], windows.size, windows.dropped, impulses, schedule.form, schedule.delta0,
            schedule.mu0, schedule.gamma, schedule.eps, schedule.max_iters,
        )  # fmt: skip
    return out, iterations


@njit(cache=True, nogil=True, fastmath=_FAST, error_model="numpy")
def _recover_image(  # type: ignore[no-untyped-def]
    image, mask, size, dropped, impulses, form, delta, mu, gamma, eps, max_iters
) -> Any:
    """Fill in one image, (C, H, W), in place; return the iterations."""
    channels, height, width = image.shape
    rows, columns = height // size, width // size
    windows, n = rows * columns, size * size
    index = _dropped_positions(mask, size, dropped)
    coefficients = _transformed(image, index, size, impulses)
    magnitudes, signs, atoms = _atoms(index, impulses, form)
    bounds = np.float32(delta) * magnitudes
    filled = np.zeros((windows, channels, dropped), dtype=np.float32)
    gradient, step = np.zeros_like(filled), np.zeros_like(filled)
    flat_filled, flat_gradient, flat_step = filled.ravel(), gradient.ravel(), step.ravel()
    scratch = np.zeros((2, n), dtype=np.float32)
    largest, iterations = 0.0, 0
    for _ in range(max_iters):
        iterations += 1
        rate = mu
        if form == _NOTEBOOK:
            _notebook(coefficients, filled, index, impulses, np.float32(delta), scratch, gradient)
        elif form == _SUBGRADIENT:
            _subgradient(coefficients, index, impulses, gradient)
        else:
            _central(coefficients, atoms, bounds, signs, gradient)
            rate = mu / delta
        moved = _step(flat_filled, flat_gradient, np.float32(rate), flat_step)
        _advance(coefficients, step, index, impulses)
        mse = moved / (channels * height * width)
        if mse > largest:
            largest = mse
        elif mse < gamma * largest:
            delta /= 10.0
            mu /= 10.0
            bounds = np.float32(delta) * magnitudes
            if mse < eps:
                break
            largest = mse
    for w in range(windows):
        top, left = w // columns * size, w % columns * size
        for channel in range(channels):
            for p in range(dropped):
                pixel = index[w, p]
                image[channel, top + pixel // size, left + pixel % size] = filled[w, channel, p]
    return iterations


@njit(cache=True, nogil=True)
def _dropped_positions(mask, size, dropped):  # type: ignore[no-untyped-def]
    """Return the dropped pixels of each window in row-major order, (N, K)."""
    rows, columns = mask.shape[0] // size, mask.shape[1] // size
    index = np.zeros((rows * columns, dropped), dtype=np.int64)
    for w in range(rows * columns):
        top, left, found = w // columns * size, w % columns * size, 0
        for pixel in range(size * size):
            if mask[top + pixel // size, left + pixel % size]:
                if found == dropped:
                    raise ValueError("a window with too many dropped pixels")
                index[w, found] = pixel
                found += 1
        if found != dropped:
            raise ValueError("a window with too few dropped pixels")
    return index


@njit(cache=True, nogil=True, fastmath=_FAST, error_model="numpy", forceinline=True)
def _transformed(image, index, size, impulses):  # type: ignore[no-untyped-def]
    """Return the DCT of each window with its dropped pixels at 0, (N, C, n)."""
    channels, columns, n = image.shape[0], image.shape[2] // size, size * size
    out = np.zeros((index.shape[0], channels, n), dtype=np.float32)
    for w in range(index.shape[0]):
        top, left = w // columns * size, w % columns * size
        for channel in range(channels):
            c, found = out[w, channel], 0
            for pixel in range(n):
                if found < index.shape[1] and index[w, found] == pixel:
                    found += 1
                    continue
                value = image[channel, top + pixel // size, left + pixel % size]
                for k in range(n):
                    c[k] += value * impulses[pixel, k]
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def _atoms(index, impulses, form):  # type: ignore[no-untyped-def]
    """Return sizes and signs of the atoms' coefficients, (rows, n), and each dropped pixel's row among them, (N, K).

    Textbook perturbs a pixel alone: one row a pixel of a window. Release sums the impulses of the window's dropped
    pixels up to this one: one row a dropped pixel.
    """
    if form != _RELEASE:
        return np.abs(impulses), np.sign(impulses), index
    windows, dropped = index.shape
    n = impulses.shape[0]
    sums = np.zeros((windows * dropped, n), dtype=np.float32)
    rows = np.zeros((windows, dropped), dtype=np.int64)
    for w in range(windows):
        for p in range(dropped):
            row = w * dropped + p
            rows[w, p] = row
            for k in range(n):
                sums[row, k] = impulses[index[w, p], k] + (sums[row - 1, k] if p else _ZERO)
    return np.abs(sums), np.sign(sums), rows


@njit(cache=True, nogil=True, fastmath=_FAST, error_model="numpy", inline="always")
def _clip(value, bound):  # type: ignore[no-untyped-def]
    return min(max(value, -bound), bound)


@njit(cache=True, nogil=True, fastmath=_FAST, error_model="numpy", inline="always")
def _central_of(c, rows, bounds, signs, out, n):  # type: ignore[no-untyped-def]
    channels = c.shape[1]
    for w in range(c.shape[0]):
        for p in range(rows.shape[1]):
            bound, sign = bounds[rows[w, p]], signs[rows[w, p]]
            first = 0
            while first + 3 <= channels:
                c0, c1, c2 = c[w, first], c[w, first + 1], c[w, first + 2]
                g0, g1, g2 = _ZERO, _ZERO, _ZERO
                for k in range(n):
                    b, s = bound[k], sign[k]
                    g0 += s * _clip(c0[k], b)
                    g1 += s * _clip(c1[k], b)
                    g2 += s * _clip(c2[k], b)
                out[w, first, p], out[w, first + 1, p], out[w, first + 2, p] = g0, g1, g2
                first += 3
            for channel in range(first, channels):
                c0, g0 = c[w, channel], _ZERO
                for k in range(n):
                    g0 += sign[k] * _clip(c0[k], bound[k])
                out[w, channel, p] = g0


@njit(cache=True, nogil=True, fastmath=_FAST, error_model="numpy", forceinline=True)
def _central(c, rows, bounds, signs, out):  # type: ignore[no-untyped-def]
    """Write sum_k sign(s_k) clip(c_k, -delta |s_k|, delta |s_k|), (N, C, K): delta times the central difference.

    For reals |a + b| - |a - b| = 2 sign(b) clip(a, -|b|, |b|), so no perturbed window has to be transformed. Three
    channels at a time share what is loaded of an atom; the usual window gets a loop of known length.
    """
    if c.shape[2] == _USUAL_PIXELS:
        _central_of(c, rows, bounds, signs, out, _USUAL_PIXELS)
    else:
        _central_of(c, rows, bounds, signs, out, c.shape[2])


@njit(cache=True, nogil=True, fastmath=_FAST, error_model="numpy", forceinline=True)
def _step(filled, gradient, rate, step):  # type: ignore[no-untyped-def]
    """Move all dropped pixels against the gradient, inside [0, 1]; return the sum of the squared steps."""
    total = 0.0
    for i in range(filled.shape[0]):
        new = min(max(filled[i] - rate * gradient[i], _ZERO), _ONE)
        difference = new - filled[i]
        filled[i] = new
        step[i] = difference
        total += np.float64(difference * difference)
    return total


@njit(cache=True, nogil=True, fastmath=_FAST, error_model="numpy", forceinline=True)
def _subgradient(c, index, impulses, out):  # type: ignore[no-untyped-def]
    """Write sum_k d_k sign(c_k), (N, C, K): the limit of ``_central`` for a vanishing perturbation."""
    for w in range(c.shape[0]):
        for channel in range(c.shape[1]):
            for p in range(index.shape[1]):
                row, g = impulses[index[w, p]], _ZERO
                for k in range(c.shape[2]):
                    value = c[w, channel, k]
                    g += row[k] if value > 0 else (-row[k] if value < 0 else _ZERO)
                out[w, channel, p] = g


@njit(cache=True, nogil=True, fastmath=_FAST, error_model="numpy", forceinline=True)
def _notebook(c, xd, index, impulses, delta, scratch, out):  # type: ignore[no-untyped-def]
    """Write the authors' notebook's difference, (N, C, K): perturbations add up over the pixels and are clipped."""
    up_sum, down_sum = scratch[0], scratch[1]
    for w in range(c.shape[0]):
        for channel in range(c.shape[1]):
            up_sum[:] = _ZERO
            down_sum[:] = _ZERO
            for p in range(index.shape[1]):
                x = xd[w, channel, p]
                up = min(x + delta, _ONE)
                down = max(up - delta, _ZERO)
                row, difference = impulses[index[w, p]], _ZERO
                for k in range(c.shape[2]):
                    up_sum[k] += (up - x) * row[k]
                    down_sum[k] += (down - x) * row[k]
                    difference += abs(c[w, channel, k] + up_sum[k]) - abs(c[w, channel, k] + down_sum[k])
                out[w, channel, p] = difference / (np.float32(2.0) * delta)


@njit(cache=True, nogil=True, fastmath=_FAST, error_model="numpy", inline="always")
def _advance_of(c, step, index, impulses, n):  # type: ignore[no-untyped-def]
    dropped = index.shape[1]
    for w in range(c.shape[0]):
        for channel in range(c.shape[1]):
            row, p = c[w, channel], 0
            while p + 3 <= dropped:  # three at a time, so that the coefficients are loaded and stored less often
                d0, d1, d2 = impulses[index[w, p]], impulses[index[w, p + 1]], impulses[index[w, p + 2]]
                s0, s1, s2 = step[w, channel, p], step[w, channel, p + 1], step[w, channel, p + 2]
                for k in range(n):
                    row[k] += s0 * d0[k] + s1 * d1[k] + s2 * d2[k]
                p += 3
            while p < dropped:
                d0, s0 = impulses[index[w, p]], step[w, channel, p]
                for k in range(n):
                    row[k] += s0 * d0[k]
                p += 1


@njit(cache=True, nogil=True, fastmath=_FAST, error_model="numpy", forceinline=True)
def _advance(c, step, index, impulses):  # type: ignore[no-untyped-def]
    """Add what the step changes of the coefficients."""
    if c.shape[2] == _USUAL_PIXELS:
        _advance_of(c, step, index, impulses, _USUAL_PIXELS)
    else:
        _advance_of(c, step, index, impulses, c.shape[2])
