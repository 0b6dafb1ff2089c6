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
