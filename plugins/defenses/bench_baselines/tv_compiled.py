"""The steps of total-variation minimisation, and the steps backwards, as compiled loops over one channel at a time.

Every channel is computed alone, in arrays that fit a core's cache, so its result depends on nothing beside it. The dual
variables have a row and a column of zeros before them and the differences a repeated row and column behind them: the
border needs no case of its own. Nothing is summed in an order that a compiler might choose.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.floating]

_FAST = {"contract", "nsz"}  # a product and a sum in one instruction
# What is called is compiled into its caller, always (forceinline): the process that compiles and those that load the
# compiled code from its cache then run the same instructions.


def descend(x: Floats, known: NDArray[np.bool_], weight: float, iterations: int, tau: float, sigma: float) -> Floats:
    """Return z after all steps, (N, H, W), unclipped.

    Parameters
    ----------
    x : float32 or float64, (N, H, W), contiguous
    known : bool, as ``x``
    """
    out = np.empty_like(x)
    _descend(x, known, *_constants(x, weight, tau, sigma), iterations, out)
    return out


def pull_back(
    gradient: Floats, x: Floats, known: NDArray[np.bool_], weight: float, iterations: int, tau: float, sigma: float
) -> Floats:
    """Return the derivative with respect to ``x``, (N, H, W), given that with respect to z clipped to [0, 1]."""
    out = np.empty_like(x)
    _pull_back(gradient, x, known, *_constants(x, weight, tau, sigma), iterations, out)
    return out


def _constants(x: Floats, weight: float, tau: float, sigma: float) -> tuple[Any, Any, Any, Any, Any]:
    """Return what the loops are given in the precision of the images: a double would turn all they do into doubles."""
    real = x.dtype.type
    return real(weight**-2), real(tau), real(sigma), real(0.0), real(1.0)


@njit(cache=True, nogil=True, fastmath=_FAST, error_model="numpy")
def _descend(x, known, per_square, tau, sigma, zero, one, iterations, out) -> Any:  # type: ignore[no-untyped-def]
    planes, height, width = x.shape
    z, gain, pull, size = np.empty_like(x[0]), np.empty_like(x[0]), np.empty_like(x[0]), np.empty_like(x[0])
    ahead = np.zeros((height + 1, width + 1), x.dtype)
    down, right = np.zeros((height + 1, width), x.dtype), np.zeros((height, width + 1), x.dtype)
    for plane in range(planes):
        _begin(x[plane], known[plane], tau, zero, one, z, gain, pull, ahead, down, right)
        for _ in range(iterations):
            _dual_step(ahead, down, right, size, per_square, sigma, one)
            _primal_step(z, ahead, down, right, gain, pull, tau)
        out[plane] = z


@njit(cache=True, nogil=True, fastmath=_FAST, error_model="numpy")
def _pull_back(  # type: ignore[no-untyped-def]
    gradient, x, known, per_square, tau, sigma, zero, one, iterations, out
) -> Any:
    planes, height, width = x.shape
    z, gain, pull = np.empty_like(x[0]), np.empty_like(x[0]), np.empty_like(x[0])
    ahead = np.zeros((height + 1, width + 1), x.dtype)
    down, right = np.zeros((height + 1, width), x.dtype), np.zeros((height, width + 1), x.dtype)
    steps = (iterations, height, width)
    downs, rights, sizes = np.empty(steps, x.dtype), np.empty(steps, x.dtype), np.empty(steps, x.dtype)
    of_z, of_ahead, of_pull = np.empty_like(z), np.empty_like(z), np.empty_like(z)
    of_new = np.zeros_like(ahead)
    for plane in range(planes):
        _begin(x[plane], known[plane], tau, zero, one, z, gain, pull, ahead, down, right)
        for t in range(iterations):
            _dual_step(ahead, down, right, sizes[t], per_square, sigma, one)
            downs[t], rights[t] = down[1:], right[:, 1:]
            _primal_step(z, ahead, down, right, gain, pull, tau)
        for i in range(height):
            for j in range(width):
                of_z[i, j] = gradient[plane, i, j] if zero <= z[i, j] <= one else zero
        of_ahead[:] = zero
        of_pull[:] = zero
        down[:] = zero  # from here on the derivatives with respect to the dual variables
        right[:] = zero
        for t in range(iterations - 1, -1, -1):
            for i in range(height):
                for j in range(width):
                    new = of_z[i, j] + of_ahead[i, j] + of_ahead[i, j]
                    of_pull[i, j] += new
                    of_new[i, j] = new * gain[i, j]
            _dual_step_back(of_new, down, right, downs[t], rights[t], sizes[t], per_square, tau, zero, one)
            for i in range(height):
                for j in range(width):
                    of_z[i, j] = of_new[i, j] - of_ahead[i, j]
                    of_ahead[i, j] = -sigma * (down[i + 1, j] - down[i, j] + right[i, j + 1] - right[i, j])
        for i in range(height):
            for j in range(width):
                whole = of_z[i, j] + of_ahead[i, j] + tau * gain[i, j] * of_pull[i, j]
                out[plane, i, j] = whole if known[plane, i, j] else zero


@njit(cache=True, nogil=True, fastmath=_FAST, error_model="numpy", forceinline=True)
def _begin(x, known, tau, zero, one, z, gain, pull, ahead, down, right) -> None:  # type: ignore[no-untyped-def]
    height, width = x.shape
    for i in range(height):
        for j in range(width):
            value = x[i, j] if known[i, j] else zero
            gain[i, j] = one / (one + tau) if known[i, j] else one
            pull[i, j] = tau * gain[i, j] * value
            z[i, j] = value
            ahead[i, j] = value
    down[:] = zero
    right[:] = zero


@njit(cache=True, nogil=True, fastmath=_FAST, error_model="numpy", forceinline=True)
def _dual_step(ahead, down, right, size, per_square, sigma, one) -> None:  # type: ignore[no-untyped-def]
    """Add the differences of ``ahead`` to the dual variables and shorten them to the weight's length at most."""
    height, width = size.shape
    for j in range(width):
        ahead[height, j] = ahead[height - 1, j]
    for i in range(height):
        ahead[i, width] = ahead[i, width - 1]
        for j in range(width):
            below = down[i + 1, j] + sigma * (ahead[i + 1, j] - ahead[i, j])
            beside = right[i, j + 1] + sigma * (ahead[i, j + 1] - ahead[i, j])
            shorter = one / np.sqrt(max(one, (below * below + beside * beside) * per_square))
            down[i + 1, j] = below * shorter
            right[i, j + 1] = beside * shorter
            size[i, j] = shorter


