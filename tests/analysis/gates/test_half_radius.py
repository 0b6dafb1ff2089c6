from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bench.analysis.gates.evidence import RowEvidence
from bench.analysis.gates.half_radius import half_radius
from bench.analysis.gates.verdict import Verdict

DETECTOR, N = "detector", 400
Judged = Callable[..., Verdict]


def first(standing: float) -> np.ndarray:
    return (np.arange(N) < standing * N).astype(np.uint8)


@pytest.fixture
def judged(made: Any, row_of: Callable[..., RowEvidence]) -> Judged:
    """Return what the gate says of a detector that keeps so much at .3; others: (name, radius, share, refuses)."""

    def verdict(kept: float, *others: tuple[str, float, float, bool], refuses: bool = True) -> Verdict:
        records = []
        for name, radius, left, silent in ((DETECTOR, 0.3, kept, refuses), *others):
            clean = made.clean_record(name, np.ones(N))
            clean["evidence"] = {"rejected": 0.04} if silent else {}
            knowledge = "black-box" if name == "hardly-attacked" else "adaptive"
            records += [clean, made.attack_record(name, "pgd", first(left), epsilon=radius, knowledge=knowledge)]
        return half_radius(row_of(records, DETECTOR))

    return verdict


def test_refusals_that_keep_more_than_anybody_keeps_at_half_the_radius_warn(judged: Judged) -> None:
    verdict = judged(0.9, ("hardened", 0.15, 0.7, False), ("weak", 0.2, 0.1, False))
    assert verdict.outcome == "warn"
    assert "hardened on cleverhans-cnn, has 70.0% at 0.15" in verdict.evidence


def test_what_is_known_at_half_the_radius_passes(judged: Judged) -> None:
    assert judged(0.9, ("hardened", 0.15, 0.95, False)).outcome == "pass"
    assert judged(0.9, ("hardened", 0.3, 0.92, False)).outcome == "pass"  # known further, so known here


def test_a_smaller_radius_and_another_refusal_are_no_evidence(judged: Judged) -> None:
    assert judged(0.9, ("hardened", 0.1, 0.95, False)).outcome == "n/a"
    assert judged(0.9, ("rejects-too", 0.15, 0.95, True)).outcome == "n/a"


def test_what_nobody_attacked_who_knows_it_is_not_known(judged: Judged) -> None:
    """Such as the undefended network, which queries on few images leave standing."""
    assert judged(0.9, ("hardly-attacked", 0.15, 1.0, False)).outcome == "n/a"
    assert judged(0.9, ("hardly-attacked", 0.15, 1.0, False), ("hardened", 0.15, 0.7, False)).outcome == "warn"


def test_a_deployment_that_answers_every_image_is_not_judged(judged: Judged) -> None:
    assert judged(0.9, ("hardened", 0.15, 0.2, False), refuses=False).outcome == "n/a"
