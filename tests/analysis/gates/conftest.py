"""Rows of made-up records, as a gate of rows is given them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest

from bench.analysis.gates.evidence import RowEvidence
from bench.analysis.groups import rows
from bench.analysis.scrutiny import asked_rows

N = 400
Attacks = Iterable[tuple[str, str, float]]


def share(right: float, n: int = N) -> np.ndarray:
    """The first so many of n images right."""
    return (np.arange(n) < right * n).astype(np.uint8)


@pytest.fixture
def row_of() -> Callable[..., RowEvidence]:
    """Return the function that gives the evidence of one row of records."""
    return of


@pytest.fixture
def attacked(made: Any) -> Callable[..., RowEvidence]:
    """Return a function from (attack, knowledge, share left right) to the evidence of the row."""

    def evidence(attacks: Attacks, *, defense: str = "median[size=3]", clean: float = 1.0, **more: Any) -> RowEvidence:
        records = [made.clean_record(defense, share(clean))]
        records += [made.attack_record(defense, name, share(left), knowledge=level) for name, level, left in attacks]
        return of(records + list(more.get("records", ())), defense, **{k: v for k, v in more.items() if k != "records"})

    return evidence


def of(
    records: list[dict[str, Any]], defense: str = "median[size=3]", epsilon: float = 0.3, budget: str = "standard"
) -> RowEvidence:
    """Return the evidence of one row of records."""
    return next(
        one
        for one in asked_rows(rows(records))
        if (one.row.label, one.row.setting.epsilon, one.row.setting.budget) == (defense, epsilon, budget)
    )


def refusing(made: Any, attacks: Iterable[tuple[str, float, float, float]]) -> list[dict[str, Any]]:
    """Return records of a deployment that may refuse.

    Parameters
    ----------
    attacks : name, epsilon, share of images that it leaves answered rightly, and share that it gets refused
    """
    clean = made.clean_record("none", share(1.0)) | {"evidence": {"rejected": 0.0}}
    records = [made.with_outcomes(clean, **_outcomes(share(1.0), share(0.0)))]
    for name, epsilon, answered, refused in attacks:
        record = made.attack_record("none", name, share(answered + refused), epsilon=epsilon)
        flags = share(answered + refused) - share(answered)
        records.append(made.with_outcomes(record, **_outcomes(share(answered + refused), flags)))
    return records


def _outcomes(scored: np.ndarray, detected: np.ndarray) -> dict[str, np.ndarray]:
    return {"clean_correct": share(1.0), "selected": scored, "scored": scored, "detected": detected}
