from __future__ import annotations

from bench.analysis.gates.surrogates import surrogates


def test_a_surrogate_that_moves_another_way_is_named() -> None:
    assert surrogates({"0-round": {"identity": 0.9, "soft": 0.3}}).outcome == "pass"
    verdict = surrogates({"0-round": {"identity": 0.9, "soft": 0.29}})
    assert verdict.outcome == "warn"
    assert "soft 0.29" in verdict.evidence
    assert "identity" not in verdict.evidence


def test_a_stage_that_never_moved_says_nothing() -> None:
    assert surrogates({}).outcome == "n/a"
    assert surrogates({"0-round": {"identity": None}}).outcome == "n/a"


def test_a_surrogate_that_points_back_and_one_that_does_not_move_are_named() -> None:
    verdict = surrogates({"0-round": {"identity": -0.9, "soft": 0.0, "hard": 0.8}})
    assert verdict.outcome == "warn"
    assert "identity -0.90" in verdict.evidence
    assert "soft 0.00" in verdict.evidence
    assert surrogates({"0-round": {"soft": 0.0}}).outcome == "warn"
