"""The area under the ROC curve against SciPy's rank statistic."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from bench.analysis.detectors import auroc


@pytest.mark.parametrize("seed", range(5))
def test_the_area_is_the_rank_statistic_ties_included(seed: int) -> None:
    rng = np.random.default_rng(seed)
    clean, attacked = rng.integers(0, 8, 50).astype(float), rng.integers(2, 10, 31).astype(float)
    expected = mannwhitneyu(attacked, clean).statistic / (len(clean) * len(attacked))
    assert auroc(clean, attacked) == pytest.approx(expected)


def test_the_ends_of_the_scale() -> None:
    assert auroc(np.zeros(3), np.ones(3)) == 1.0
    assert auroc(np.ones(3), np.zeros(3)) == 0.0
    assert auroc(np.ones(3), np.ones(3)) == 0.5
    assert math.isnan(auroc(np.zeros(0), np.ones(3)))
