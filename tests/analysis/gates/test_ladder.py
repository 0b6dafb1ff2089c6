from __future__ import annotations

from typing import Any

from bench.analysis.gates.ladder import ladder

WHOLE = [
    ("fgsm", "white-box", 0.5),
    ("pgd", "adaptive", 0.5),
    ("apgd-dlr", "adaptive", 0.5),
    ("square", "black-box", 0.5),
]


def test_a_missing_rung_and_a_missing_adaptive_attack_fail(attacked: Any) -> None:
    assert ladder(attacked(WHOLE)).outcome == "pass"
    assert "square not run" in ladder(attacked(WHOLE[:-1])).evidence
    verdict = ladder(attacked([WHOLE[0], WHOLE[-1]]))
    assert verdict.outcome == "fail"
    assert "no attack that knows the defense" in verdict.evidence
