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


@pytest.mark.parametrize(("left", "outcome"), [(0.9, "pass"), (0.895, "pass"), (0.8, "fail")])
def test_of_what_draws_no_more_may_differ_than_chance_allows(made: Any, row_of: Any, left: float, outcome: str) -> None:
    defense, drawn = "superiot[window=3]", {"draws": {"select": 16, "score": 32}}
    clean = made.clean_record(defense, first(0.9)) | drawn
    made.with_outcomes(clean, clean_correct=first(0.9), selected=16 * first(0.9), scored=32 * first(0.9))
    control = made.attack_record(defense, "null", 32 * first(left), selected=16 * first(left)) | drawn
    assert null(row_of([clean, control], defense)).outcome == outcome


def test_a_control_that_failed_says_nothing(made: Any, row_of: Any) -> None:
    failed = made.attack_record("none", "null", first(0.9)) | {"status": "failed", "reason": "it broke"}
    del failed["outcomes"]
    records = [made.clean_record("none", first(0.9)), made.attack_record("none", "pgd", first(0.1)), failed]
    assert null(row_of(records, "none")).outcome == "n/a"
