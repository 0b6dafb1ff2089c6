"""The compiled draw is the written rule, to the bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench_superiot.masks import random_mask
from bench_superiot.windows import Windows


@pytest.mark.parametrize(("size", "dropped"), [(8, 6), (8, 32), (4, 2), (8, 63), (16, 26)])
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**64 - 1))
def test_the_compiled_mask_is_that_of_the_stated_rule(size, dropped, seed):
    windows = _windows(size, dropped)
    assert np.array_equal(random_mask(windows, seed), windows.mask(windows.random_positions(seed)))


def _windows(size, dropped):
    return Windows(channels=3, height=32, width=33, size=size, dropped=dropped)
