"""Whether finite differences tell a derivative that is true from one that is not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from bench.deployment import Deployment, Draws, Join, Node, Signal, Stage
from bench.deployment.passage import trace
from bench.deployment.slope import TOLERANCE, Slope, slope

X = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(1))


class Does(Stage):
    def __init__(self, work: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.work = work

    def transform(self, x: Tensor) -> Tensor:
        return self.work(x)


def seen(work: Callable[[Tensor], Tensor], x: Tensor = X) -> Slope:
    signal = Signal(x, Draws.of("probe", 0, [b"%d" % i for i in range(len(x))]))
    ((passage,), _) = trace(Deployment.chain(Does(work)), signal)
    return slope(passage)


@pytest.mark.parametrize(
    "work",
    [
        lambda x: torch.tanh(3 * x),
        lambda x: torch.sin(2000 * x),  # true under the shortest step alone
        lambda x: x + 100.0,  # and here under the longest, which stands above rounding
        lambda x: (2 * x).flatten(1) @ torch.ones(64, 3),
    ],
)
def test_a_true_derivative_agrees_with_one_of_the_steps(work: Callable[[Tensor], Tensor]) -> None:
    found = seen(work)
    assert found.error < TOLERANCE
    assert (found.connected, found.finite) == (True, True)
    assert found.analytic > 0


def test_of_a_flat_image_no_pixel_ties_with_its_neighbour() -> None:
    assert seen(lambda x: functional.max_pool2d(x, 2), torch.full_like(X, 0.5)).error < TOLERANCE


@pytest.mark.parametrize(
    ("work", "error"),
    [
        (lambda x: 2 * x.detach() - x, 2.0),
        (lambda x: 0.5 * x + 0.5 * x.detach(), 0.5),
        (lambda x: 3 * x - 2 * x.detach(), 2 / 3),
    ],
)
def test_another_sign_or_size_shows_as_the_relative_difference(work: Callable[[Tensor], Tensor], error: float) -> None:
    assert seen(work).error == pytest.approx(error, abs=0.02)


def test_a_derivative_of_other_pixels_is_not_true_though_its_sum_is() -> None:
    assert seen(lambda x: x.flip(3) + (x - x.flip(3)).detach()).error > 3 * TOLERANCE


def test_what_does_not_reach_the_input_and_what_is_not_finite_is_said() -> None:
    cut = seen(lambda x: x.detach() * 2)
    assert (cut.connected, cut.finite, cut.analytic) == (False, True, 0.0)
    assert cut.numeric > 0
    broken = seen(lambda x: torch.where(x > 2, torch.sqrt(x - 2), x))
    assert (broken.connected, broken.finite) == (True, False)


def test_a_staircase_that_is_flat_under_short_steps_moves_under_a_coarse_one() -> None:
    flat = seen(lambda x: torch.round(2 * x) / 2)
    assert flat.analytic == 0.0
    assert flat.numeric > 0.05
    assert seen(lambda x: 0 * x).numeric == 0.0


def test_one_input_of_two_that_is_cut_off_is_a_wrong_derivative_and_a_connected_one() -> None:
    class Both(Join):
        def combine(self, *signals: Signal) -> Signal:
            return signals[0].replace(signals[0].x + 3 * signals[1].x.detach())

    one, two = Node("one", Does(lambda x: x)), Node("two", Does(lambda x: 2 * x), ("one",))
    nodes = [one, two, Node("both", Both(), ("one", "two"))]
    signal = Signal(X, Draws.of("probe", 0, [b"%d" % i for i in range(len(X))]))
    passages, _ = trace(Deployment(nodes), signal)
    found = slope(passages[-1])
    assert found.connected
    assert found.error > 3 * TOLERANCE
