"""The code-space attack, through the surface that the suite gives it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bench.analysis.gates.gradients import gradients
from bench.attack import Batch, Surface, Threat
from bench.attack.surrogate import straight_through
from bench.deployment import Classify, Deployment, Draws, Signal
from bench_qusecnets.codeattack import CodeSpaceAttack
from bench_qusecnets.codespace import parts
from bench_qusecnets.quantiser import uniform_thresholds
from bench_qusecnets.stages import Quantise

THREAT = Threat(norm="linf", epsilon=0.45)


def linear(weight: list[float], bias: float) -> Deployment:
    """Return CQ-2 in front of a linear classifier whose margin for class 0 is w . code + b."""
    layer = nn.Linear(len(weight), 2)
    layer.weight.data = torch.tensor([weight, [0.0] * len(weight)])
    layer.bias.data = torch.tensor([bias, 0.0])
    network = nn.Sequential(nn.Flatten(), layer)
    return Deployment.chain(Quantise(uniform_thresholds(2), 2), Classify(network)).requires_grad_(False)


def surface(deployment: Deployment, knowledge: str = "adaptive") -> Surface:
    return Surface(
        deployment,
        knowledge=knowledge,
        access="gradient",
        shape=(1, 2, 4),
        classes=2,
        backward=straight_through,  # type: ignore[arg-type]
    )


def batch(rows: int = 3) -> Batch:
    x = (torch.tensor([0.1, 0.9, 0.1, 0.9, 0.1, 0.9, 0.1, 0.9]) * 255).round() / 255
    images = x.reshape(1, 1, 2, 4).repeat(rows, 1, 1, 1)
    names = [b"%d" % row for row in range(rows)]
    return Batch(images, torch.zeros(rows, dtype=torch.int64), Draws.of("craft", 0, names), 0)


def test_it_reaches_the_optimum_of_a_linear_classifier_where_a_gradient_through_the_quantiser_has_none() -> None:
    weight = [1.0, 2.0, -1.5, 1.0, 0.5, -0.5, 1.0, 1.0]
    # All pixels can flip: the least margin sets the codes of positive weights to 0 and of negative ones to 1.
    deployment = linear(weight, bias=2.0 - 1e-3)
    result = CodeSpaceAttack().run(surface(deployment), batch(), THREAT)
    codes = (result.x_adv >= 0.5).float().flatten(1)
    assert bool((codes == (torch.tensor(weight) < 0).float()).all())
    assert int(result.notes["broken"].sum()) == 3


def test_a_pixel_that_cannot_change_does_not_shorten_the_steps_of_those_that_can() -> None:
    """Sixty pixels must all change their code, more than flips and a drawn start reach; four of weight 100 cannot."""
    free, fixed = 60, 4
    deployment = linear([1.0] * free + [100.0] * fixed, bias=-0.5)
    x = (torch.tensor([0.9] * free + [0.0] * fixed) * 255).round() / 255
    given = Batch(x.reshape(1, 1, 8, 8), torch.tensor([0]), Draws.of("craft", 0, [b"0"]), 0)
    result = CodeSpaceAttack().run(surface(deployment), given, THREAT)
    assert int(result.notes["broken"].sum()) == 1


def test_what_it_found_lies_in_ball_and_box_and_is_answered_as_it_says() -> None:
    deployment, attacked = linear([1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0], bias=-1.5), batch()
    result = CodeSpaceAttack().run(surface(deployment), attacked, THREAT)
    assert bool(THREAT.contains(attacked.x, result.x_adv).all())
    assert bool(((result.x_adv >= 0) & (result.x_adv <= 1)).all())
    assert torch.equal(THREAT.realise(attacked.x, result.x_adv), result.x_adv), "on the 8-bit grid already"
    answers = deployment.answer(Signal(result.x_adv, attacked.draws)).x.argmax(1)
    assert int((answers != attacked.y).sum()) == int(result.notes["broken"].sum()) == 3


def test_a_tie_that_no_codes_go_beyond_is_not_called_broken() -> None:
    """All codes 0 give equal logits, which are answered with the first class: the right one."""
    deployment, attacked = linear([1.0] * 8, bias=0.0), batch()
    result = CodeSpaceAttack().run(surface(deployment), attacked, THREAT)
    answers = deployment.answer(Signal(result.x_adv, attacked.draws)).x
    assert bool((answers[:, 0] == answers[:, 1]).all())
    assert int(result.notes["broken"].sum()) == int((answers.argmax(1) != attacked.y).sum()) == 0


@pytest.mark.parametrize("parameters", [{"flips": 0}, {"steps": 0, "starts": 1}])
def test_it_goes_on_from_a_tie(parameters: dict[str, int]) -> None:
    deployment, attacked = linear([-1.0, 1.0] * 4, bias=-4.0), batch()
    clean = deployment.answer(Signal(attacked.x, attacked.draws)).x
    assert bool((clean[:, 0] == clean[:, 1]).all())
    result = CodeSpaceAttack(**parameters).run(surface(deployment), attacked, THREAT)
    answers = deployment.answer(Signal(result.x_adv, attacked.draws)).x.argmax(1)
    assert int(result.notes["broken"].sum()) == int((answers != attacked.y).sum()) == 3


def test_a_lead_that_rounding_may_take_back_is_not_called_broken() -> None:
    """The last step leaves a lead of 1e-6 beside logits of 8; another sum of the same products may not have it."""
    deployment, attacked = linear([1.0] * 8, bias=0.0), batch()
    layer = next(module for module in deployment.modules() if isinstance(module, nn.Linear))
    layer.bias.data = torch.tensor([8.0, 8.0 + 1e-6])
    assert float(layer.bias[1]) > 8.0
    assert CodeSpaceAttack().run(surface(deployment), attacked, THREAT).notes["broken"].sum() == 0
    layer.bias.data = torch.tensor([8.0, 8.01])
    assert CodeSpaceAttack().run(surface(deployment), attacked, THREAT).notes["broken"].sum() == 3


def test_it_counts_what_it_asks() -> None:
    seen = surface(linear([1.0] * 8, bias=8.0))
    CodeSpaceAttack(steps=3, starts=1, flips=0).run(seen, batch(2), THREAT)
    assert (seen.queries.gradient, seen.queries.forward) == (2 * 4, 2 * 5)


def test_it_shows_the_first_gradient_of_each_image_that_it_works_on() -> None:
    deployment, attacked = linear([1.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0], bias=8.0), batch(20)
    attacked.x[:3] = 0.0
    seen = surface(deployment)
    CodeSpaceAttack(steps=3).run(seen, attacked, THREAT)
    tally = seen.gradients
    assert seen.queries.gradient > 20
    assert (tally.images, tally.values, tally.zeros) == (20, 20 * 8, 20)
    assert (tally.dead_images, tally.nonfinite) == (0, 0)


def test_an_image_that_is_wrong_as_it_is_shows_no_gradient_in_anothers_place() -> None:
    deployment, attacked = linear([1.0] * 8, bias=-0.5), batch(5)
    attacked.x[1:3] = 0.0  # all codes 0: wrong already
    seen = surface(deployment)
    CodeSpaceAttack(steps=3).run(seen, attacked, THREAT)
    assert seen.gradients.images == 3


class Undefined(torch.autograd.Function):
    """The identity, whose derivative is NaN where the value is 0."""

    @staticmethod
    def forward(ctx: Any, h: Tensor) -> Tensor:
        ctx.save_for_backward(h)
        return h.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (h,) = ctx.saved_tensors
        return gradients[0].masked_fill(h == 0, torch.nan)


class Unstable(nn.Module):
    def forward(self, h: Tensor) -> Tensor:
        answer: Tensor = Undefined.apply(h)  # type: ignore[no-untyped-call]
        return answer


def test_gradients_that_are_not_finite_are_counted_and_lead_nowhere() -> None:
    plain = linear([0.2, 1.0, 0.2, 1.0, 0.2, 1.0, 0.2, 1.0], bias=1.0)
    network = nn.Sequential(Unstable(), parts(plain)[1])
    deployment = Deployment.chain(Quantise(uniform_thresholds(2), 2), Classify(network)).requires_grad_(False)
    seen = surface(deployment)
    # The bright pixels have sound gradients until they are dark, and lead as low as it goes.
    result = CodeSpaceAttack(starts=1, flips=0).run(seen, batch(2), THREAT)
    assert seen.gradients.nonfinite >= 2 * 4
    assert bool(result.x_adv.isfinite().all())
    assert bool((result.x_adv < 0.5).all())
    assert gradients(asdict(seen.gradients), "adaptive").outcome == "fail"


def test_the_result_for_an_image_does_not_depend_on_its_block() -> None:
    deployment = linear([1.0, -2.0, 1.0, 1.0, 3.0, 1.0, 0.2, 1.0], bias=-0.2)
    alone, together = (CodeSpaceAttack().run(surface(deployment), batch(n), THREAT).x_adv[0] for n in (1, 20))
    assert torch.equal(alone, together)


def test_an_attacker_who_does_not_know_the_defense_is_refused() -> None:
    with pytest.raises(PermissionError, match="do not see"):
        CodeSpaceAttack().run(surface(linear([1.0] * 8, 0.0), "white-box"), batch(), THREAT)
