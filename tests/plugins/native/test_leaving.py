"""Which images a search is done with, and which it goes on about."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bench.attack import Surface, Threat
from bench.attack.surrogate import as_it_is
from bench.deployment import Classify, Deployment, Stage
from bench_native.apgd import climb
from bench_native.case import LOOKS, Case, Kept
from bench_native.losses import margin
from bench_native.panel import Panel
from bench_native.spsa import Spsa

from .conftest import Victim, batch_of, make, surface_of, wrong

DIGITS = (1, 32, 32)


def test_where_nothing_is_drawn_images_leave_without_being_asked_about_again(digits: Victim) -> None:
    network, x, y = digits
    threat = Threat(norm="linf", epsilon=0.06, domain="float")
    attack = make("native-pgd-linf", steps=20, early=True)
    surface = surface_of(network, DIGITS, settled=True)
    attack.run(surface, batch_of(x, y), threat)
    assert surface.queries.forward == surface.queries.gradient < 20 * 128, "no call but those for gradients"


def test_what_a_camera_would_take_back_does_not_leave(digits: Victim) -> None:
    """On the grid of pixels an image that leaves has been asked about as it would be delivered."""
    network, x, y = digits
    threat = Threat(norm="linf", epsilon=15 / 255)
    surface = surface_of(network, DIGITS, settled=True)
    found = make("native-pgd-linf", steps=20, early=True).run(surface, batch_of(x, y), threat).x_adv
    assert surface.queries.forward > surface.queries.gradient
    whole = make("native-pgd-linf", steps=20).run(surface_of(network, DIGITS), batch_of(x, y), threat).x_adv
    left = (found != whole).flatten(1).any(1)
    assert int(left.sum()) >= 10
    assert (network(threat.realise(x, found)).argmax(1) != y)[left].all()


def test_square_asks_again_about_what_it_has_where_answers_are_random(digits: Victim) -> None:
    """Else the luckiest draw would stand for ever."""
    network, x, y = digits
    threat = Threat(norm="linf", epsilon=0.01)
    spent = []
    for noisy in (False, True):
        surface = surface_of(network, DIGITS, "score", noisy=noisy)
        make("native-square-linf", steps=11).run(surface, batch_of(x[:32], y[:32]), threat)
        spent.append(surface.queries.forward // 32)
    assert spent == [2 + 11, 1 + 2 * 10], "what says that it draws is not asked twice to see it"


def test_what_nobody_saw_answered_twice_the_same_is_averaged_and_not_done_with(digits: Victim) -> None:
    network, x, y = (part[:32] if isinstance(part, Tensor) else part for part in digits)
    surface, rows = surface_of(network, DIGITS, settled=True), torch.arange(32)
    batch = batch_of(x, (y + 1) % 10)  # all of them wrong as they are
    seen = Case.of(Panel(surface), batch, Threat(norm="linf", epsilon=0.1), margin, wrong, look=True)
    for steady, asked in ((rows >= 0, 1), (rows != 3, LOOKS)):
        kept, before = Kept(replace(seen, steady=steady)), surface.queries.forward
        assert kept.offer(rows, x).all()
        assert surface.queries.forward - before == asked * 32
        assert torch.equal(kept.broken, steady)
        assert torch.equal(kept.standing(), rows[~steady])


def test_early_leaving_keeps_the_outcome_and_spends_fewer_gradients(digits: Victim) -> None:
    network, x, y = digits
    threat, spent, right = Threat(norm="linf", epsilon=0.1), [], []
    for early in (False, True):
        surface = surface_of(network, DIGITS, settled=True)
        attack = make("native-pgd-linf", random_start=False, early=early)
        found = attack.run(surface, batch_of(x, y), threat).x_adv
        right.append(network(threat.realise(x, found)).argmax(1) == y)
        spent.append(surface.queries.gradient)
    assert torch.equal(right[0], right[1])
    assert spent[1] < 0.8 * spent[0]


class BetweenTheSteps(nn.Module):
    """Far on the wrong side for values between two steps of the grid, else by the mean of the image."""

    def forward(self, x: Tensor) -> Tensor:
        off = (255.0 * x - torch.round(255.0 * x)).abs().flatten(1).mean(1).detach()
        z = x.flatten(1).mean(1) - 102.5 / 255.0 + 100.0 * (off > 0.25)
        return torch.stack([-z, z], 1)


def test_an_image_that_leaves_apgd_is_returned_as_it_was_when_it_broke() -> None:
    x, y = torch.full((3, 1, 4, 4), 100.0 / 255.0), torch.zeros(3, dtype=torch.int64)
    threat = Threat(norm="linf", epsilon=4.0 / 255.0)
    network = BetweenTheSteps()
    surface = surface_of(network, (1, 4, 4), classes=2, settled=True)
    case = Case.of(Panel(surface), batch_of(x, y), threat, margin, wrong, look=True)
    found = climb(case, y, x + 0.5 / 255.0, margin, steps=4, early=True)
    assert (network(threat.realise(x, found)).argmax(1) != y).all()


def test_where_another_deployment_judges_square_goes_on_past_the_boundary(digits: Victim) -> None:
    """What has just broken a stand-in moves to another network badly."""
    network, x, y = (part[:12] if isinstance(part, Tensor) else part for part in digits)
    leads = []
    for settled in (True, False):
        surface = surface_of(network, DIGITS, "score", settled=settled)
        attack = make("native-square-linf", steps=200)
        found = attack.run(surface, batch_of(x, y), Threat(norm="linf", epsilon=0.3)).x_adv
        leads.append(margin(network(found), y))
    assert (leads[0] > 0).all()
    assert float(leads[1].median()) > 2 * float(leads[0].median())


def test_of_what_says_that_it_draws_two_equal_answers_are_luck(digits: Victim) -> None:
    class Rarely(Stage):
        """Draws, and mostly gives the same."""

        placement = "server"
        randomised = True

        def transform(self, x: Tensor) -> Tensor:
            return x

    network, x, y = digits
    surface = Surface(
        Deployment.chain(Rarely(), Classify(network)).requires_grad_(False),
        knowledge="adaptive", access="gradient", shape=DIGITS, classes=10, backward=as_it_is, block=b"test",
    )  # fmt: skip
    threat, attack = Threat(norm="linf", epsilon=0.1), Spsa(steps=1, directions=1, step=0.1, width=0.01, loss="margin")
    attack.classes = 10
    case = Case.of(Panel(surface), batch_of(x, y), threat, attack.worth, attack.sure, look=True)
    assert not case.steady.any()


def test_what_draws_only_for_images_that_look_attacked_is_not_taken_for_steady(digits: Victim) -> None:
    network, x, y = digits

    class Suspicious(Stage):
        placement = "server"
        randomised = False  # as it says

        def forward(self, signal: Any) -> Any:
            noise = torch.from_numpy(signal.draws.normal("noise", *signal.x.shape[1:])).float()
            clean = torch.stack([(x == image).flatten(1).all(1).any() for image in signal.x])
            return signal.replace(torch.where(clean[:, None, None, None], signal.x, signal.x + 0.2 * noise))

    surface = Surface(
        Deployment.chain(Suspicious(), Classify(network)), knowledge="adaptive", access="gradient", shape=(1, 32, 32),
        classes=10, backward=as_it_is,
    )  # fmt: skip
    case = Case.of(Panel(surface), batch_of(x, y), Threat(norm="linf", epsilon=0.1), margin, wrong, look=True)
    assert not case.steady.any()


@pytest.mark.parametrize("share", [0.5, 1.0])
@pytest.mark.parametrize("name", ["native-pgd-linf", "native-apgd-dlr", "native-mim"])
def test_images_without_a_gradient_are_not_asked_about_for_ever(name: str, share: float, digits: Victim) -> None:
    network, x, y = digits

    class HalfDead(nn.Module):
        """Bright images have no derivative."""

        def forward(self, x: Tensor) -> Tensor:
            bright = (x.flatten(1).mean(1) > middle)[:, None]
            answer = network(x)
            return torch.where(bright, answer.detach(), answer)

    middle = float(x.flatten(1).mean(1).quantile(1 - share)) - 1e-3
    threat = Threat(norm="linf", epsilon=0.02)
    more = {} if name == "native-mim" else {"restarts": 1}
    whole, spared = surface_of(HalfDead(), (1, 32, 32)), surface_of(HalfDead(), (1, 32, 32), settled=True)
    given = batch_of(x, y)
    with pytest.MonkeyPatch.context() as patch:  # nobody is known to be steady: every image is asked about to the end
        patch.setattr(Case, "fallen", lambda self, rows, x_adv, answers: torch.zeros(len(rows), dtype=torch.bool))
        found = make(name, steps=20, early=True, **more).run(spared, given, threat).x_adv
        patch.setattr("bench_native.case.Case.of", _never_steady(Case.of))
        expected = make(name, steps=20, early=True, **more).run(whole, given, threat).x_adv
    assert torch.equal(found, expected)
    assert spared.queries.gradient < (1.25 - share) * whole.queries.gradient


def _never_steady(of: Any) -> Any:
    def made(*arguments: Any, **more: Any) -> Case:
        case: Case = of(*arguments, **more)
        return replace(case, steady=torch.zeros_like(case.steady))

    return made
