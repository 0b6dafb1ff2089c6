"""Read-outs in the place of a deployment's last layer, each for the image that it is asked about."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bench.attack import Threat
from bench.attack.fast import fast_copy
from bench.attack.readout import Opened
from bench.attack.separation import Line
from bench.attack.surrogate import straight_through
from bench.deployment import Capture, Classify, Deployment, Draws, Join, Node, Signal
from bench.errors import Unavailable

LINF = Threat(norm="linf", epsilon=8 / 255)


def signal(count: int = 3) -> Signal:
    x = torch.rand((count, 1, 4, 4), generator=torch.Generator().manual_seed(1))
    return Signal(torch.round(x * 255) / 255, Draws.of("probe", 0, [b"%d" % row for row in range(count)]))


def line(features: int, bias: float) -> Line:
    return Line(torch.zeros(features), torch.ones(features), torch.tensor(bias))


def chain(*layers: nn.Module) -> Deployment:
    return Deployment.chain(Capture(), Classify(nn.Sequential(*layers)))


def test_the_last_linear_layer_that_runs_is_replaced_and_nothing_else() -> None:
    torch.manual_seed(0)
    layers = nn.Flatten(), nn.Linear(16, 5), nn.ReLU(), nn.Linear(5, 3)
    deployment, given = chain(*layers), signal()
    opened = Opened.of(deployment, given)
    assert opened.layer is layers[-1]
    h = torch.relu(layers[1](given.x.flatten(1)))
    assert torch.equal(opened.features(given), h[None])
    answering = opened.answering([line(h.shape[1], -1.0)], given.x[:1], LINF)
    s = h.sum(1) - 1
    assert torch.allclose(answering(given).x, torch.stack([-s, s], 1))
    assert torch.equal(answering(given).x, answering.answer(given).x)
    assert deployment(given).x.shape == (3, 3)
    assert {id(p) for p in layers[1].parameters()} <= {id(p) for p in answering.parameters()}


def test_a_pointwise_convolution_of_single_pixels_stands_in_for_a_linear_layer() -> None:
    torch.manual_seed(0)
    last = nn.Conv2d(2, 3, 1)
    deployment = chain(nn.Conv2d(1, 2, 4), last, nn.Flatten())
    opened = Opened.of(deployment, signal())
    assert opened.layer is last
    assert opened.features(signal()).shape == (1, 3, 2)


def test_a_deployment_without_a_linear_layer_says_so() -> None:
    with pytest.raises(Unavailable, match="no linear layer"):
        Opened.of(chain(nn.AvgPool2d(2), nn.Flatten()), signal())


def test_a_layer_that_sees_more_rows_than_images_says_so() -> None:
    opened = Opened.of(chain(nn.Flatten(1, 2), nn.Linear(4, 4), nn.Flatten()), signal())
    with pytest.raises(Unavailable, match="a vector an image"):
        opened.features(signal())


class Detects(Join):
    """Runs nothing of its own; takes two signals of one network."""

    def combine(self, *signals: Signal) -> Signal:
        return signals[0].replace(signals[0].x + signals[1].x)


@pytest.mark.parametrize("fast", [False, True])
def test_each_row_meets_the_read_out_of_its_own_image_in_any_order(fast: bool) -> None:
    torch.manual_seed(0)
    network, capture = Classify(nn.Sequential(nn.Flatten(), nn.Linear(16, 3))), Capture()
    twice = Deployment(
        [
            Node("sensor", capture),
            Node("first", network, ("sensor",)),
            Node("second", network, ("sensor",)),
            Node("both", Detects(), ("first", "second")),
        ]
    )
    given = signal()
    assert torch.equal(Opened.of(twice, given).features(given), given.x.flatten(1).expand(2, 3, 16))
    lines = [line(16, 100.0 * row) for row in range(3)]
    answering = Opened.of(twice, given).answering(lines, given.x, LINF)
    assert answering.placements == twice.placements
    if fast:
        answering = fast_copy(answering, (1, 4, 4), backward=straight_through).deployment
    order = [2, 0, 0, 1]
    moved = (torch.round((given.x[order] + LINF.epsilon).clamp(0, 1) * 255) / 255).requires_grad_(True)
    answers = straight_through(answering, Signal(moved, given.draws[order])).x
    wanted = 2 * (moved.flatten(1).sum(1) + 100.0 * torch.tensor(order))
    assert torch.allclose(answers[:, 1], wanted, rtol=1e-5)
    (gradient,) = torch.autograd.grad(answers[:, 1].sum(), moved)
    assert torch.equal(gradient, torch.full_like(moved, 2.0))
