"""Values and derivatives against figures made in 60-digit decimal arithmetic; exactness of the hard codes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench_qusecnets.quantiser import (
    codes,
    effective_levels,
    hard_thresholds,
    rounding_thresholds,
    soft_values,
    uniform_thresholds,
    values,
)

UNEVEN = (0.1, 0.35, 0.8)
GREYS = torch.arange(256, dtype=torch.float32) / 255.0

# thresholds or levels, h, x, S, dS/dx, {threshold counted from 1: dS/dt}
SOFT = [
    (2, 5, 0.2, 0.1824255238, 7.457323e-01, {1: -7.457323e-01}),
    (2, 50, 0.45, 0.07585818002, 3.505186, {1: -3.505186}),
    (2, 500, 0.49, 0.006692850924, 3.324028, {1: -3.324028}),
    (2, 500, 0.5, 0.5, 125.0, {1: -125.0}),
    (2, 500, 0.503, 0.8175744762, 74.57323, {1: -74.57323}),
    (4, 1, 0.3, 0.4506747217, 0.2450398, {1: -0.08328127, 2: -0.08250552}),
    (4, 50, 0.3, 0.3080624060, 1.169152, {1: -1.168395, 2: -7.565968e-04}),
    (4, 500, 0.26, 0.3311023830, 1.108009, {1: -1.108009}),
    (4, 500, 0.3, 0.3333333333, 2.314657e-09, {1: -2.314657e-09}),
    (8, 50, 0.4, 0.3976359854, 1.287996, {3: -1.236463, 4: -0.04748612}),
    (16, 1, 0.0, 0.3795983514, 0.2315439, {}),
    (16, 1, 0.5, 0.5, 0.2455397, {}),
    (16, 1, 1.0, 0.6204016486, 0.2315439, {}),
    (16, 500, 0.4375, 0.4333333333, 8.333333, {7: -8.333333, 6: -8.936680e-13}),
    (UNEVEN, 20, 0.3, 0.4170002031, 1.428800, {1: -0.1177514, 2: -1.310746, 3: -3.026387e-04}),
    (UNEVEN, 100, 0.36, 0.5770195262, 6.553731, {1: -1.703030e-10, 2: -6.553731, 3: -2.593711e-18}),
    (UNEVEN, 500, 0.35, 0.5, 41.66667, {2: -41.66667}),
    (UNEVEN, 500, 0.9, 1.0, 3.214583e-20, {}),
]
FAR = [(2, 500, 0.3, 3.720075976e-44, 1.860038e-41, {}), (4, 500, 0.26, 0.3311023830, 1.108009, {2: -1.277941e-50})]


def _case(spec: int | tuple[float, ...], x: float, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor, int]:
    levels = spec if isinstance(spec, int) else len(spec) + 1
    exact = [i / levels for i in range(1, levels)] if isinstance(spec, int) else list(spec)
    t = torch.tensor(exact, dtype=dtype, requires_grad=True)
    return torch.tensor([x], dtype=dtype, requires_grad=True), t, levels


@pytest.mark.parametrize(("spec", "h", "x", "s", "dx", "dt"), SOFT + FAR)
def test_soft_values_and_derivatives_meet_the_vectors_in_float64(spec, h, x, s, dx, dt) -> None:
    x, t, levels = _case(spec, x, torch.float64)
    out = soft_values(x, t, h, levels)
    out.backward()
    assert out.item() == pytest.approx(s, rel=1e-9)
    assert x.grad.item() == pytest.approx(dx, rel=1e-6)
    for index, expected in dt.items():
        assert t.grad[index - 1].item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("spec", "h", "x", "s", "dx", "dt"), SOFT)
def test_soft_values_and_derivatives_meet_the_vectors_in_float32(spec, h, x, s, dx, dt) -> None:
    x, t, levels = _case(spec, x, torch.float32)
    out = soft_values(x, t, h, levels)
    out.backward()
    assert out.item() == pytest.approx(s, rel=1e-5)
    assert x.grad.item() == pytest.approx(dx, rel=1e-4)
    for index, expected in dt.items():
        assert t.grad[index - 1].item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("levels", "h", "x", "expected", "slope"),
    [
        (2, 5, 0.2, 0.2004117338, 0.8340458),
        (2, 5, 1.0, 1.0, 0.0),
        (2, 500, 1.0, 1.0, 0.0),
        (4, 50, 0.3, 0.308062406, None),
        (16, 1, 0.0, 0.3975277795, None),
        (16, 1, 1.0, 0.6537349819, None),
        (16, 5, 0.5, 0.505057212, None),
    ],
)
def test_reference_form_meets_the_vectors_and_has_no_slope_under_its_clip(levels, h, x, expected, slope) -> None:
    t = (torch.arange(1, levels + 1, dtype=torch.float64) / levels).requires_grad_()
    x = torch.tensor([x], dtype=torch.float64, requires_grad=True)
    out = soft_values(x, t, h, levels)
    out.backward()
    assert out.item() == pytest.approx(expected, rel=1e-8)
    if slope is not None:
        assert x.grad.item() == pytest.approx(slope, rel=1e-6)
    if slope == 0.0:
        assert t.grad.abs().max() == 0


@pytest.mark.parametrize("thresholds", [torch.tensor(UNEVEN), torch.tensor([UNEVEN, (0.2, 0.3, 0.9)])])
@pytest.mark.parametrize("levels", [4, 3])
def test_derivatives_agree_with_finite_differences(thresholds, levels) -> None:
    # levels 3 with three thresholds is the reference form: its clip is active for some of these values.
    torch.manual_seed(0)
    x = torch.rand(3, 2, 4, 5, dtype=torch.float64, requires_grad=True)
    t = thresholds.double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x, t: soft_values(x, t, 20.0, levels), (x, t))


def test_derivatives_in_x_and_in_thresholds_cancel() -> None:
    x = torch.linspace(0, 1, 101, dtype=torch.float64).requires_grad_()
    for value in range(0, 101, 10):
        t = torch.tensor(UNEVEN, dtype=torch.float64, requires_grad=True)
        gx, gt = torch.autograd.grad(soft_values(x, t, 30.0, 4)[value], (x, t))
        assert float(gx.sum() + gt.sum()) == pytest.approx(0.0, abs=1e-12)


def test_threshold_gradient_of_a_batch_is_the_sum_over_its_pixels() -> None:
    torch.manual_seed(1)
    x, g = torch.rand(2, 3, 4, 4, dtype=torch.float64), torch.randn(2, 3, 4, 4, dtype=torch.float64)
    t = torch.tensor(UNEVEN, dtype=torch.float64, requires_grad=True)
    soft_values(x, t, 20.0, 4).backward(g)
    for i, threshold in enumerate(UNEVEN):
        z = 20.0 * (x - threshold)
        expected = -20.0 / 3 * (g / (1 + torch.exp(-z)) / (1 + torch.exp(z))).sum()
        assert t.grad[i].item() == pytest.approx(expected.item(), rel=1e-10)


def test_the_order_of_thresholds_does_not_matter_to_the_soft_form() -> None:
    shuffled = torch.tensor([0.8, 0.1, 0.35])
    torch.testing.assert_close(soft_values(GREYS, shuffled, 20.0, 4), soft_values(GREYS, torch.tensor(UNEVEN), 20.0, 4))


@pytest.mark.parametrize("h", [1, 88, 89, 500, 5000])
@pytest.mark.parametrize("levels", [2, 16, 256])
@pytest.mark.parametrize("reference", [False, True])
def test_nothing_overflows_at_any_hardness(h, levels, reference) -> None:
    x = torch.linspace(0, 1, 1001).requires_grad_()
    t = uniform_thresholds(levels, reference=reference).requires_grad_()
    out = soft_values(x, t, h, levels)
    out.sum().backward()
    assert torch.isfinite(out).all()
    assert ((out >= 0) & (out <= 1)).all()
    assert torch.isfinite(x.grad).all()
    assert torch.isfinite(t.grad).all()


def test_the_textbook_sigmoid_has_nan_gradients_at_hardness_500() -> None:
    """Shows that the form above is needed: the authors' 1/(1 + exp(-z)), with their threshold at 1, in float32."""
    x = torch.linspace(0, 1, 1001).requires_grad_()
    t = uniform_thresholds(2, reference=True)
    naive = sum(1 / (1 + torch.exp(-500.0 * (x - threshold))) for threshold in t).clamp(0, 1)
    naive.sum().backward()
    assert torch.isfinite(naive).all()
    assert float(torch.isnan(x.grad).float().mean()) == pytest.approx(0.82, abs=0.01)


