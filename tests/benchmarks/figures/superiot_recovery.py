"""How fast SUPER-IOT's recovery is against the same formulas pixel by pixel, in the same run.

Both are timed by the processor time of one thread, so that what else runs on the machine counts little.
"""

from __future__ import annotations

import importlib.util
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bench_superiot import batched, compiled
from bench_superiot.schedule import Schedule
from bench_superiot.windows import Windows
from bench_wavelet import haar

from ..figure import Figure
from ..subjects import cifar10, has_cifar10

REFERENCE = Path(__file__).parents[2] / "reference" / "superiot_reference.py"
BATCH = 64
REFERENCE_IMAGES = 5


def figures() -> list[Figure]:
    """Return ms per image of the recovery, the reference's, and their ratio."""
    torch.set_num_threads(1)
    reference = _reference()
    x, origin = _small_images()
    mask, windows = _masks(x)
    dropped = x * ~mask[:, None]
    _, counts = compiled.recover(dropped, mask, windows, Schedule())
    ours = _best(lambda: compiled.recover(dropped, mask, windows, Schedule())) / BATCH
    slow = _slow(reference, x[:REFERENCE_IMAGES], mask[:REFERENCE_IMAGES]) * counts.mean()
    said = f"reference: {REFERENCE_IMAGES} images, scaled to the mean of {counts.mean():.1f} iterations"
    rows = [_row(f"recovery of 3x32x32, batch {BATCH} of {origin} ({said})", ours, slow, ">= 2000")]
    tensors, flags = torch.from_numpy(dropped), torch.from_numpy(mask)
    tensor_form = _best(lambda: batched.recover(tensors, flags, windows, Schedule()), repeats=2) / BATCH
    rows.append(_row(f"recovery of 3x32x32, batch {BATCH}, tensor form ({said})", tensor_form, slow, ""))
    denoising = _best(lambda: haar.denoise(x, skip_zeros=True)) / BATCH
    rows.append(_row(f"wavelet denoising of 3x32x32, batch {BATCH}", denoising, None, ""))
    large = _photograph(2)[None, :, :224, :224]
    mask, windows = _masks(large)
    dropped = large * ~mask[:, None]
    _, count = compiled.recover(dropped, mask, windows, Schedule())
    ours = _best(lambda: compiled.recover(dropped, mask, windows, Schedule()), repeats=3)
    slow = _slow(reference, large, mask, max_iters=1) * count.mean()
    rows.append(_row(f"recovery of 3x224x224 (reference: 1 of {count[0]} iterations, scaled)", ours, slow, ""))
    return rows


def _row(name: str, ours: float, theirs: float | None, asked: str) -> Figure:
    slow = None if theirs is None else float(1e3 * theirs)
    return Figure(f"superiot: {name}, one thread, processor time", "ms per image", 1e3 * ours, slow, asked=asked)


def _best(work: Any, repeats: int = 10) -> float:
    """Return the shortest of several runs in seconds, after one that compiles."""
    work()
    times = []
    for _ in range(repeats):
        start = time.thread_time()
        work()
        times.append(time.thread_time() - start)
    return min(times)


def _slow(reference: ModuleType, x: NDArray[Any], mask: NDArray[Any], **settings: int) -> float:
    """Return the reference's seconds for one iteration of one image, the shortest of several images."""
    times = []
    for image, dropped in zip(x, mask, strict=True):
        start = time.thread_time()
        iterations = reference.recover(image, dropped, 8, **settings)[1]
        times.append((time.thread_time() - start) / iterations)
    return min(times)


def _masks(x: NDArray[Any]) -> tuple[NDArray[np.bool_], Windows]:
    windows = Windows.of((x.shape[1], x.shape[2], x.shape[3]), 8, 0.1)
    return np.stack([windows.mask(windows.random_positions(seed)) for seed in range(len(x))]), windows


def _small_images() -> tuple[NDArray[np.float32], str]:
    """Return the first test images of CIFAR-10, or tiles of a photograph where there is no CIFAR-10."""
    if has_cifar10():
        return cifar10(slice(BATCH))[0].numpy(), "CIFAR-10"
    photograph = _photograph(2)
    tiles = [photograph[:, i : i + 32, j : j + 32] for i in range(0, 256, 32) for j in range(0, 256, 32)]
    return np.stack(tiles), "tiles of a photograph"


def _photograph(factor: int) -> NDArray[np.float32]:
    from skimage import data

    a = data.astronaut() / 255.0
    side = 512 // factor
    return a.reshape(side, factor, side, factor, 3).mean((1, 3)).transpose(2, 0, 1).astype(np.float32)


def _reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("superiot_reference", REFERENCE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
