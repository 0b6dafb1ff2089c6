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
        ({"testable": 63, "found": 63}, "fail"),
        ({"testable": 0, "found": 0, "random": 0}, "fail"),
        ({"reason": "The deployment runs no linear layer."}, "n/a"),
        ({"reason": "The test could not be made: out of memory", "broken": True}, "fail"),
    ],
)
def test_an_attack_must_find_what_is_known_to_be_there(change: dict[str, Any], outcome: str) -> None:
    verdict = binarisation(WELL | change, left=0.4)
    assert verdict.outcome == outcome
    assert verdict.evidence
    assert gate()({"evidence": {"binarisation": WELL | change}, "aggregates": {"accuracy": 0.4}}) == verdict


@pytest.mark.parametrize(
    ("testable", "found", "outcome"),
    [(63, 63, "warn"), (6, 6, "warn"), (0, 0, "warn"), (20, 17, "warn"), (20, 16, "fail")],  # with the lacking 44, .953
)
def test_few_images_do_where_the_attack_leaves_next_to_nothing(testable: int, found: int, outcome: str) -> None:
    assert binarisation(WELL | {"testable": testable, "found": found}, left=0.05).outcome == outcome


def test_a_record_without_the_test_says_when_it_is_made() -> None:
    verdict = gate()({"evidence": {}})
    assert verdict.outcome == "n/a"
    assert "standard budget" in verdict.evidence
