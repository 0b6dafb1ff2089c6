"""Where an attack stands on the ladder of an audit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bench.analysis.groups import rows
from bench.analysis.rungs import USUAL, left, rung_of


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
