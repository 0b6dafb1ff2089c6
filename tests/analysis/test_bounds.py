from __future__ import annotations

from typing import Any

import pytest

from bench.analysis.bounds import judge, parse
from bench.analysis.figures import line
from bench.analysis.groups import Setting
from bench.errors import UnknownName, UsageError

SETTING = Setting("digits", "5f", "lenet5", "", "linf", 0.2, "uint8", False, "quick")


def told(figure: str = "robust_accuracy", defense: str = "superiot", **more: Any) -> dict[str, Any]:
    """Return the line of a drop of 3 points from 50 %, p .001."""
    found = line((SETTING, defense), figure, 0.5, 0.47)
    found |= {"difference": -0.03, "low": -0.05, "high": -0.01, "p": 0.001, "verdict": "lower"}
    return found | more


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("robust_accuracy drops 2", ("robust_accuracy", "drops", 2.0, False, "")),
        ("robust-accuracy DROPS 2.5 points", ("robust_accuracy", "drops", 2.5, False, "")),
        (" latency_ratio rises 10% for superiot ", ("latency_ratio", "rises", 10.0, True, "superiot")),
        ("adaptive drops 1 point for qusec-cq[levels=2]", ("adaptive", "drops", 1.0, False, "qusec-cq[levels=2]")),
        ("uplink_bytes rises .5 %", ("uplink_bytes", "rises", 0.5, True, "")),
    ],
)
def test_a_bound_is_read_as_it_is_said(text: str, expected: tuple[object, ...]) -> None:
    bound = parse(text)
    assert (bound.figure, bound.direction, bound.amount, bound.is_relative, bound.defense) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("robust_acuracy drops 2", "Did you mean 'robust_accuracy'"),
        ("robust_accuracy falls 2", "Unknown direction 'falls'"),
        ("robust_accuracy drops", "must be FIGURE drops|rises AMOUNT"),
        ("robust_accuracy drops -2", "must be FIGURE drops|rises AMOUNT"),
        ("robust_accuracy drops 2 for", "must be FIGURE drops|rises AMOUNT"),
        ("latency_ratio rises 2 points", "points are of accuracies"),
        ("", "must be FIGURE drops|rises AMOUNT"),
    ],
)
def test_what_is_no_bound_is_refused_with_the_form(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said.replace("|", r"\|")):
        parse(text)


@pytest.mark.parametrize(
    ("text", "broken"),
    [
        ("robust_accuracy drops 2", True),
        ("robust_accuracy drops 3", True),
        ("robust_accuracy drops 3.1", False),
        ("robust_accuracy rises 2", False),
        ("robust_accuracy drops 6%", True),  # 3 of 50 points
        ("robust_accuracy drops 6.1%", False),
    ],
)
def test_a_bound_is_broken_by_the_estimate_in_points_or_per_cent(text: str, broken: bool) -> None:
    assert bool(judge(parse(text), [told()]).broken) is broken


def test_a_drop_that_chance_explains_breaks_no_bound() -> None:
    noise = told(difference=-0.2, low=-0.5, high=0.1, p=0.2, verdict="noise")
    found = judge(parse("robust_accuracy drops 2"), [noise])
    assert (found.broken, found.judged) == ((), 1)


def test_many_defenses_are_not_many_chances_to_fail() -> None:
    lone = told(p=0.03)
    assert judge(parse("robust_accuracy drops 2"), [lone]).broken
    others = [told(defense=f"d{n}", difference=0.0, p=1.0, verdict="same") for n in range(9)]
    assert not judge(parse("robust_accuracy drops 2"), [lone, *others]).broken  # Holm: .3
    assert judge(parse("robust_accuracy drops 2 for superiot"), [lone, *others]).broken
    assert judge(parse("robust_accuracy drops 2"), [told(), *others]).broken  # Holm: .01


def test_a_bound_for_one_defense_takes_a_label_or_a_name() -> None:
    lines = [told(defense="superiot[window=3]"), told(defense="jpeg[quality=50]")]
    for name in ("superiot", "superiot[window=3]"):
        (broken,) = judge(parse(f"robust_accuracy drops 2 for {name}"), lines).broken
        assert broken["defense"] == "superiot[window=3]"
    with pytest.raises(UnknownName, match="Did you mean 'superiot'"):
        judge(parse("robust_accuracy drops 2 for superoit"), lines)


def test_costs_are_bounded_in_their_own_unit_or_relative() -> None:
    grown = line((SETTING, "superiot"), "uplink_bytes", 700, 840)
    grown |= {"difference": 140.0, "low": 140.0, "high": 140.0, "p": 0.0, "verdict": "higher"}
    for text, broken in (("rises 140", True), ("rises 141", False), ("rises 20%", True), ("rises 21%", False)):
        assert bool(judge(parse(f"uplink_bytes {text}"), [grown]).broken) is broken
    from_nothing = grown | {"before": 0.0}
    assert judge(parse("uplink_bytes rises 1000%"), [from_nothing]).broken


def test_a_bound_that_nothing_can_be_compared_for_is_an_error_and_names_what_it_passed_over() -> None:
    refused = told(verdict="not comparable", reason="budget quick in A, standard in B")
    with pytest.raises(UsageError, match=r"nothing to compare .*superiot: not comparable: budget quick"):
        judge(parse("robust_accuracy drops 2"), [refused])
    with pytest.raises(UsageError, match="neither side has energy_mj"):
        judge(parse("energy_mj rises 2"), [told()])
    found = judge(parse("robust_accuracy drops 2"), [refused, told(defense="none")])
    assert [one["defense"] for one in found.unjudged] == ["superiot"]
    assert found.judged == 1
