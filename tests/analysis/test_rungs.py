"""Where an attack stands on the ladder of an audit."""

from __future__ import annotations

import pytest

from bench.analysis.rungs import USUAL, rung_of


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
