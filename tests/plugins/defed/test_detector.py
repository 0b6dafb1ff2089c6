"""Defed's detector and its calibration against the specification's tables (section 7) and a slow re-implementation."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.errors import UsageError
from bench_defed.calibration import joint_quantile, mean_deviations, quantile
from bench_defed.detector import corrected, denoised, scores

# C(x); z_1, mse_1; z_2, mse_2; score_1, score_2; flags; label
TABLE = [
    ((4, 1, 0), (4, 1, 0), 0.001, (5, 1, 0), 0.002, (0.06688390, 0.02674489), (0, 0), 0),
    ((0, 3, 1), (0, 3, 1), 0.002, (2, 0, 0), 0.003, (0.17184602, 2.24254477), (0, 1), 0),
    ((2, 1, 0), (0, 2, 0), 0.01, (0, 0, 3), 0.02, (2.24954477, 3.11492296), (1, 1), 2),
    ((1, 0, 2), (1, 0, 2), 0.004, (2, 0, 1), 0.006, (0.41160596, 1.41360596), (0, 1), 0),
    ((0, 0, 1), (2, 0, 0), 0.02, (0, 2, 0), 0.03, (2.25954477, 2.26954477), (1, 1), 0),
    ((3, 2.5, 0), (1, 2, 0), 0.003, (3, 1, 0), 0.004, (1.41060596, 0.17384602), (1, 0), 1),
]
THRESHOLDS = torch.tensor([0.5, 0.8], dtype=torch.float64)


def table():
    logits = torch.tensor([row[0] for row in TABLE], dtype=torch.float64)
    views = torch.tensor([[row[1], row[3]] for row in TABLE], dtype=torch.float64)
    changes = torch.tensor([[row[2], row[4]] for row in TABLE], dtype=torch.float64)
    return logits, views, changes


def test_the_detectors_table():
    logits, views, changes = table()
    found = scores(logits, views, changes, 1.0)
    np.testing.assert_allclose(found, [row[5] for row in TABLE], rtol=1e-6)
    flagged = found > THRESHOLDS
    assert flagged.int().tolist() == [list(row[6]) for row in TABLE]
    answers = corrected(logits, views, flagged)
    assert answers.argmax(1).tolist() == [row[7] for row in TABLE]
    np.testing.assert_allclose(answers[2].exp(), [0.15178548, 0.83226454, 1.01594998], rtol=1e-6)


def test_the_order_of_denoisers_does_not_matter():
    logits, views, changes = table()
    found = scores(logits, views.flip(1), changes.flip(1), 1.0)
    torch.testing.assert_close(found, scores(logits, views, changes, 1.0).flip(1))
    flagged = found > THRESHOLDS.flip(0)
    torch.testing.assert_close(corrected(logits, views.flip(1), flagged), corrected(logits, views, flagged.flip(1)))


def slow_label(logits, views, flagged):
    """What section 1 says, image by image, in numbers."""
    if not any(flagged):
        return int(np.argmax(logits))
    total = np.zeros(len(logits))
    for view, on in zip(views, flagged, strict=True):
        if on:
            shifted = np.exp(np.asarray(view) - np.max(view))
            total += shifted / shifted.sum()
    return int(np.argmax(total))


@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.sampled_from([1.0, 30.0]))
@settings(max_examples=200, deadline=None)
def test_answers_are_those_of_a_slow_reading(seed, denoisers, scale):
    rng = np.random.default_rng(seed)
    logits, views = rng.normal(size=(3, 5)) * scale, rng.normal(size=(3, denoisers, 5)) * scale
    flagged = rng.random((3, denoisers)) < 0.5
    found = corrected(torch.from_numpy(logits), torch.from_numpy(views), torch.from_numpy(flagged))
    assert not found.isnan().any()
    expected = [slow_label(*row) for row in zip(logits, views, flagged, strict=True)]
    assert found.argmax(1).tolist() == expected
    every = denoised(torch.from_numpy(views))
    assert every.argmax(1).tolist() == [slow_label(v[0], v, [True] * denoisers) for v in views]
    np.testing.assert_allclose(every.exp().sum(1), 1.0, rtol=1e-9)


def test_gradients_are_finite_where_logits_are_extreme_and_nothing_is_flagged():
    views = torch.tensor([[[1e4, 0.0], [0.0, 1e4]], [[1e4, 0.0], [0.0, 1e4]]], requires_grad=True)
    logits = torch.tensor([[1.0, 0.0], [0.0, 1.0]], requires_grad=True)
    flagged = torch.tensor([[False, False], [True, False]])
    answers = corrected(logits, views, flagged)
    for gradient in torch.autograd.grad(answers[:, 0].sum(), (logits, views)):
        assert gradient.isfinite().all()


A = torch.tensor([(37 * i % 41) / 100 for i in range(40)], dtype=torch.float64)
B = torch.tensor([((11 * i + 5) % 43) ** 2 / 1000 for i in range(40)], dtype=torch.float64)
BOTH = torch.stack([A, B], dim=1)


@pytest.mark.parametrize(
    ("fpr", "expected", "flagged"), [(0.05, (0.40, 1.764), 0), (0.1, (0.39, 1.681), 2), (0.2, (0.36, 1.444), 7)]
)
def test_the_joint_quantile_meets_the_vectors(fpr, expected, flagged):
    found = joint_quantile(BOTH, fpr)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert int((found < BOTH).any(dim=1).sum()) == flagged


def test_the_other_calibrations_meet_the_vectors():
    np.testing.assert_allclose(A.mean(), 0.204)
    for k, first, second in [
        (1, 0.32251214, 1.13170350),
        (2, 0.44102429, 1.68053201),
        (3, 0.55953643, 2.22936051),
    ]:
        np.testing.assert_allclose(mean_deviations(BOTH, k), [first, second], rtol=1e-6)
    np.testing.assert_allclose(quantile(BOTH, 0.1), [0.39, 1.681])
    np.testing.assert_allclose(quantile(BOTH, 0.2), [0.37, 1.521])


def test_strict_takes_one_rank_more():
    np.testing.assert_allclose(joint_quantile(BOTH, 0.1, strict=True), [0.40, 1.764])


@pytest.mark.parametrize(("denoisers", "fpr", "needed"), [(1, 0.05, 39), (2, 0.05, 59), (3, 0.05, 79), (2, 0.01, 299)])
def test_strict_needs_an_image_more_for_each_denoiser_and_then_has_finite_thresholds(denoisers, fpr, needed):
    """At most M images have a largest rank of n, so with this many the quantile lies below it."""
    for seed in range(40):
        scores = torch.rand(needed, denoisers, generator=torch.Generator().manual_seed(seed))
        assert bool(joint_quantile(scores, fpr, strict=True).isfinite().all())
        with pytest.raises(UsageError, match=f"at least {needed} calibration images; there are {needed - 1}"):
            joint_quantile(scores[1:], fpr, strict=True)
        joint_quantile(scores[1:], fpr)


def test_strict_among_equal_scores_says_that_there_is_no_larger_one():
    with pytest.raises(UsageError, match="equal scores"):
        joint_quantile(torch.zeros(100, 2), 0.05, strict=True)


@pytest.mark.parametrize(("n", "fpr"), [(18, 0.05), (98, 0.01)])
def test_too_few_images_are_refused_with_the_number_needed(n, fpr):
    with pytest.raises(UsageError, match=f"at least {n + 1} calibration images; there are {n}"):
        joint_quantile(torch.rand(n, 2), fpr)
    joint_quantile(torch.rand(n + 1, 2), fpr)


@pytest.mark.parametrize(("denoisers", "strict", "n"), [(1, False, 40), (1, False, 199), (3, True, 199), (3, True, 79)])
def test_the_rate_holds_on_exchangeable_scores(denoisers, strict, n):
    generator = torch.Generator().manual_seed(denoisers + n)
    rates = []
    for _ in range(600):
        fresh = torch.rand(n + 200, denoisers, generator=generator)
        thresholds = joint_quantile(fresh[:n], 0.05, strict=strict)
        rates.append(float((fresh[n:] > thresholds).any(dim=1).float().mean()))
    assert np.mean(rates) <= 0.05 + 3 * np.std(rates) / math.sqrt(len(rates))


def test_the_rate_that_was_asked_for_stands_in_the_refusal() -> None:
    with pytest.raises(UsageError, match=r"rate of 0\.001, 0\.0005 for each of 2 denoisers, needs at least 1999 "):
        quantile(torch.rand(100, 2), 0.001)
    with pytest.raises(UsageError, match=r"rate of 0\.001 needs at least 999 "):
        joint_quantile(torch.rand(100, 2), 0.001)


def test_a_deviation_of_one_image_is_refused() -> None:
    with pytest.raises(UsageError, match="at least 2 calibration images; there are 1"):
        mean_deviations(torch.rand(1, 2))
