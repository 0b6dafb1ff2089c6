"""How many draws an attacker averages follows from how much gradients of different draws agree."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from bench.attack.noise import ENOUGH, MOST, Noise, gradient_noise
from bench.attack.surrogate import as_it_is, straight_through
from bench.deployment import Classify, Deployment, Draws, Signal, Stage

SHAPE, PIXELS = (1, 6, 6), 36
WEIGHTS = torch.linspace(-1.0, 1.0, PIXELS).add(0.03)


class Lines(nn.Module):
    """Two classes, whose margin is the image times ``WEIGHTS``."""

    def forward(self, x: Tensor) -> Tensor:
        margin = x.flatten(1) @ WEIGHTS
        return torch.stack([margin, torch.zeros_like(margin)], 1)


class Gain(Stage):
    """Multiplies each pixel by 1 + sigma n, with n standard normal: and so it does the gradient."""

    def __init__(self, sigma: float, *, declared: bool = True) -> None:
        super().__init__()
        self.sigma, self.randomised = sigma, declared

    def forward(self, signal: Signal) -> Signal:
        drawn = torch.from_numpy(signal.draws.normal("gain", *signal.x.shape[1:])).float()
        return signal.replace(signal.x * (1.0 + self.sigma * drawn))


def inspected(stage: Stage, *, images: int = 2, draws: int = 16) -> Noise:
    deployment = Deployment.chain(stage, Classify(Lines()))
    x, names = torch.full((images, *SHAPE), 0.5), [b"%d" % image for image in range(images)]
    way = as_it_is if deployment.differentiable else straight_through
    return gradient_noise(
        deployment, way, x, names, torch.tensor([[1.0, 0.0], [0.0, 1.0]] * (images // 2)), draws=draws
    )


@pytest.mark.parametrize("sigma", [0.5, 2.0, 5.0])
def test_the_agreement_of_known_noise_is_found_without_bias(sigma: float) -> None:
    # The mean gradient is the weights; a draw's differs by sigma n of each: S / (S + V) = 1 / (1 + sigma^2). Four draws
    # whose own pairs counted would say a quarter more of the rest.
    assert inspected(Gain(sigma), images=200, draws=4).agreement == pytest.approx(1.0 / (1.0 + sigma**2), abs=0.04)


@pytest.mark.parametrize("draws", [1, 4, 16])
def test_the_cosine_predicted_from_few_draws_is_the_one_measured(draws: int) -> None:
    sigma, trials = 2.0, 200
    stage, cosines = Gain(sigma), []
    for trial in range(trials):
        image = torch.full((draws, *SHAPE), 0.5, requires_grad=True)
        names = [b"%d/%d" % (trial, draw) for draw in range(draws)]
        answer = Classify(Lines())(stage(Signal(image, Draws.of("craft", 0, names)))).x
        (each,) = torch.autograd.grad((answer[:, 0] - answer[:, 1]).sum(), image)
        cosines.append(torch.cosine_similarity(each.flatten(1).mean(0), WEIGHTS, dim=0))
    assert inspected(stage).cosine(draws) == pytest.approx(float(torch.stack(cosines).mean()), abs=0.07)


def test_a_deployment_that_declares_no_randomness_needs_one_draw() -> None:
    assert inspected(Gain(5.0, declared=False)) == Noise(1.0)
    assert Noise(1.0).draws == 1


def test_the_least_power_of_two_that_is_enough_is_taken_and_the_most_where_none_is() -> None:
    for agreement in (0.95, 0.9, 0.7, 0.4, 0.2, 0.15):
        noise = Noise(agreement)
        assert noise.cosine(noise.draws) >= ENOUGH
        assert noise.draws == 1 or noise.cosine(noise.draws // 2) < ENOUGH
        assert noise.draws & (noise.draws - 1) == 0
    assert Noise(0.05).draws == Noise(0.0).draws == MOST


def test_draws_of_opposite_gradients_agree_in_nothing() -> None:
    class Sign(Stage):
        randomised = True

        def forward(self, signal: Signal) -> Signal:
            drawn = torch.from_numpy(signal.draws.uniform("sign", 1, 1, 1)).float()
            return signal.replace(signal.x * (drawn - 0.5).sign())

    assert inspected(Sign()).agreement < 0.1
    assert inspected(Sign()).draws == MOST


def test_an_image_without_a_gradient_is_left_out_and_without_any_there_is_no_agreement() -> None:
    class Dead(Stage):
        randomised = True

        def __init__(self, alive: tuple[float, float]) -> None:
            super().__init__()
            self.alive = torch.tensor(alive)[:, None, None, None]

        def forward(self, signal: Signal) -> Signal:
            return signal.replace(signal.x * self.alive)

    assert inspected(Dead((1.0, 0.0))).agreement == pytest.approx(1.0)
    assert inspected(Dead((1.0, float("nan")))).agreement == pytest.approx(1.0)
    assert inspected(Dead((0.0, 0.0))) == Noise(0.0)


def test_what_moves_both_leading_classes_alike_is_no_noise() -> None:
    """The gradient is of their margin; what is drawn here raises both logits."""

    class Common(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            both = 9.0 * x[:, 1].flatten(1).sum(1, keepdim=True)
            return Lines()(x[:, :1]) + both

    class Second(Gain):
        def forward(self, signal: Signal) -> Signal:
            drawn = torch.from_numpy(signal.draws.normal("gain", 1, 6, 6)).float()
            return signal.replace(torch.cat([signal.x[:, :1], signal.x[:, 1:] * (1.0 + drawn)], 1))

    x = torch.full((2, 2, 6, 6), 0.5)
    deployment = Deployment.chain(Second(1.0), Classify(Common()))
    found = gradient_noise(deployment, as_it_is, x, [b"0", b"1"], torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
    assert found.agreement == pytest.approx(1.0)


def test_what_says_that_it_has_no_derivative_is_measured_straight_through() -> None:
    class Rounded(Gain):
        differentiable = False

        def forward(self, signal: Signal) -> Signal:
            return super().forward(signal.replace(torch.round(signal.x * 8) / 8))

    assert inspected(Rounded(0.0)).agreement == pytest.approx(1.0)
