from __future__ import annotations

import pytest
import torch
from torch import nn

from bench.attack import Threat
from bench.deployment import Capture, Classify, Deployment
from bench_qusecnets.quantiser import uniform_thresholds
from bench_qusecnets.stages import Quantise

from . import attacks
from .attacks import Budget, right, stands
from .contests import contests
from .victims import Victim, WrittenAnew


class _Brightness(nn.Module):
    """Class 1 where the mean lies above a half."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        z = 20 * (x.flatten(1).mean(1) - 0.5)
        return torch.stack([-z, z], 1)


def _victim(*on_device: nn.Module) -> Victim:
    values = torch.tensor([0.2, 0.4, 0.6, 0.8, 0.45])
    x = values[:, None, None, None].expand(-1, 1, 4, 4).contiguous()
    deployment = Deployment.chain(*on_device, Classify(_Brightness()))  # type: ignore[arg-type]
    return Victim("toys", "toy", deployment, x, torch.tensor([0, 0, 1, 1, 1]), [b""] * 5, "")


def test_only_wrong_answers_inside_the_ball_break_an_image_and_clean_errors_do_not_stand() -> None:
    victim = _victim(Capture())
    rows = right(victim)
    assert rows.tolist() == [0, 1, 2, 3], "the last is answered wrongly as it is"
    found = victim.x[rows].clone()
    found[1] += 0.15  # crosses, inside the ball
    found[2] -= 0.05  # stays on its side
    found[3] -= 0.60  # crosses, far outside
    standing = stands(victim, rows, found, Threat(norm="linf", epsilon=0.2, domain="float"))
    assert standing.tolist() == [True, False, True, True, False]


def test_what_the_libraries_get_computes_the_same_with_the_derivative_of_the_identity() -> None:
    for on_device in (Capture(), Quantise(uniform_thresholds(4), 4)):
        victim = _victim(on_device)
        network = WrittenAnew(victim.deployment)
        x = torch.rand(8, 1, 4, 4, generator=torch.Generator().manual_seed(0)).requires_grad_(True)
        logits = network(x)
        torch.testing.assert_close(logits.detach(), victim.answers(x.detach()), rtol=0, atol=1e-6)
        (gradient,) = torch.autograd.grad(logits[:, 1].sum(), x)
        torch.testing.assert_close(gradient, torch.full_like(gradient, 20 / 16))


def test_another_librarys_attack_makes_all_steps_though_the_sum_over_the_batch_rises(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("torchattacks")
    monkeypatch.setattr(attacks, "ONE_CONSTANT", Budget(steps=20, step=3.0, constant=1e-3))  # walks away from x
    victim = _victim(Capture())
    network, asked = WrittenAnew(victim.deployment), []
    network.register_forward_hook(lambda *_: asked.append(1))
    attack = attacks.PEERS["torchattacks", "cw-l2"](network, Threat(norm="l2", epsilon=1.0, domain="float"), 0)
    attack(victim.x, victim.y)
    assert len(asked) == 20


def test_a_budget_that_is_not_that_of_both_sides_names_both() -> None:
    (told,) = [contest.budget for contest in contests() if contest.title == "C&W-L2 of ART"]
    assert "ART: 50 steps" in told
    assert "Foolbox: 150 steps" in told
