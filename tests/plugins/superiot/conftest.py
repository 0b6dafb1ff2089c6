"""The reference implementation of the recovery, and how its results are measured."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

FOLDER = Path(__file__).parents[2] / "reference"


@pytest.fixture(scope="session")
def reference():
    spec = importlib.util.spec_from_file_location("superiot_reference", FOLDER / "superiot_reference.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["superiot_reference"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def psnr():
    """Return a function that gives the peak signal-to-noise ratio of each image in dB, (B,), data range 1."""
    return lambda x, y: -10 * np.log10(((np.asarray(x, float) - np.asarray(y, float)) ** 2).reshape(len(x), -1).mean(1))


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
