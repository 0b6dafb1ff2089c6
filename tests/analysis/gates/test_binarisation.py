from __future__ import annotations

from typing import Any

import pytest

from bench.analysis.gates.binarisation import binarisation, gate

WELL = {"reason": "", "looked_at": 70, "testable": 64, "found": 64, "random": 3, "queries": 42}


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        ({}, "pass"),
        ({"found": 61}, "pass"),  # .953
        ({"found": 60}, "fail"),  # .938
        ({"found": 0}, "fail"),
        ({"random": 32}, "pass"),
        ({"random": 33}, "warn"),
        ({"found": 60, "random": 60}, "fail"),
        ({"testable": 63, "found": 63}, "warn"),
        ({"testable": 20, "found": 17}, "warn"),  # with the lacking 44, .953
        ({"testable": 20, "found": 16}, "fail"),
        ({"testable": 0, "found": 0, "random": 0}, "n/a"),
        ({"reason": "The deployment runs no linear layer."}, "n/a"),
    ],
)
def test_an_attack_must_find_what_is_known_to_be_there(change: dict[str, Any], outcome: str) -> None:
    verdict = binarisation(WELL | change)
    assert verdict.outcome == outcome
    assert verdict.evidence
    assert gate()({"evidence": {"binarisation": WELL | change}}) == verdict


def test_a_record_without_the_test_says_when_it_is_made() -> None:
    verdict = gate()({"evidence": {}})
    assert verdict.outcome == "n/a"
    assert "standard budget" in verdict.evidence
