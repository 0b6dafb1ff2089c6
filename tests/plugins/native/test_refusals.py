"""A wrong answer that is withheld wins nothing, so no attack stops at one."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from bench.attack import Surface, Threat
from bench.attack.surrogate import as_it_is
from bench.deployment import Classify, Deployment, Draws, Signal, Stage

from .conftest import EPSILONS, Linear, batch_of, make

ATTACKS: dict[str, dict[str, Any]] = {
    "native-pgd-linf": {"steps": 20, "step": 0.1, "early": True},
    "native-apgd-ce": {"steps": 20, "early": True},
    "native-square-linf": {"steps": 1500},
    "spsa": {"steps": 30},
}


class Unsure(Stage):
    """Refuses to answer where the two classes are close."""

    placement = "server"

    def __init__(self, least: float) -> None:
        super().__init__()
        self.least = least

    def forward(self, signal: Any) -> Any:
        return signal.replace(rejected=(signal.x[:, 1] - signal.x[:, 0]).abs() < self.least)


def victim(linear: tuple[Linear, Tensor, Tensor], needed: float) -> tuple[Deployment, Tensor, Tensor]:
    """A deployment that refuses what leads by less than so much of the largest lead that the ball allows."""
    network, x, y = linear
    reach = EPSILONS["linf"] * float(network.w.abs().sum())
    deployment = Deployment.chain(Classify(network), Unsure(needed * reach)).requires_grad_(False)
    return deployment, x[:12], y[:12]


def won(deployment: Deployment, x: Tensor, y: Tensor) -> Tensor:
    said = deployment(Signal(x, Draws.of("score", 0, [b"%d" % i for i in range(len(x))])))
    return (said.x.argmax(1) != y) & ~said.side["rejected"]


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_goes_on_past_wrong_answers_that_are_refused(
    name: str, linear: tuple[Linear, Tensor, Tensor]
) -> None:
    score = name in {"native-square-linf", "spsa"}
    deployment, x, y = victim(linear, 0.1 if score else 0.5)  # squares and estimates lead less far
    surface = Surface(
        deployment,
        knowledge="black-box" if score else "white-box",
        access="score" if score else "gradient",
        shape=(1, 28, 28),
        classes=2,
        backward=None if score else as_it_is,
        settled=True,
    )
    threat = Threat(norm="linf", epsilon=EPSILONS["linf"])
    found = make(name, **ATTACKS[name]).run(surface, batch_of(x, y), threat).x_adv
    assert won(deployment, threat.realise(x, found), y).float().mean() > 0.9


class Wary(Stage):
    """Refuses to answer where one class leads by too much."""

    placement = "server"

    def __init__(self, most: float) -> None:
        super().__init__()
        self.most = most

    def forward(self, signal: Any) -> Any:
        return signal.replace(rejected=(signal.x[:, 1] - signal.x[:, 0]).abs() > self.most)


@pytest.mark.parametrize("settled", [True, False])
def test_a_win_is_kept_though_a_refused_image_is_further_wrong(
    settled: bool, linear: tuple[Linear, Tensor, Tensor]
) -> None:
    """Squares jump past the narrow lead that is answered, and come back to it from further out."""
    network, x, y = linear
    reach = EPSILONS["linf"] * float(network.w.abs().sum())
    deployment = Deployment.chain(Classify(network), Wary(0.005 * reach)).requires_grad_(False)
    surface = Surface(
        deployment, knowledge="black-box", access="score", shape=(1, 28, 28), classes=2, backward=None, settled=settled
    )
    x, y, threat = x[:24], y[:24], Threat(norm="linf", epsilon=EPSILONS["linf"])
    found = make("native-square-linf", steps=1500).run(surface, batch_of(x, y), threat)
    assert won(deployment, threat.realise(x, found.x_adv), y).float().mean() > 0.8


def test_the_smallest_perturbation_is_found_beyond_what_is_refused(linear: tuple[Linear, Tensor, Tensor]) -> None:
    """A refusal says nothing of how far the boundary is; the margin of what was refused does."""
    network, x, y = linear
    dual = float(network.w.abs().sum())
    refused = 0.05 * dual
    surface = Surface(
        Deployment.chain(Classify(network), Unsure(refused)).requires_grad_(False),
        knowledge="white-box", access="gradient", shape=(1, 28, 28), classes=2, backward=as_it_is, settled=True,
    )  # fmt: skip
    threat = Threat(norm="linf", epsilon=EPSILONS["linf"], domain="float")
    found = make("fmn-linf", steps=50).run(surface, batch_of(x, y), threat)
    assert bool(found.notes["found"].all())  # type: ignore[attr-defined]
    needed = (network.z(x).abs() + refused) / dual
    assert float((threat.distance(x, found.x_adv) / needed).median()) < 1.01


def test_a_reply_says_in_which_share_of_the_draws_an_image_is_refused(linear: tuple[Linear, Tensor, Tensor]) -> None:
    deployment, x, _ = victim(linear, 0.5)
    surface = Surface(
        deployment, knowledge="black-box", access="score", shape=(1, 28, 28), classes=2, backward=None, expectation=3
    )
    reply = surface.reply(x)
    assert reply.logits.shape == (len(x), 2)
    assert reply.refused is not None
    assert reply.refused.tolist() == [1.0] * len(x)  # the images lie beside the plane
    far = reply.logits[:, 1] > reply.logits[:, 0]
    moved = (x + torch.where(far, 1.0, -1.0)[:, None, None, None] * linear[0].w.sign().reshape(1, 1, 28, 28)).clamp(
        0, 1
    )
    assert surface.reply(moved).refused.tolist() == [0.0] * len(x)  # type: ignore[union-attr]
