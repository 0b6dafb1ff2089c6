from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from bench.attack import Threat
from bench.deployment import Draws
from bench.plugins.entries import Norm
from bench_native.balls import dual_length, edge, length, project, settle, steepest, uniform, within

NORMS: tuple[Norm, ...] = ("linf", "l2", "l1")
DRAWS = Draws.of("craft", 0, [b"a", b"b", b"c"])


def _noise(seed: int, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(5, 2, 6, 6, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("norm", NORMS)
def test_the_projection_is_the_nearest_point_of_the_ball(norm: Norm) -> None:
    """No other point of the ball makes a smaller angle: <delta - p, q - p> <= 0 for every q in it."""
    delta, radius = _noise(0), 1.5
    nearest = project(delta, radius, norm)
    assert (length(nearest, norm) <= radius * (1 + 1e-5)).all()
    for seed in range(1, 20):
        other = _noise(seed)
        other = other / length(other, norm)[:, None, None, None] * radius
        assert (((delta - nearest) * (other - nearest)).flatten(1).sum(1) <= 1e-4).all()
    assert torch.equal(project(delta * 1e-3, 50.0, norm), delta * 1e-3)


@pytest.mark.parametrize("norm", NORMS)
def test_radii_may_differ_by_image(norm: Norm) -> None:
    radii = torch.tensor([0.1, 0.2, 0.3, 0.4, 0.5])
    torch.testing.assert_close(length(project(_noise(0), radii, norm), norm), radii)


@pytest.mark.parametrize("norm", NORMS)
def test_the_steepest_step_has_length_one_and_no_other_rises_faster(norm: Norm) -> None:
    gradient = _noise(3)
    step = steepest(gradient, norm)
    torch.testing.assert_close(length(step, norm), torch.ones(5))
    torch.testing.assert_close((step * gradient).flatten(1).sum(1), dual_length(gradient, norm))
    assert torch.equal(steepest(torch.zeros(2, 1, 3, 3), norm), torch.zeros(2, 1, 3, 3))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(NORMS), st.floats(1e-3, 3.0))
def test_settled_images_lie_in_the_ball_to_the_last_bit(seed: int, norm: Norm, epsilon: float) -> None:
    x = torch.rand(5, 2, 6, 6, generator=torch.Generator().manual_seed(seed))
    x[0, 0, 0], x[0, 0, 1] = 0.0, 1.0
    moved = within(x, x + _noise(seed, 2.0), epsilon, norm)
    settled = settle(x, moved, epsilon, norm)
    assert (Threat(norm=norm, epsilon=epsilon).distance(x, settled) <= epsilon).all()
    assert float(settled.min()) >= 0
    assert float(settled.max()) <= 1
    torch.testing.assert_close(settled, moved, rtol=0, atol=2e-6)


@pytest.mark.parametrize("norm", NORMS)
def test_random_points_lie_in_the_ball_and_belong_to_the_image(norm: Norm) -> None:
    points = uniform(DRAWS, (1, 8, 8), 0.7, norm)
    assert (length(points, norm) <= 0.7 * (1 + 1e-6)).all()
    assert torch.equal(uniform(DRAWS[[2, 0]], (1, 8, 8), 0.7, norm), points[[2, 0]])
    assert not torch.equal(points[0], points[1])


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_apgd_begins_on_the_edge_of_the_ball(norm: Norm) -> None:
    torch.testing.assert_close(length(edge(DRAWS, (1, 8, 8), 0.7, norm), norm), torch.full((3,), 0.7))


@pytest.mark.parametrize("norm", NORMS)
def test_a_gradient_whose_squares_are_nothing_in_float32_has_a_direction(norm: Norm) -> None:
    """The cross-entropy's has such values where the margin is some fifty logits."""
    small = 1e-30 * _noise(3)
    assert not small.square().any()
    torch.testing.assert_close(steepest(small, norm), steepest(_noise(3), norm))
