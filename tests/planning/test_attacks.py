"""Which attack meets which deployment, as what."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from bench.api import specification
from bench.errors import UsageError
from bench.planning.attacks import (
    SCORE_DRAWS,
    SELECT_DRAWS,
    Assault,
    ThreatPoint,
    attacks_under,
    blocks,
    is_binarised,
    levels,
    offers,
    other_starts,
    other_ways,
    reached,
    surface,
    threat_points,
    travels,
)
from bench.plugins.entries import Attack, Dataset, ThreatSpec

SMOOTH = {"randomised": False, "differentiable": True}
RANDOM_STEP = {"randomised": True, "differentiable": False}
DATA = Dataset(
    name="d",
    factory="d:D",
    summary="",
    default_model="m",
    threats=(ThreatSpec(norm="linf", epsilons=(0.3, 0.1)), ThreatSpec(norm="l2", epsilons=(1.5,))),
)


def attack(access):
    return Attack(name="a", factory="a:A", summary="", norm="linf", access=access)


def test_blocks_are_whole_whatever_the_number_asked_for():
    assert blocks(100, 1000, 128) == [(0, 128)]
    assert blocks(129, 1000, 128) == [(0, 128), (128, 256)]
    assert blocks(384, 300, 128) == [(0, 128), (128, 256), (256, 300)]


def test_an_adaptive_surface_on_a_plain_deployment_is_the_white_box_one():
    spec = specification()
    assert surface(attack("gradient"), "adaptive", SMOOTH, spec) == surface(
        attack("gradient"), "white-box", SMOOTH, spec
    )


def test_an_adaptive_attacker_uses_surrogates_and_averages_draws_where_there_is_need():
    spec = specification(eot=7, precision="fp32")
    assert surface(attack("gradient"), "adaptive", RANDOM_STEP, spec) == {
        "knowledge": "adaptive",
        "access": "gradient",
        "backward": "straight-through",
        "expectation": 7,
        "precision": "fp32",
    }
    assert surface(attack("gradient"), "white-box", RANDOM_STEP, spec)["expectation"] == 1
    assert surface(attack("score"), "adaptive", RANDOM_STEP, spec)["backward"] == "none"


def test_auto_averages_what_the_deployment_was_found_to_ask_for_and_a_number_wins():
    ways = {"straight-through": 32, "identity": 4}
    noisy = {**RANDOM_STEP, "noise": {"agreement": 0.1, "draws": 32, "ways": ways}}
    auto = specification(eot="auto")
    assert surface(attack("gradient"), "adaptive", noisy, auto)["expectation"] == 32
    assert surface(attack("score"), "adaptive", noisy, auto)["expectation"] == 32
    assert surface(attack("gradient"), "adaptive", noisy, auto, "identity")["expectation"] == 4
    assert surface(attack("gradient"), "adaptive", noisy, auto, "learned")["expectation"] == 32
    assert surface(attack("gradient"), "adaptive", noisy, specification(eot=7), "identity")["expectation"] == 7
    assert surface(attack("gradient"), "white-box", noisy, auto)["expectation"] == 1
    assert surface(attack("gradient"), "adaptive", {**noisy, "randomised": False}, auto)["expectation"] == 1
    assert surface(attack("gradient"), "adaptive", noisy, specification(eot=7))["expectation"] == 7
    assert surface(attack("gradient"), "adaptive", noisy, specification())["expectation"] == 2


def test_a_search_by_scores_averages_eight_draws_wherever_there_is_time():
    for level in ("black-box", "adaptive"):
        assert surface(attack("score"), level, RANDOM_STEP, specification(budget="standard", eot=2))["expectation"] == 8
        assert surface(attack("score"), level, SMOOTH, specification(budget="standard", eot=2))["expectation"] == 1
    assert surface(attack("score"), "adaptive", RANDOM_STEP, specification(budget="standard"))["expectation"] == 16
    assert surface(attack("decision"), "black-box", RANDOM_STEP, specification(budget="standard"))["expectation"] == 1
    assert surface(attack("score"), "black-box", RANDOM_STEP, specification(eot=2))["expectation"] == 1


def test_an_attack_that_explores_goes_the_other_ways_under_the_headline_and_under_all_threats_with_time():
    traits = {**RANDOM_STEP, "ways": ["straight-through", "identity", "learned"], "furthest": ""}
    explorer = replace(attack("gradient"), explores=True)
    headline, other = (ThreatPoint(norm="linf", epsilon=e, headline=e == 0.3) for e in (0.3, 0.1))
    quick, standard = specification(), specification(budget="standard")
    assert list(other_ways(explorer, headline, traits, quick)) == ["identity", "learned"]
    assert list(other_ways(explorer, other, traits, quick)) == []
    assert list(other_ways(explorer, other, traits, standard)) == ["identity", "learned"]
    assert list(other_ways(attack("gradient"), headline, traits, standard)) == []
    seen = surface(explorer, "adaptive", {**SMOOTH, "ways": traits["ways"]}, quick, "learned")
    assert (seen["knowledge"], seen["backward"]) == ("adaptive", "learned")


def test_a_way_that_gets_clearly_further_is_gone_by_every_attack_with_gradients():
    traits = {**RANDOM_STEP, "ways": ["straight-through", "surrogate:soft", "learned"], "furthest": "surrogate:soft"}
    explorer = replace(attack("gradient"), explores=True)
    headline, other = (ThreatPoint(norm="linf", epsilon=e, headline=e == 0.3) for e in (0.3, 0.1))
    for point in (headline, other):
        assert list(other_ways(attack("gradient"), point, traits, specification())) == ["surrogate:soft"]
        assert list(other_ways(attack("score"), point, traits, specification())) == []
    assert list(other_ways(explorer, headline, traits, specification())) == ["surrogate:soft", "learned"]
    assert list(other_ways(explorer, other, traits, specification())) == ["surrogate:soft"]


def test_an_attack_that_takes_a_start_also_sets_out_from_what_was_found_on_the_twin():
    taking = replace(attack("gradient"), takes_start=True)
    headline, other = (ThreatPoint(norm="linf", epsilon=e, headline=e == 0.3) for e in (0.3, 0.1))
    quick, standard, met = specification(), specification(budget="standard"), ("oblivious", "adaptive")
    assert list(other_starts(taking, headline, met, quick)) == ["transfer"]
    assert list(other_starts(taking, headline, ("white-box", "adaptive"), quick)) == []
    assert list(other_starts(attack("gradient"), headline, met, quick)) == []
    assert list(other_starts(taking, other, met, quick)) == []
    assert list(other_starts(taking, other, met, standard)) == ["transfer"]


@pytest.mark.parametrize(
    ("wants", "traits", "offered"),
    [
        ("", {"views": 1, "detects": False}, True),
        ("views", {"views": 1, "detects": True}, False),
        ("views", {"views": 2, "detects": False}, True),
        ("detector", {"views": 2, "detects": False}, False),
        ("detector", {"views": 1, "detects": True}, True),
    ],
)
def test_an_attack_meets_only_deployments_that_have_what_it_wants_and_looks_inside(wants, traits, offered):
    wanting = replace(attack("gradient"), wants=wants)
    assert offers(traits, wanting) is offered
    subject = SimpleNamespace(entry=SimpleNamespace(baseline=False))
    expected = ["adaptive"] if wants else ["oblivious", "white-box", "adaptive"]
    assert list(levels(wanting, subject, specification())) == expected
    knowing = surface(wanting, "adaptive", {**SMOOTH, **traits}, specification())["knowledge"]
    assert knowing == ("adaptive" if wants else "white-box")


@pytest.mark.parametrize("access", ["score", "decision"])
def test_who_asks_for_answers_asks_the_undefended_network_only_where_that_is_named(access):
    defended, undefended = (SimpleNamespace(entry=SimpleNamespace(baseline=base)) for base in (False, True))
    assert "oblivious" not in levels(attack(access), defended, specification())
    named = specification(knowledge="oblivious,black-box")
    assert list(levels(attack(access), defended, named)) == ["oblivious", "black-box"]
    assert list(levels(attack(access), undefended, named)) == ["black-box"]


def test_only_gradients_are_computed_in_the_precision_asked_for():
    spec = specification(precision="bf16")
    assert surface(attack("gradient"), "white-box", SMOOTH, spec)["precision"] == "bf16"
    assert surface(attack("score"), "black-box", SMOOTH, spec)["precision"] == "fp32"
    with pytest.raises(UsageError, match="precision"):
        specification(precision="fp16")


def test_the_headline_is_the_first_radius_of_the_first_threat():
    points = threat_points(DATA, specification(eps="all"))
    assert [(p.norm, p.epsilon, p.headline) for p in points] == [
        ("linf", 0.3, True),
        ("linf", 0.1, False),
        ("l2", 1.5, False),
    ]
    assert [p.epsilon for p in threat_points(DATA, specification())] == [0.3, 1.5]


def test_a_radius_needs_one_norm_and_a_listed_norm():
    with pytest.raises(UsageError, match="--norm linf"):
        threat_points(DATA, specification(eps="0.1"))
    with pytest.raises(UsageError, match="lists no threat under l1"):
        threat_points(DATA, specification(norm="l1"))


def test_a_radius_that_was_meant_in_steps_of_a_byte_is_refused() -> None:
    with pytest.raises(UsageError, match=r"Radius 8 is more than a pixel can change.* Did you mean 8/255\?"):
        threat_points(DATA, specification(eps="0.1,8", norm="linf"))
    assert [p.epsilon for p in threat_points(DATA, specification(eps="8", norm="l2"))] == [8.0]
    assert [p.epsilon for p in threat_points(DATA, specification(eps="1", norm="linf"))] == [1.0]


@pytest.mark.parametrize(
    ("core", "given", "headline", "budget"),
    [
        ("apgd-dlr", {}, True, "standard"),
        ("pgd-ce", {"level": "white-box"}, True, "standard"),
        ("pgd-ce", {"way": "identity"}, True, "standard"),
        ("pgd-ce", {"start": "transfer"}, True, "standard"),
        ("pgd-ce", {"probe": "unbounded"}, True, "standard"),
        ("pgd-ce", {}, False, "standard"),
        ("pgd-ce", {}, True, "quick"),
    ],
)
def test_the_binarisation_test_is_of_the_adaptive_pgd_of_the_ladder_under_the_standard_budget(
    core, given, headline, budget
):
    def assault(core, headline, **more):
        chosen = SimpleNamespace(found=SimpleNamespace(entry=replace(attack("gradient"), core=core)), label="a")
        point = ThreatPoint(norm="linf", epsilon=0.3, headline=headline)
        return Assault(chosen, **{"level": "adaptive", "point": point, "seed": 0, **more})

    assert is_binarised(assault("pgd-ce", headline=True), specification(budget="standard"))
    assert not is_binarised(assault(core, headline, **given), specification(budget=budget))


@pytest.mark.parametrize("asked", ["bf16", "fp32"])
def test_what_rests_on_a_boundary_is_sought_in_float32(asked):
    spec = specification(precision=asked)
    climbing = attack("gradient")
    assert surface(climbing, "adaptive", SMOOTH, spec)["precision"] == asked
    assert surface(replace(climbing, minimum_norm=True), "adaptive", SMOOTH, spec)["precision"] == "fp32"
    assert surface(attack("score"), "adaptive", SMOOTH, spec)["precision"] == "fp32"


def test_a_white_box_attacker_differentiates_the_deployment_as_it_runs():
    seen = surface(attack("gradient"), "white-box", RANDOM_STEP, specification())
    assert (seen["knowledge"], seen["backward"], seen["expectation"]) == ("white-box", "as-it-is", 1)


def test_images_are_chosen_and_scored_on_as_many_draws_as_the_specification_asks_for():
    assert SELECT_DRAWS >= 16
    assert SCORE_DRAWS >= 32


@pytest.mark.parametrize(
    ("norm", "epsilon", "reach", "radius"),
    [
        ("linf", 0.1, 2.0, 0.2),
        ("linf", 0.3, 10.0, 1.0),  # all that a pixel has
        ("l2", 1.5, 100.0, 4.0),  # sqrt(16)
        ("l1", 5.0, 100.0, 16.0),
        ("l2", 0.0, 100.0, 4.0),
    ],
)
def test_a_probe_reaches_so_many_times_as_far_and_no_farther_than_the_box(norm, epsilon, reach, radius):
    point = reached(ThreatPoint(norm=norm, epsilon=epsilon, headline=True), reach, (1, 4, 4))
    assert (point.norm, point.epsilon, point.headline) == (norm, pytest.approx(radius), False)


def test_controls_count_under_every_norm_and_attacks_under_their_own():
    def chosen(norm):
        return SimpleNamespace(found=SimpleNamespace(entry=replace(attack("none"), norm=norm)))

    of = {norm: chosen(norm) for norm in ("", "linf", "l2")}
    assert attacks_under(list(of.values()), "linf") == [of[""], of["linf"]]


@pytest.mark.parametrize(
    ("access", "known"),
    [
        ("gradient", ["oblivious", "white-box", "adaptive"]),
        ("score", ["black-box", "adaptive"]),
        ("decision", ["black-box"]),
        ("none", ["oblivious"]),
    ],
)
def test_an_attack_is_run_at_every_level_of_knowledge_that_its_access_allows(access, known):
    defended = SimpleNamespace(entry=SimpleNamespace(baseline=False))
    assert list(levels(attack(access), defended, specification())) == known


def test_what_looks_at_a_detector_or_goes_one_way_only_is_not_tried_on_other_defenses():
    point, spec = ThreatPoint(norm="linf", epsilon=0.3, headline=True), specification()
    exploring = replace(attack("gradient"), explores=True)
    assert travels(exploring, point, spec)
    assert not travels(replace(exploring, wants="detector"), point, spec)
    assert not travels(attack("gradient"), point, spec)
    assert not travels(exploring, point, specification(knowledge=("adaptive",)))
