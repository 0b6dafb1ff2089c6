"""Photographs that several plugins' tests share."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest


def block_means(image, factor):
    """Return means over factor x factor blocks of a uint8 image, float64, (C, H, W), in [0, 1]."""
    a = np.atleast_3d(image) / 255.0
    h, w, c = a.shape
    return a.reshape(h // factor, factor, w // factor, factor, c).mean((1, 3)).transpose(2, 0, 1)


@pytest.fixture(scope="session")
def tiles():
    """49 tiles of 3x32x32 of photographs that scikit-image carries."""
    data = pytest.importorskip("skimage.data")
    parts = [
        (data.astronaut(), 512, 512),
        (data.coffee(), 384, 512),
        (data.chelsea(), 256, 384),
        (data.rocket(), 384, 640),
    ]
    out = []
    for image, h, w in parts:
        small = block_means(image[:h, :w], 4)
        out += [small[:, i : i + 32, j : j + 32] for i in range(0, h // 4, 32) for j in range(0, w // 4, 32)]
    return np.stack(out)


@pytest.fixture(scope="session")
def pictures():
    """Single images of the test vectors, float64, (C, H, W)."""
    data = pytest.importorskip("skimage.data")
    i, j = np.meshgrid(np.arange(32) / 32, np.arange(32) / 32, indexing="ij")
    smooth, edges, ramp = [], [], []
    for c in range(3):
        smooth.append(
            0.5 + 0.25 * np.cos(2 * np.pi * (i + (c + 1) * j / 3)) + 0.2 * np.sin(2 * np.pi * (2 * j - c * i))
        )
        edges.append(0.2 + 0.6 * ((np.floor(5 * i + c) + np.floor(3 * j)) % 2))
        ramp.append(0.1 + 0.8 * ((c + 1) * i + (3 - c) * j) / 4)
    astronaut, camera = data.astronaut(), data.camera()
    return {
        "smooth": np.clip(smooth, 0, 1),
        "edges": np.clip(edges, 0, 1),
        "ramp": np.clip(ramp, 0, 1),
        "astronaut32": block_means(astronaut, 16),
        "camera32": block_means(camera, 16),
        "camera28": block_means(camera[:504, :504], 18),
        "astronaut224": block_means(astronaut[32:480, 32:480], 2),
    }


@pytest.fixture
def cold_and_warm(tmp_path: Path):
    """Return a function that gives what a program prints where numba compiles, then where it loads the compiled."""

    def told(program: str) -> list[str]:
        environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
        printed = [
            subprocess.run(
                [sys.executable, "-c", program],
                env=environment,
                capture_output=True,
                text=True,
                check=True,
                timeout=300,
            ).stdout
            for _ in range(2)
        ]
        assert list(tmp_path.rglob("*.nbc"))
        return printed

    return told
