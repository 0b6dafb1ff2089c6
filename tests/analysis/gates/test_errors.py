from __future__ import annotations

from typing import Any

from bench.analysis.gates.errors import errors


def test_an_attack_that_crashed_is_named(attacked: Any, made: Any) -> None:
    assert errors(attacked([("pgd", "adaptive", 0.5)])).outcome == "pass"
    crashed = made.attack_record("median[size=3]", "mim", [1]) | {"status": "timed-out", "reason": "slow"}
    del crashed["outcomes"]
    verdict = errors(attacked([("pgd", "adaptive", 0.5)], records=[crashed]))
    assert verdict.outcome == "warn"
    assert "mim (adaptive) timed out" in verdict.evidence


def test_images_that_an_attack_lost_are_counted(attacked: Any, made: Any) -> None:
    lossy = made.attack_record("median[size=3]", "mim", [1] * 9) | {"notes": {"attack": {"not_finite": 4}}}
    verdict = errors(attacked([("pgd", "adaptive", 0.5)], records=[lossy]))
    assert verdict.outcome == "warn"
    assert "lost 4 images" in verdict.evidence
