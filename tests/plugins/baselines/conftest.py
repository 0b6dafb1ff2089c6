"""Images, signals and classifiers for the tests of the transformations."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
import torch
from torch import nn

from bench.deployment import Draws, FitResult, Signal
from bench.plugins.parameters import resolve
from bench_baselines.transformations import TRANSFORMATIONS


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def photographs(tiles):
    """49 tiles on the 8-bit grid, float32, (49, 3, 32, 32)."""
    return torch.from_numpy((np.round(tiles * 255) / 255).astype(np.float32))


@pytest.fixture(scope="session")
def signal():
    """Return a function that gives images their draws; the first names of ``names`` are used."""

    def of(x: torch.Tensor, draw: int = 0, names: range = range(1000)) -> Signal:
        return Signal(x, Draws.of("score", 0, [str(name).encode() for name in names[: len(x)]], draw=draw))

    return of


@pytest.fixture(scope="session")
def deploy():
    """Return a function that deploys a transformation around a linear classifier."""
    entries = {entry.name: entry for entry in TRANSFORMATIONS}

    def make(name: str, shape: tuple[int, int, int] = (3, 32, 32), **parameters):
        entry = entries[name]
        module, _, factory = entry.factory.partition(":")
        defense = getattr(importlib.import_module(module), factory)(**resolve(name, entry.parameters, parameters))
        torch.manual_seed(0)
        network = nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(shape)), 10)).eval()
        return defense.deploy(network, FitResult(), shape).eval()

    return make
