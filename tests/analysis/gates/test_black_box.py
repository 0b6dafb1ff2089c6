from __future__ import annotations

from typing import Any

import pytest

from bench.analysis.gates.black_box import black_box


@pytest.mark.parametrize(
    ("weak", "white", "adaptive", "outcome"),
    [
        (("square", "black-box", 0.7), 0.4, 0.4, "pass"),
        (("square", "black-box", 0.4), 0.4, 0.4, "pass"),
        (("square", "black-box", 0.4), 0.9, 0.3, "warn"),  # shattered gradients, worked around
        (("square", "black-box", 0.4), 0.9, 0.6, "fail"),
        (("pgd", "oblivious", 0.4), 0.9, 0.6, "fail"),
        (("square", "adaptive", 0.4), 0.9, 0.6, "fail"),
    ],
)
def test_an_attack_without_gradients_that_beats_those_with_them_trips_it(
    attacked: Any, weak: tuple[str, str, float], white: float, adaptive: float, outcome: str
) -> None:
    row = attacked([weak, ("pgd", "white-box", white), ("apgd-dlr", "adaptive", adaptive)])
    assert black_box(row).outcome == outcome


def test_without_both_kinds_there_is_nothing_to_compare(attacked: Any) -> None:
    assert black_box(attacked([("pgd", "adaptive", 0.5)])).outcome == "n/a"
