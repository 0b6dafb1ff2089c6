"""A surface gives what its knowledge and access allow, and counts all of it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from bench.attack import REFUSED, Surface
from bench.attack.surface import GradientTally
from bench.attack.surrogate import as_it_is, straight_through
from bench.deployment import Capture, Classify, Deployment, Signal, Stage

SHAPE = (1, 4, 4)
CLASSES = 3


class Linear(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(16, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x.flatten(1))


class Noise(Stage):
    randomised = True

    def forward(self, signal: Signal) -> Signal:
        return signal.replace(signal.x + torch.from_numpy(signal.draws.normal("noise", *SHAPE)).float())


def surface(*stages: Stage, **options) -> Surface:
    chain = Deployment.chain(*(stages or (Capture(), Classify(Linear()))))
    given = {"knowledge": "white-box", "access": "gradient", "backward": as_it_is, **options}
    return Surface(chain, shape=SHAPE, classes=CLASSES, **given)


def images(count: int = 4) -> Tensor:
    return torch.randint(0, 256, (count, *SHAPE), generator=torch.Generator().manual_seed(3)).float() / 255.0


Y = torch.tensor([0, 1, 2, 0])


def test_queries_and_gradients_are_counted_in_images() -> None:
    subject = surface()
    subject.predict(images())
    subject.logits(images(3))
    subject.loss_gradient(images(), Y)
    assert (subject.queries.forward, subject.queries.gradient) == (4 + 3 + 4, 4)
    assert (subject.gradients.images, subject.gradients.values) == (4, 4 * 16)


def test_every_draw_of_an_expectation_counts() -> None:
    subject = surface(Noise(), Classify(Linear()), expectation=5, knowledge="adaptive")
    subject.loss_gradient(images(), Y)
    assert (subject.queries.forward, subject.queries.gradient) == (20, 20)


def test_the_library_module_counts_too_and_casts_at_the_door() -> None:
    subject = surface()
    logits = subject.module()(images().double())
    assert logits.dtype == torch.float32
    assert subject.queries.forward == 4


def test_zero_gradients_are_tallied() -> None:
    class Dead(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.zeros(len(x), CLASSES) + 0.0 * x.flatten(1).sum(1, keepdim=True)

    subject = surface(Capture(), Classify(Dead()))
    subject.loss_gradient(images(), Y)
    assert (subject.gradients.dead_images, subject.gradients.zeros, subject.gradients.nonfinite) == (4, 64, 0)


def test_gradients_that_are_no_numbers_are_tallied_and_passed_on() -> None:
    class Broken(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.sqrt(x - x).flatten(1)[
                :, :CLASSES
            ]  # the root's derivative at 0 is infinite; times 0 it is NaN

    subject = surface(Capture(), Classify(Broken()))
    gradient = subject.loss_gradient(images(), Y)
    assert subject.gradients.nonfinite > 0
    assert not torch.isfinite(gradient).all(), "never turned to zero in silence"


def test_a_deployment_without_any_derivative_gives_zero_gradients_that_are_seen() -> None:
    class Hard(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return (x.detach().flatten(1)[:, :CLASSES] > 0.5).float()

    subject = surface(Capture(), Classify(Hard()))
    assert (subject.loss_gradient(images(), Y) == 0).all()
    assert subject.gradients.dead_images == 4


def test_decision_access_refuses_logits_and_gives_labels() -> None:
    subject = surface(access="decision", backward=None, knowledge="black-box")
    with pytest.raises(PermissionError, match="labels only"):
        subject.logits(images())
    with pytest.raises(PermissionError):
        subject.loss_gradient(images(), Y)
    labels = subject.predict(images())
    answers = subject.module()(images())
    assert torch.equal(answers.argmax(1), labels)
    assert set(answers.unique().tolist()) == {0.0, 1.0}


def test_without_a_backward_there_are_no_gradients() -> None:
    subject = surface(access="score", backward=None, knowledge="black-box")
    assert not subject.differentiable
    subject.logits(images())
    with pytest.raises(PermissionError, match="no gradients"):
        subject.loss_gradient(images(), Y)


def test_an_expectation_averages_over_draws() -> None:
    """Through a linear classifier the noise averages out: with k draws its variance falls k-fold."""
    exact = Linear().eval()
    x = images()
    with torch.no_grad():
        wanted = exact(x)

    def spread(draws: int) -> float:
        subject = surface(Noise(), Classify(Linear()), expectation=draws, knowledge="adaptive")
        return torch.stack([subject.logits(x) - wanted for _ in range(40)]).square().mean().item()

    assert 40 < spread(1) / spread(64) < 100


def test_the_gradient_of_an_expectation_is_the_average_of_its_draws() -> None:
    class Scale(Stage):
        randomised = True

        def forward(self, signal: Signal) -> Signal:
            factor = torch.from_numpy(signal.draws.uniform("scale")).float()
            return signal.replace(signal.x * factor[:, None, None, None])

    subject = surface(Scale(), Classify(Linear()), expectation=400, knowledge="adaptive")
    x = images(1).requires_grad_(True)
    (gradient,) = torch.autograd.grad(subject.logits(x)[0, 0], x)
    weight = Linear().layer.weight[0].detach().reshape(SHAPE)
    torch.testing.assert_close(gradient[0], 0.5 * weight, atol=0.04 * float(weight.abs().max()) + 1e-6, rtol=0.12)


def test_queries_draw_anew_each_time_and_the_same_again_for_the_same_attacker() -> None:
    def answers(**options) -> list[Tensor]:
        subject = surface(Noise(), Classify(Linear()), **options)
        return [subject.logits(images()) for _ in range(2)]

    first, second = answers(seed=1, block=b"block"), answers(seed=1, block=b"block")
    assert not torch.equal(first[0], first[1])
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1], second[1])
    assert not torch.equal(first[0], answers(seed=2, block=b"block")[0])
    assert not torch.equal(first[0], answers(seed=1, block=b"other")[0])


def test_straight_through_is_exact_forward_and_the_identity_backward() -> None:
    class Staircase(Stage):
        placement = "device"
        differentiable = False

        def transform(self, x: Tensor) -> Tensor:
            return torch.floor(x * 4) / 4

    stages = (Staircase(), Classify(Linear()))
    through = surface(*stages, backward=straight_through, knowledge="adaptive")
    plain = surface(*stages, backward=as_it_is)
    x = images()
    assert torch.equal(through.logits(x.clone().requires_grad_(True)).detach(), plain.logits(x))
    assert (plain.loss_gradient(x, Y) == 0).all()
    bare = surface(Capture(), Classify(Linear()))
    at_the_steps = torch.floor(x * 4) / 4
    torch.testing.assert_close(
        through.loss_gradient(x, Y), bare.loss_gradient(Capture().cross(Signal(at_the_steps, None)).x, Y)
    )


def test_an_offered_identity_replaces_a_true_derivative_and_a_first_surrogate_one_of_another_shape() -> None:
    class Masked(Stage):
        placement = "device"

        @property
        def surrogates(self):
            return {"identity": lambda signal, progress: signal}

        def transform(self, x: Tensor) -> Tensor:
            return x * torch.tensor([0.0, 1.0]).repeat(x.shape[-1] // 2)

    class Halved(Stage):
        placement = "device"
        differentiable = False

        @property
        def surrogates(self):
            return {"mean": lambda signal, progress: signal.replace((signal.x[..., ::2] + signal.x[..., 1::2]) / 2)}

        def transform(self, x: Tensor) -> Tensor:
            return torch.round((x[..., ::2] + x[..., 1::2]) / 2)

    class Sum(torch.nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.stack([x.flatten(1).sum(1), torch.zeros(len(x))], 1)

    x = images().requires_grad_(True)
    for stage, derivative in ((Masked(), 1.0), (Halved(), 0.5)):
        through = surface(stage, Classify(Sum()), backward=straight_through, knowledge="adaptive")
        (gradient,) = torch.autograd.grad(through.logits(x)[:, 0].sum(), x)
        assert (gradient == derivative).all()
        assert torch.equal(through.logits(x), surface(stage, Classify(Sum()), backward=as_it_is).logits(x))


class Wary(Classify):
    """Withholds its answer to images brighter than .5."""

    def forward(self, signal: Signal) -> Signal:
        score = signal.x.flatten(1).mean(1) - 0.5
        return signal.replace(self.network(signal.x), score=score, rejected=score > 0)


def test_who_sees_labels_alone_sees_that_an_answer_is_withheld() -> None:
    subject = surface(Capture(), Wary(Linear()), access="decision", backward=None)
    x = torch.stack([torch.full(SHAPE, 0.2), torch.full(SHAPE, 0.9)])
    said = subject.predict(x)
    assert said.tolist() == [int(surface().predict(x)[0]), REFUSED]
    network = subject.module()
    with pytest.raises(PermissionError, match="withheld"):
        network(x)
    network.refused = 2
    assert network(x).argmax(1).tolist() == [said[0], 2]


def test_the_first_gradients_are_those_of_the_images_that_set_out() -> None:
    subject = surface(starts=6)
    for _ in range(3):
        subject.loss_gradient(images(), Y)
    assert (subject.queries.gradient, subject.gradients.images, subject.gradients.values) == (12, 6, 6 * 16)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_a_gradient_that_is_no_number_is_tallied_wherever_it_stands(bad: float) -> None:
    tally = GradientTally(starts=0)
    gradient = torch.ones(3, *SHAPE)
    gradient[2, 0, 1, :2] = bad
    tally.add(gradient)
    assert (tally.nonfinite, tally.images) == (2, 0)


class Moody(Classify):
    """Withholds the answers to an image in as many of four draws as it is bright."""

    randomised = True

    def forward(self, signal: Signal) -> Signal:
        place = torch.arange(len(signal.x)) % 4
        score = 4 * signal.x.flatten(1).mean(1) - place - 0.5
        return signal.replace(self.network(signal.x), score=score, rejected=score > 0)


def test_an_answer_that_more_than_half_of_the_draws_withhold_is_withheld() -> None:
    subject = surface(Moody(Linear()), access="decision", backward=None, expectation=4, knowledge="black-box")
    x = torch.stack([torch.full(SHAPE, share) for share in (0.25, 0.5, 0.75, 1.0)])
    assert (subject.predict(x) == REFUSED).tolist() == [False, False, True, True]
