"""SUPER-IOT's recovery as the formulas say it, pixel by pixel with SciPy's DCT: slow, and independent of it."""

from __future__ import annotations

import numpy as np
from scipy.fft import dctn


def l1(window):
    return np.abs(dctn(window, norm="ortho")).sum()


def gradient(window, pixels, variant, delta):
    """Return the variant's gradient, (K,), at the dropped ``pixels`` (row, column) of a window, in row-major order."""
    if variant == "subgradient":
        signs = np.sign(dctn(window, norm="ortho"))
        slopes = []
        for pixel in pixels:
            impulse = np.zeros_like(window)
            impulse[pixel] = 1.0
            slopes.append((dctn(impulse, norm="ortho") * signs).sum())
        return np.array(slopes)
    slopes = []
    up, down = window.copy(), window.copy()
    for pixel in pixels:
        if variant == "textbook":
            up[pixel], down[pixel] = window[pixel] + delta, window[pixel] - delta
        elif variant == "release":  # the work copies are not reset
            up[pixel] += delta
            down[pixel] -= delta
        elif variant == "notebook":  # nor here; and the second copy starts from the raised first one
            up[pixel] = min(1.0, window[pixel] + delta)
            down[pixel] = max(0.0, up[pixel] - delta)
        slopes.append((l1(up) - l1(down)) / (2 * delta))
        if variant == "textbook":
            up[pixel] = down[pixel] = window[pixel]
    return np.array(slopes)


def recover(image, mask, size, variant="textbook", *, delta=0.03, mu=0.02, gamma=0.01, eps=1e-5, max_iters=100):
    """Return the recovered image, float64, (C, H, W), and the iterations; ``mask``, bool, (H, W), is what to fill."""
    x = np.where(mask, 0.0, image.astype(np.float64))
    channels, height, width = x.shape
    windows = []
    for top in range(0, height - size + 1, size):
        for left in range(0, width - size + 1, size):
            inner = mask[top : top + size, left : left + size]
            windows.append((top, left, [tuple(pixel) for pixel in np.argwhere(inner).tolist()]))
    largest = 0.0
    for iteration in range(1, max_iters + 1):
        new = x.copy()
        for channel in range(channels):
            for top, left, pixels in windows:
                window = x[channel, top : top + size, left : left + size]
                slopes = gradient(window, pixels, variant, delta)
                for (i, j), slope in zip(pixels, slopes, strict=True):
                    new[channel, top + i, left + j] = min(max(window[i, j] - mu * slope, 0.0), 1.0)
        mse = np.mean((new - x) ** 2)
        x = new
        if mse > largest:
            largest = mse
        elif mse < gamma * largest:
            delta /= 10
            mu /= 10
            if mse < eps:
                return x, iteration
            largest = mse
    return x, max_iters
