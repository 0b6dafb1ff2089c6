from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bench.analysis.gates.noise import noise

from .conftest import refusing


@pytest.mark.parametrize(
    ("left", "attack", "outcome"),
    [
        (1.0, ("pgd", "adaptive", 0.5), "pass"),
        (0.9925, ("pgd", "adaptive", 0.5), "pass"),
        (0.9, ("pgd", "adaptive", 0.5), "warn"),  # the ball is large
        (0.9, ("pgd", "adaptive", 1.0), "fail"),  # an attack that returns its input
        (0.9, ("pgd", "white-box", 1.0), "warn"),
    ],
)
def test_noise_that_hurts_warns_and_noise_that_beats_an_attack_fails(
    attacked: Any, left: float, attack: tuple[str, str, float], outcome: str
) -> None:
    assert noise(attacked([("noise", "oblivious", left), attack])).outcome == outcome


def test_without_the_control_there_is_nothing_to_say(attacked: Any) -> None:
    assert noise(attacked([("pgd", "adaptive", 0.5)])).outcome == "n/a"


@pytest.mark.parametrize(
    ("own", "undefended", "outcome"),
    [
        (0.9, 0.9, "pass"),  # the ball hurts everything
        (0.9, 0.8, "pass"),  # the defense helps
        (0.8, 0.9, "warn"),
        (0.895, 0.9, "pass"),  # within a point
        (0.99, 1.0, "pass"),  # a point, which is no more than one
        (0.885, 0.9, "warn"),
    ],
)
def test_noise_is_held_against_what_it_does_to_the_undefended_network(
    made: Any, attacked: Any, own: float, undefended: float, outcome: str
) -> None:
    """Where the ball is large every row warned, the undefended one among them, and the badge said nothing."""
    right = np.arange(400) < 400 * undefended
    bare = [made.clean_record("none", np.ones(400))]
    bare += [made.attack_record("none", "noise", right, knowledge="oblivious")]
    bare += [made.attack_record("none", "pgd", np.zeros(400))]
    evidence = attacked([("noise", "oblivious", own), ("pgd", "adaptive", 0.2)], records=bare)
    found = noise(evidence)
    assert found.outcome == outcome
    assert f"of the undefended network it costs {100 * (1 - undefended):.1f}" in found.evidence


def test_what_noise_costs_is_of_the_seeds_that_it_was_tried_under(made: Any, row_of: Any) -> None:
    records = []
    for seed, right in ((0, 0.9), (1, 1.0)):
        clean = (np.arange(400) < right * 400).astype(np.uint8)
        records += [
            made.clean_record("none", clean, seed=seed),
            made.attack_record("none", "pgd", np.zeros(400), seed=seed),
        ]
    records.append(made.attack_record("none", "noise", (np.arange(400) < 360).astype(np.uint8)))
    verdict = noise(row_of(records, "none"))
    assert verdict.outcome == "pass"
    assert "Noise leaves 90.0% of 400 images, 90.0% are right without" in verdict.evidence


def test_what_may_be_chance_is_not_made_worse_by_the_defense(made: Any, attacked: Any) -> None:
    """Of 400 images noise costs one network 16 and the other ten others: a point and a half, of 1.2 errors."""
    bare = [made.clean_record("none", np.ones(400)), made.attack_record("none", "pgd", np.zeros(400))]
    bare.append(made.attack_record("none", "noise", np.arange(400) >= 10, knowledge="oblivious"))
    assert noise(attacked([("noise", "oblivious", 0.96), ("pgd", "adaptive", 0.2)], records=bare)).outcome == "pass"


def test_an_attack_off_the_ladder_that_noise_beats_makes_no_number_too_high(made: Any, attacked: Any) -> None:
    bare = [made.clean_record("none", np.ones(400)), made.attack_record("none", "pgd", np.zeros(400))]
    bare.append(made.attack_record("none", "noise", np.arange(400) < 360, knowledge="oblivious"))
    attacks = [("noise", "oblivious", 0.9), ("pgd", "adaptive", 0.5), ("bim", "adaptive", 1.0)]
    assert noise(attacked(attacks, records=bare)).outcome == "pass"


def test_an_adaptive_attack_that_noise_beats_fails_whatever_else_it_beats(attacked: Any) -> None:
    row = attacked([("noise", "oblivious", 0.9), ("pgd", "adaptive", 1.0), ("pgd", "white-box", 1.0)])
    assert noise(row).outcome == "fail"


def test_noise_does_not_beat_an_attack_that_is_refused_instead(made: Any, row_of: Any) -> None:
    attacks = [("noise", 0.3, 0.93, 0.02), ("pgd", 0.3, 0.0, 1.0)]
    row = row_of(refusing(made, attacks), "none")
    assert noise(row).evidence.startswith("Noise leaves 95.0%")
    assert noise(row).outcome == "warn"  # it costs five points
    attacks[1] = ("pgd", 0.3, 1.0, 0.0)
    assert noise(row_of(refusing(made, attacks), "none")).outcome == "fail"


def test_noise_that_is_refused_itself_beats_nobody(made: Any, row_of: Any) -> None:
    """Of a detector that sees large changes: who finds nothing gives back what is answered, noise does not."""
    attacks = [("noise", 0.3, 0.0, 1.0), ("pgd", 0.3, 1.0, 0.0), ("evade", 0.3, 0.3, 0.1)]
    assert noise(row_of(refusing(made, attacks), "none")).outcome == "pass"
