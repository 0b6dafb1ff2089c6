from __future__ import annotations

from typing import Any

import pytest

from bench.analysis.gates.derivative import derivative

TRUE = {"error": 0.01, "analytic": 1.0, "numeric": 1.0, "connected": True, "finite": True}


@pytest.mark.parametrize(
    ("change", "outcome", "word"),
    [
        ({}, "pass", "Within 1.0%"),
        ({"error": 0.3}, "fail", "differ by 30%"),
        ({"analytic": 0.0, "error": 1.0}, "fail", "is zero"),
        ({"connected": False}, "fail", "is zero"),
        ({"finite": False, "error": None}, "fail", "not finite"),
        ({"finite": False}, "fail", "not finite"),
    ],
)
def test_a_derivative_that_is_not_what_the_stage_does_fails(change: dict[str, Any], outcome: str, word: str) -> None:
    verdict = derivative({"0-capture": TRUE, "1-stage": {**TRUE, **change}})
    assert verdict.outcome == outcome
    assert word in verdict.evidence
    assert ("1-stage" in verdict.evidence) == (outcome == "fail")


def test_without_a_declaration_there_is_nothing_to_check() -> None:
    assert derivative({}).outcome == "n/a"
