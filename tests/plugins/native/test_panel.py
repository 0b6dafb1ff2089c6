from __future__ import annotations

import torch
from torch import Tensor, nn

from bench.attack.surface import Queries
from bench_native.losses import cross_entropy, margin
from bench_native.panel import ROWS, Panel

from .conftest import Victim, surface_of

SHAPE = (1, 32, 32)


class _Seen(list[int]):
    """A list that a surface's copy of a network shares with it."""

    def __deepcopy__(self, memo: object) -> _Seen:
        return self


class _Shapes(nn.Module):
    """Notes how many images each call has; images of one value get no gradient."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network, self.seen = network, _Seen()

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(len(x))
        return self.network(x)


def test_every_call_has_one_shape_and_what_fills_it_is_no_query(digits: Victim) -> None:
    network = _Shapes(digits[0])
    surface = surface_of(network, SHAPE)
    panel = Panel(surface)
    assert surface.fast
    network.seen.clear()  # of what the copy was tried on
    panel.answers(digits[1][:3], torch.arange(3))
    panel.ascent(digits[1][: ROWS + 1], torch.arange(ROWS + 1), digits[2][: ROWS + 1], margin)
    assert network.seen == [ROWS] * 3
    assert panel.padding == (ROWS - 3) + (ROWS - 1)
    assert surface.queries == Queries(forward=3 + ROWS + 1, gradient=ROWS + 1)


def test_averages_over_draws_are_asked_for_in_smaller_portions(digits: Victim) -> None:
    network = _Shapes(digits[0])
    panel = Panel(surface_of(network, SHAPE, expectation=16))
    assert panel.surface.fast
    network.seen.clear()
    panel.answers(digits[1][:5], torch.arange(5))
    assert network.seen == [64, 64]
    assert panel.padding == 3 * 16
    assert panel.surface.queries.forward == 5 * 16


def test_first_gradients_are_counted_for_images_and_not_for_filling(digits: Victim) -> None:
    surface = surface_of(digits[0], SHAPE)
    surface.gradients.starts = 5
    panel = Panel(surface)
    for _ in range(3):
        panel.ascent(digits[1][:5], torch.arange(5), digits[2][:5], margin)
    tally = surface.gradients
    assert (tally.images, tally.dead_images, tally.starts) == (5, 0, 0)


def test_fewer_images_than_set_out_leave_the_rest_to_be_counted(digits: Victim) -> None:
    surface = surface_of(digits[0], SHAPE)
    surface.gradients.starts = 8
    Panel(surface).ascent(digits[1][:5], torch.arange(5), digits[2][:5], margin)
    assert (surface.gradients.images, surface.gradients.dead_images, surface.gradients.starts) == (5, 0, 3)


def test_gradients_and_losses_are_those_of_torch(digits: Victim) -> None:
    network, x, y = digits
    found = Panel(surface_of(network, SHAPE)).ascent(x[:40], torch.arange(40), y[:40], cross_entropy)
    given = x[:40].clone().requires_grad_(True)
    loss = cross_entropy(network(given), y[:40])
    (gradient,) = torch.autograd.grad(loss.sum(), given)
    torch.testing.assert_close(found.loss, loss.detach())
    torch.testing.assert_close(found.gradient, gradient)


def test_gradients_that_are_no_number_are_counted_and_do_not_spread(digits: Victim) -> None:
    def broken(answers: Tensor, labels: Tensor) -> Tensor:
        return margin(answers, labels) * torch.where(labels == labels[0], torch.nan, 1.0)

    surface = surface_of(digits[0], SHAPE)
    found = Panel(surface).ascent(digits[1][:8], torch.arange(8), digits[2][:8], broken)
    assert surface.gradients.nonfinite > 0
    assert torch.isfinite(found.gradient).all()


def test_another_objective_may_look_at_more_than_logits(digits: Victim) -> None:
    """Such as a detector's score: a column appended to the answers, and an objective that knows it."""
    network, x, y = digits
    surface = surface_of(network, SHAPE)

    def ask(images: Tensor) -> Tensor:
        return torch.cat([surface.logits(images), images.flatten(1).mean(1, keepdim=True)], 1)

    found = Panel(surface, ask).ascent(x[:4], torch.arange(4), y[:4], lambda answers, labels: answers[:, -1])
    assert found.answers.shape == (4, 11)
    torch.testing.assert_close(found.gradient, torch.full_like(x[:4], 1 / 1024))
