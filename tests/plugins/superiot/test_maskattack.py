"""The attack of one who knows the masks, through the surface that the suite gives it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from bench.attack import AttackResult, Batch, Surface, Threat
from bench.attack.surrogate import straight_through
from bench.conformance import workbench
from bench.deployment import Deployment, Draws, FitResult, Signal
from bench.deployment.calls import ROWS
from bench_superiot.defense import SuperIoT
from bench_superiot.drop import PixelDrop
from bench_superiot.maskattack import FixedMaskAttack

THREAT = Threat(norm="linf", epsilon=0.15)
SHAPE = workbench.DIGITS


def deploy(**parameters: object) -> Deployment:
    network = workbench.trained_network()
    deployment = SuperIoT(**parameters).deploy(network, FitResult(), SHAPE)  # type: ignore[arg-type]
    return deployment.requires_grad_(False)


def surface(deployment: Deployment, knowledge: str = "adaptive") -> Surface:
    return Surface(
        deployment,
        knowledge=knowledge,  # type: ignore[arg-type]
        access="gradient",
        shape=SHAPE,
        classes=10,
        backward=straight_through,
    )


def batch(rows: int = 24) -> Batch:
    x, y = workbench.held_out(rows)
    return Batch(x, y, Draws.of("craft", 0, [image.numpy().tobytes() for image in x]), 0)


def attacked(deployment: Deployment, given: Batch, threat: Threat = THREAT, **parameters: object) -> AttackResult:
    attack = FixedMaskAttack(**{"steps": 10, "starts": 1, **parameters})  # type: ignore[arg-type]
    return attack.run(surface(deployment), given, threat)


def right(deployment: Deployment, x: Tensor, y: Tensor, draws: int = 8) -> float:
    """Return the share of right answers on masks that nobody knew."""
    named = [str(row).encode() for row in range(len(x))]
    said = [deployment.answer(Signal(x, Draws.of("score", 0, named, draw))).x.argmax(1) for draw in range(draws)]
    return float((torch.stack(said) == y).float().mean())


@pytest.mark.parametrize("surrogate", ["linear", "unrolled", "identity"])
def test_it_breaks_a_network_that_it_shall_break(surrogate: str) -> None:
    deployment, given, threat = deploy(), batch(), Threat(norm="linf", epsilon=0.25)
    assert right(deployment, given.x, given.y) > 0.7
    result = attacked(deployment, given, threat, surrogate=surrogate)
    assert torch.equal(result.notes["broken under the known mask"], torch.ones(24, dtype=torch.bool))
    assert right(deployment, threat.realise(given.x, result.x_adv), given.y) < 0.1


def test_a_known_mask_is_easier_than_masks_that_nobody_knew() -> None:
    """With half of the pixels dropped an image made for one mask says little of others."""
    deployment, given, threat = deploy(ratio=0.5), batch(), Threat(norm="linf", epsilon=0.06)
    result = attacked(deployment, given, threat)
    known = 1 - int(result.notes["broken under the known mask"].sum()) / 24
    assert known < right(deployment, threat.realise(given.x, result.x_adv), given.y) - 0.1


@pytest.mark.parametrize("threat", [THREAT, Threat(norm="l2", epsilon=1.0), Threat(norm="l2", epsilon=0.0)])
def test_what_it_found_lies_in_ball_and_box(threat: Threat) -> None:
    given = batch(4)
    found = attacked(deploy(), given, threat, starts=2).x_adv
    assert bool(threat.contains(given.x, found).all())
    assert float(found.min()) >= 0
    assert float(found.max()) <= 1
    assert torch.equal(found, given.x) == (threat.epsilon == 0)


def test_every_image_meets_one_mask_and_each_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Tensor] = []
    forward = PixelDrop.forward

    def watched(self: PixelDrop, signal: Signal) -> Signal:
        out = forward(self, signal)
        seen.append(out.side["mask"])
        return out

    monkeypatch.setattr(PixelDrop, "forward", watched)
    attacked(deploy(), batch(ROWS), steps=3, starts=2, surrogate="identity")
    assert len(seen) > 2 * 3
    assert all(torch.equal(mask, seen[0]) for mask in seen)
    assert len({mask.numpy().tobytes() for mask in seen[0]}) == ROWS


def test_the_same_seed_gives_the_same_images_whatever_stands_beside_them() -> None:
    deployment = deploy()
    together = attacked(deployment, batch(20), starts=2, steps=4).x_adv
    assert torch.equal(together, attacked(deployment, batch(20), starts=2, steps=4).x_adv)
    assert torch.equal(together[:3], attacked(deployment, batch(3), starts=2, steps=4).x_adv)


def test_it_counts_what_it_asks_and_shows_its_gradients() -> None:
    seen = surface(deploy())
    FixedMaskAttack(steps=3, starts=2).run(seen, batch(5), THREAT)
    assert (seen.queries.gradient, seen.queries.forward) == (2 * 5 * 3, 2 * 5 * 4 + 5)
    assert (seen.gradients.values, seen.gradients.nonfinite, seen.gradients.dead_images) == (30 * 1024, 0, 0)


def test_an_attacker_who_does_not_know_the_defense_is_refused() -> None:
    with pytest.raises(PermissionError, match="do not see"):
        FixedMaskAttack().run(surface(deploy(), "white-box"), batch(1), THREAT)
