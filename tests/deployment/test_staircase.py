"""Values that no autograd made get the derivative that is said."""

from __future__ import annotations

import pytest
import torch

from bench.deployment import with_slope


@pytest.mark.parametrize("slope", [0.0, 1.0])
def test_values_stay_to_the_bit_and_the_gradient_is_the_slope(slope: float) -> None:
    x = torch.linspace(0, 1, 7).reshape(1, 1, 1, 7).requires_grad_(True)
    exact = torch.round(x.detach() * 3) / 3
    given = with_slope(exact, x, slope)
    assert torch.equal(given, exact)
    (gradient,) = torch.autograd.grad((2.0 * given).sum(), x)
    assert torch.equal(gradient, torch.full_like(x, 2.0 * slope))


def test_where_no_gradient_is_recorded_nothing_is_added() -> None:
    x = torch.rand(1, 1, 2, 2)
    exact = torch.round(x)
    assert with_slope(exact, x, 1.0) is exact
    with torch.no_grad():
        assert with_slope(exact, x.requires_grad_(True), 1.0) is exact