@njit(cache=True, nogil=True, fastmath=_FAST, error_model="numpy", forceinline=True)
def _primal_step(z, ahead, down, right, gain, pull, tau) -> None:  # type: ignore[no-untyped-def]
    height, width = z.shape
    for i in range(height):
        for j in range(width):
            divergence = down[i + 1, j] - down[i, j] + right[i, j + 1] - right[i, j]
            new = (z[i, j] + tau * divergence) * gain[i, j] + pull[i, j]
            ahead[i, j] = new + new - z[i, j]
            z[i, j] = new


@njit(cache=True, nogil=True, fastmath=_FAST, error_model="numpy", forceinline=True)
def _dual_step_back(  # type: ignore[no-untyped-def]
    of_new, of_down, of_right, down, right, size, per_square, tau, zero, one
) -> None:
    """Add what the divergence and the shortening hand back to the derivatives of the dual variables.

    The divergence is the negative adjoint of the difference, and the other way round. Where a pair was shortened, only
    what is at right angles to it moves on.
    """
    height, width = size.shape
    for j in range(width):
        of_new[height, j] = of_new[height - 1, j]
    for i in range(height):
        of_new[i, width] = of_new[i, width - 1]
        for j in range(width):
            below = of_down[i + 1, j] - tau * (of_new[i + 1, j] - of_new[i, j])
            beside = of_right[i, j + 1] - tau * (of_new[i, j + 1] - of_new[i, j])
            along = (below * down[i, j] + beside * right[i, j]) * per_square if size[i, j] < one else zero
            of_down[i + 1, j] = (below - along * down[i, j]) * size[i, j]
            of_right[i, j + 1] = (beside - along * right[i, j]) * size[i, j]
