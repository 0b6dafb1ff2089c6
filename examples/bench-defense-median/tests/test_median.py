"""The suite's own checks, and what a median filter promises."""

import numpy as np
import pytest
import torch
from bench_median.defense import MedianFilter
from scipy.ndimage import median_filter

from bench.conformance import run_checks
from bench.plugins.registry import discover


@pytest.mark.parametrize("size", [3, 5])
def test_it_keeps_the_contract(size: int) -> None:
    results = run_checks(discover().find("defense", "median"), {"size": size})
    broken = [f"{result.name}: {result.evidence}" for result in results if result.outcome == "fail"]
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize("size", [3, 5])
def test_it_is_the_median_filter_that_scipy_has(size: int) -> None:
    x = np.random.default_rng(0).random((2, 3, 9, 7), dtype=np.float32)
    expected = median_filter(x, size=(1, 1, size, size), mode="nearest")
    np.testing.assert_array_equal(MedianFilter(size).transform(torch.from_numpy(x)).numpy(), expected)
