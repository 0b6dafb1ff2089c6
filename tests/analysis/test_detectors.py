"""The ROC curve: its area against SciPy's rank statistic, and its points against scikit-learn's."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import mannwhitneyu
from sklearn.metrics import roc_curve

from bench.analysis.detectors import auroc, detected_at


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


@pytest.mark.parametrize("rate", [0.05, 0.01])
@pytest.mark.parametrize("seed", range(3))
def test_detection_at_a_fixed_rate_is_the_last_point_of_the_curve_within_it(seed: int, rate: float) -> None:
    rng = np.random.default_rng(seed)
    clean, attacked = rng.normal(0, 1, 200).round(1), rng.normal(1, 1, 150).round(1)
    false, true, _ = roc_curve(np.r_[np.zeros(200), np.ones(150)], np.r_[clean, attacked], drop_intermediate=False)
    assert detected_at(rate, clean, attacked) == pytest.approx(true[false <= rate].max())


def test_scores_that_all_tie_detect_nothing() -> None:
    assert detected_at(0.05, np.ones(40), np.ones(40)) == 0.0
    assert math.isnan(detected_at(0.05, np.zeros(0), np.ones(3)))
