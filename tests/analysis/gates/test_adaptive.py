from __future__ import annotations

from typing import Any

import numpy as np
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


def test_an_attack_on_few_images_speaks_for_no_others(made: Any, attacked: Any) -> None:
    """That one adaptive attack breaks eight of eight says nothing of the images that it was not tried on."""
    brief = made.attack_record("median[size=3]", "square", np.zeros(8, np.uint8), knowledge="adaptive")
    row = attacked([("pgd", "white-box", 0.6), ("pgd", "adaptive", 0.95)], records=[brief])
    verdict = adaptive(row)
    assert verdict.outcome == "fail"
    assert "pgd (white-box) leaves 60.0%, pgd (adaptive) 95.0%" in verdict.evidence
