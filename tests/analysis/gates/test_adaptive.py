from __future__ import annotations

from typing import Any

import pytest

from bench.analysis.gates.adaptive import adaptive


@pytest.mark.parametrize(
    ("white", "informed", "outcome"), [(0.5, 0.4, "pass"), (0.5, 0.54, "pass"), (0.5, 0.6, "fail")]
)
def test_white_box_attacks_that_beat_adaptive_ones_by_five_points_fail(
    attacked: Any, white: float, informed: float, outcome: str
) -> None:
    assert adaptive(attacked([("pgd", "white-box", white), ("pgd", "adaptive", informed)])).outcome == outcome


def test_each_level_is_spoken_for_by_its_best_attack_alone(attacked: Any) -> None:
    row = attacked([("pgd", "white-box", 0.5), ("pgd", "adaptive", 0.9), ("apgd-dlr", "adaptive", 0.5)])
    assert adaptive(row).outcome == "pass"
