from __future__ import annotations

import pytest
import torch
from torch import Tensor

from bench.attack import AttackResult, Surface, Threat

from .conftest import Linear, Victim, batch_of, make, surface_of

DIGITS = (1, 32, 32)
MEMBERS = ("apgd-ce", "apgd-dlr", "apgd-targeted", "square")
THREAT = Threat(norm="linf", epsilon=0.06)
SMALL = {"steps": 10, "targets": 2, "queries": 20}


def _run(victim: Victim, **surface: object) -> tuple[AttackResult, Surface]:
    network, x, y = victim
    asked = surface_of(network, DIGITS, **surface)  # type: ignore[arg-type]
    return make("strong", **SMALL).run(asked, batch_of(x, y), THREAT), asked


def _count(result: AttackResult, word: str) -> list[int]:
    return [int(result.notes[f"{word} {name}"].sum()) for name in MEMBERS]


def test_broken_images_leave_the_later_members_and_each_has_one_winner(digits: Victim) -> None:
    network, x, y = digits
    result, _ = _run(digits, settled=True)
    tried, broken, kept = (_count(result, word) for word in ("tried", "broken", "kept"))
    assert tried[0] == len(x) == sum(kept)
    for member in range(3):
        assert tried[member + 1] == tried[member] - broken[member]
    wrong = network(THREAT.realise(x, result.x_adv)).argmax(1) != y
    assert int(wrong.sum()) == sum(broken) > 10
    assert "square 20" in str(result.notes["budget"])


def test_where_another_deployment_judges_every_member_sees_every_image(digits: Victim) -> None:
    """What one member has just broken moves to another network badly."""
    result, _ = _run(digits)
    assert _count(result, "tried") == [len(digits[1])] * 4


def test_it_breaks_every_image_that_a_member_breaks_alone(digits: Victim) -> None:
    network, x, y = digits
    wrong = network(THREAT.realise(x, _run(digits)[0].x_adv)).argmax(1) != y
    plain = make("native-pgd-linf", steps=20, random_start=False).run(
        surface_of(network, DIGITS), batch_of(x, y), THREAT
    )
    alone = network(THREAT.realise(x, plain.x_adv)).argmax(1) != y
    assert int((alone & ~wrong).sum()) <= 1


def test_of_a_random_deployment_every_member_sees_every_image(digits: Victim) -> None:
    network, x, y = digits
    result, surface = _run((network, x[:8], y[:8]), noisy=True, expectation=4)
    assert _count(result, "tried") == [8] * 4
    assert _count(result, "broken") == [0] * 4
    assert sum(_count(result, "kept")) == 8
    assert surface.queries.gradient > 8 * 4 * 10


@pytest.mark.parametrize(("noisy", "expectation", "draws"), [(True, 1, 8), (True, 4, 8), (True, 16, 16), (False, 1, 1)])
def test_square_compares_scores_of_eight_draws_at_least(
    digits: Victim, noisy: bool, expectation: int, draws: int
) -> None:
    """Of single draws the luckiest would win, whatever gradients are averaged over."""
    network, x, y = digits
    spent = []
    for queries in (2, 4):
        surface = surface_of(network, DIGITS, noisy=noisy, expectation=expectation)
        make("strong", steps=1, targets=1, queries=queries).run(surface, batch_of(x[:32], y[:32]), THREAT)
        spent.append(surface.queries.forward)
    candidates = 2 if noisy else 1  # the image it has is asked about again
    assert spent[1] - spent[0] == 2 * 32 * candidates * draws


def test_averages_over_draws_choose_images_that_stay_broken(digits: Victim) -> None:
    """On fresh noise the kept images are right less often than the clean ones, by far."""
    network, x, y = digits
    result, _ = _run((network, x[:16], y[:16]), noisy=True, expectation=4)
    noise = 0.05 * torch.randn(64, *x.shape[1:], generator=torch.Generator().manual_seed(0))

    def rate(images: Tensor) -> float:
        return sum(float((network(image + noise).argmax(1) == true).double().mean())
                   for image, true in zip(images, y[:16], strict=True)) / 16  # fmt: skip

    assert rate(x[:16]) > 0.9
    assert rate(result.x_adv) < rate(x[:16]) - 0.2


def test_with_two_classes_the_margin_stands_in_for_the_ratio(linear: tuple[Linear, Tensor, Tensor]) -> None:
    network, x, y = linear
    surface = surface_of(network, (1, 28, 28), classes=2)
    threat = Threat(norm="linf", epsilon=0.01, domain="float")
    result = make("strong", **SMALL).run(surface, batch_of(x, y), threat)
    reachable = network.z(x).abs() < 0.01 * network.w.abs().sum()
    assert torch.equal(network(result.x_adv).argmax(1) != y, reachable)
    assert "tried apgd-margin" in result.notes
