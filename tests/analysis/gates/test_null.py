from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bench.analysis.gates.null import null


def first(share: float) -> np.ndarray:
    return (np.arange(400) < share * 400).astype(np.uint8)


@pytest.mark.parametrize(("left", "outcome"), [(0.9, "pass"), (0.8975, "fail")])
def test_a_single_image_that_an_idle_attack_breaks_fails(attacked: Any, left: float, outcome: str) -> None:
    assert null(attacked([("null", "oblivious", left), ("pgd", "adaptive", 0.1)], clean=0.9)).outcome == outcome


def test_a_control_is_held_against_clean_answers_under_its_own_seeds(made: Any, row_of: Any) -> None:
    """Another training seed may be a better network; where the control was not run there, nothing was lost there."""
    records = []
    for seed, right in ((0, 0.9), (1, 1.0)):
        records += [
            made.clean_record("none", first(right), seed=seed),
            made.attack_record("none", "pgd", first(0.1), seed=seed),
        ]
    records.append(made.attack_record("none", "null", first(0.9)))
    verdict = null(row_of(records, "none"))
    assert (verdict.outcome, "90.0% are right, and 90.0%" in verdict.evidence) == ("pass", True)