def test_hardness_500_keeps_a_gradient_around_a_threshold_and_both_sides_are_alike() -> None:
    x = torch.tensor([0.5 - 0.1, 0.5 + 0.1], requires_grad=True)
    soft_values(x, torch.tensor([0.5]), 500.0, 2).sum().backward()
    assert x.grad.tolist() == pytest.approx([500 * math.exp(-50)] * 2, rel=1e-4)


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        (2, [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1]),
        (3, [0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 2]),
        (4, [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3]),
        (6, [0, 0, 1, 1, 2, 2, 3, 4, 4, 5, 5]),
        (8, [0, 1, 1, 2, 2, 3, 4, 5, 5, 7, 7]),
        (16, [0, 2, 3, 4, 5, 7, 8, 10, 11, 15, 15]),
    ],
)
def test_hard_codes_meet_the_vectors(levels, expected) -> None:
    greys = torch.tensor([0, 42, 63, 64, 85, 127, 128, 170, 191, 254, 255]).float() / 255
    assert codes(greys, uniform_thresholds(levels)).tolist() == expected


def test_hard_codes_equal_integer_arithmetic_for_every_grey_and_every_number_of_levels() -> None:
    grey = np.arange(256)
    for levels in range(2, 257):
        expected = np.minimum(grey * levels // 255, levels - 1)
        np.testing.assert_array_equal(codes(GREYS, uniform_thresholds(levels)).numpy(), expected)


def test_hard_codes_of_uneven_thresholds_put_ties_up() -> None:
    x = torch.tensor([0, 0.0999, 0.1, 0.3499, 0.35, 0.5, 0.8, 1])
    assert codes(x, torch.tensor(UNEVEN)).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


@pytest.mark.parametrize("make", [uniform_thresholds, rounding_thresholds])
@pytest.mark.parametrize("levels", [2, 3, 4, 6, 8, 16, 32, 255, 256])
def test_the_hard_quantiser_is_monotone_idempotent_and_takes_only_its_levels(make, levels) -> None:
    t = make(levels)
    once = values(codes(GREYS, t), levels)
    assert (once.diff() >= 0).all()
    assert torch.equal(values(codes(once, t), levels), once)
    assert set(once.tolist()) <= {float(np.float32(k) / np.float32(levels - 1)) for k in range(levels)}


def test_rounding_thresholds_give_the_nearest_level() -> None:
    assert rounding_thresholds(3).tolist() == [0.25, 0.75]
    for levels in (2, 3, 4, 8, 16):
        nearest = torch.floor(GREYS.double() * (levels - 1) + 0.5).long()
        assert torch.equal(codes(GREYS, rounding_thresholds(levels)), nearest)


def test_channels_may_have_thresholds_of_their_own() -> None:
    rows = torch.tensor([[0.2, 0.6], [0.5, 0.9]])
    x = torch.rand(4, 2, 3, 3, generator=torch.Generator().manual_seed(0))
    both = codes(x, rows)
    softened = soft_values(x, rows, 10.0, 3)
    for channel in range(2):
        assert torch.equal(both[:, channel], codes(x[:, channel], rows[channel]))
        torch.testing.assert_close(softened[:, channel], soft_values(x[:, channel], rows[channel], 10.0, 3))


def test_the_soft_form_tends_to_the_hard_one_except_at_ties() -> None:
    for levels in (2, 4, 8):  # no grey lies on a threshold
        t = uniform_thresholds(levels)
        torch.testing.assert_close(soft_values(GREYS, t, 5e5, levels), values(codes(GREYS, t), levels))
    at_tie = soft_values(torch.tensor([85 / 255], dtype=torch.float64), torch.tensor([1 / 3, 2 / 3]).double(), 1e4, 3)
    assert float(at_tie) == pytest.approx(0.25, abs=1e-3)


def test_the_gap_between_soft_and_hard_falls_with_hardness() -> None:
    t = uniform_thresholds(2)
    gaps = [float((soft_values(GREYS, t, h, 2) - values(codes(GREYS, t), 2)).abs().mean()) for h in (5, 50, 500)]
    assert gaps == pytest.approx([0.245, 0.0276, 0.0026], abs=5e-4)


def test_the_reference_form_has_the_same_codes_on_the_grid() -> None:
    for levels in (2, 3, 5, 16, 256):
        t = uniform_thresholds(levels, reference=True)
        counted = (GREYS[:, None] >= t).sum(1).clamp(max=levels - 1)
        assert torch.equal(codes(GREYS, hard_thresholds(t, levels)), counted)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-0.5, 1.5, width=32), min_size=3, max_size=3))
def test_sorting_for_export_keeps_the_codes_of_the_reference_form(thresholds) -> None:
    t = torch.tensor(thresholds)
    counted = (GREYS[:, None] >= t).sum(1).clamp(max=2)
    assert torch.equal(codes(GREYS, hard_thresholds(t, 3)), counted)


def test_effective_levels_counts_the_codes_that_greys_take() -> None:
    assert effective_levels(torch.tensor([0.3, 0.3, 0.8]), 4) == 3
    clamped = torch.tensor([0.5, 1.2, -0.1]).clamp(0, 1)
    assert effective_levels(clamped, 4) == 3
    counts = codes(GREYS, hard_thresholds(clamped, 4)).bincount().tolist()
    assert counts == [0, 128, 127, 1]
    assert effective_levels(torch.tensor([[0.3, 0.3, 0.8], [0.2, 0.4, 0.6]]), 4) == 3
