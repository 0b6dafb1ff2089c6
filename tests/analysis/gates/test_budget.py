from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bench.analysis.gates.budget import budget

N = 400


@pytest.mark.parametrize(("short", "long", "outcome"), [(0.5, 0.49, "pass"), (0.5, 0.4, "warn"), (0.5, 0.6, "pass")])
@pytest.mark.parametrize("how", ["two budgets", "two numbers of steps"])
def test_accuracy_that_falls_with_more_steps_has_not_converged(
    made: Any, row_of: Any, short: float, long: float, outcome: str, how: str
) -> None:
    records = [made.clean_record("none", np.ones(N))]
    for name, share, forward in (("quick", short, 20 * N), ("standard", long, 40 * N)):
        record = made.attack_record("none", "pgd", np.arange(N) < share * N)
        record |= {"cell_id": name * 4, "run_key": name * 4}
        record["aggregates"] |= {"forward": forward}
        if how == "two budgets":
            record["budget"] = name
        else:
            record["attack"] |= {"label": f"pgd[max_iter={forward // N}]"}
        records.append(record)
    verdict = budget(row_of(records, "none"))
    assert verdict.outcome == outcome
    assert ("Not converged" in verdict.evidence) == (outcome == "warn")


def test_one_budget_says_nothing(attacked: Any) -> None:
    assert budget(attacked([("pgd", "adaptive", 0.5)])).outcome == "n/a"
