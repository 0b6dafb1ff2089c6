from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bench.analysis.gates.seeds import seeds


def records(made: Any, defense: str, count: int) -> list[dict[str, Any]]:
    found = []
    for seed in range(count):
        clean = made.clean_record(defense, np.ones(8), seed=seed)
        found += [clean, made.attack_record(defense, "pgd", np.ones(8), seed=seed)]
    return found


@pytest.mark.parametrize(("count", "outcome"), [(1, "warn"), (2, "warn"), (3, "pass")])
def test_a_deployment_that_draws_wants_three_seeds(made: Any, row_of: Any, count: int, outcome: str) -> None:
    assert seeds(row_of(records(made, "superiot[window=3]", count), "superiot[window=3]")).outcome == outcome


def test_one_that_draws_nothing_does_not(made: Any, row_of: Any) -> None:
    assert seeds(row_of(records(made, "none", 1), "none")).outcome == "n/a"
