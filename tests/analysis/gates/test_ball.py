from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bench.analysis.gates.ball import ball, gate


def test_the_images_outside_are_named() -> None:
    assert ball([], []).outcome == "pass"
    verdict = ball(list(range(20)), [3])
    assert verdict.outcome == "fail"
    assert "20 outside" in verdict.evidence
    assert "images 0, 1, 2" in verdict.evidence
    assert "1 not finite (images 3)" in verdict.evidence


@pytest.mark.parametrize(("inside", "attacked", "outcome"), [(1, 1, "pass"), (0, 1, "fail"), (0, 0, "pass")])
def test_an_attacked_image_that_does_not_count_at_this_radius_fails(
    made: Any, inside: int, attacked: int, outcome: str
) -> None:
    record = made.attack_record("none", "pgd", np.ones(4), attacked=np.full(4, attacked))
    made_inside = np.array([1, 1, inside, 1], dtype=np.uint8)
    record["outcomes"]["inside"] = made.encode_array(made_inside)
    verdict = gate()(record)
    assert verdict.outcome == outcome
    assert ("images 2" in verdict.evidence) == (outcome == "fail")


def test_a_minimum_norm_attack_may_end_outside(made: Any) -> None:
    record = made.attack_record("none", "hopskipjump", np.ones(4))
    record["outcomes"]["inside"] = made.encode_array(np.zeros(4, dtype=np.uint8))
    assert gate()(record).outcome == "pass"


def test_an_image_whose_distance_is_no_number_fails(made: Any) -> None:
    record = made.attack_record("none", "pgd", np.ones(4), distance=np.array([0.1, np.nan, 0.2, np.inf]))
    verdict = gate()(record)
    assert verdict.outcome == "fail"
    assert "1 not finite (images 1)" in verdict.evidence
