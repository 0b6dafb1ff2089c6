"""Where an attack stands on the ladder of an audit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bench.analysis.groups import rows
from bench.analysis.rungs import USUAL, Breaker, breakers, broken, left, rung_of


@pytest.mark.parametrize(
    ("attack", "rung"),
    [
        ({"name": "a"}, USUAL),
        ({"name": "a", "way": "surrogate:linear"}, "adaptive, via linear"),
        ({"name": "a", "start": "transfer"}, "adaptive, from transfer"),
        ({"name": "mine", "start": "transfer"}, "own attacks"),
    ],
)
def test_an_adaptive_attack_that_is_not_run_as_usual_has_a_rung_of_its_own(attack, rung):
    assert rung_of({"attack": attack, "knowledge": "adaptive"}, {"mine": "own attacks"}) == rung


def test_attacks_that_not_all_seeds_met_count_where_they_tell(made: Any) -> None:
    """Seed 1 met one attack more, and nothing is left; the mean with a seed that did not meet it is no number."""
    records = []
    for seed in (0, 1):
        records += [
            made.clean_record("none", np.ones(200), seed=seed),
            made.attack_record("none", "pgd", np.ones(200), seed=seed),
        ]
    records.append(made.attack_record("none", "mim", np.zeros(200), seed=1))
    (row,) = rows(records)
    shares, used = left(row, lambda record: record["knowledge"] == "adaptive")
    assert shares is not None
    assert (shares.mean(), set(used)) == (0.0, {"pgd", "mim"})
    shares, _ = left(row, lambda record: record["attack"]["name"] == "mim")
    assert shares is None, "under one seed nothing is known"


def test_an_image_is_broken_where_it_is_no_longer_answered_rightly_more_often_than_not(made: Any) -> None:
    drawn, half = {"draws": {"select": 16, "score": 32}}, [16, 16, 8, 9]
    clean = made.clean_record("superiot[window=3]", np.ones(4)) | drawn
    made.with_outcomes(clean, clean_correct=np.ones(4), selected=np.full(4, 16), scored=np.array([32, 16, 32, 32]))
    attack = made.attack_record("superiot[window=3]", "pgd", [32, 0, 16, 17], selected=np.array(half)) | drawn
    (row,) = rows([clean, attack])
    assert broken(row) == (1, 3), "one was wrong in half of the draws before"
    assert breakers(row, {}) == (Breaker("pgd", "adaptive", USUAL, broken=1, alone=1, images=4),)
