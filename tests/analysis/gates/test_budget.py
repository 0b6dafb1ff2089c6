from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bench.analysis.gates.budget import budget

N = 400


@pytest.mark.parametrize(
    ("short", "long", "outcome"), [(0.5, 0.4825, "pass"), (0.5, 0.475, "warn"), (0.5, 0.6, "pass")]
)
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


def test_one_attack_on_two_numbers_of_images_is_one_budget(made: Any, row_of: Any) -> None:
    """Whose evaluations an image differ with the images: Square on 512 and on 128 of them passed."""
    records = [made.clean_record("none", np.ones(N))]
    for name, images, forward in (("all", N, 20 * N), ("few", N // 4, 7 * N)):
        record = made.attack_record("none", "pgd", np.arange(images) < 0.5 * images)
        record["aggregates"] |= {"forward": forward}
        records.append(record | {"cell_id": name * 4, "run_key": name * 4})
    assert budget(row_of(records, "none")).outcome == "n/a"


def test_a_fall_is_told_of_the_images_that_both_were_tried_on(made: Any, row_of: Any) -> None:
    records = [made.clean_record("none", np.ones(N))]
    for steps, images, kept in ((20, N, 150), (40, 100, 60)):  # the first leaves all of the first 100
        record = made.attack_record("none", "pgd", np.arange(images) < kept)
        record["attack"] |= {"label": f"pgd[max_iter={steps}]"}
        record["aggregates"] |= {"forward": steps * images}
        records.append(record | {"cell_id": str(steps), "run_key": str(steps)})
    verdict = budget(row_of(records, "none"))
    assert verdict.outcome == "warn"
    assert "of 100 images" in verdict.evidence
    assert "leaves 100.0% after 20 evaluations an image, 60.0% after 40" in verdict.evidence


def test_one_budget_says_nothing(attacked: Any) -> None:
    assert budget(attacked([("pgd", "adaptive", 0.5)])).outcome == "n/a"


def spent(made: Any, budget: str, left: float, forward: int, **more: Any) -> dict[str, Any]:
    record = made.attack_record("none", "pgd", np.arange(N) < left * N, **more) | {"budget": budget}
    record["aggregates"] |= {"forward": forward * N}
    return record | {key: made.name_of(key, budget, record["cell_id"]) for key in ("cell_id", "run_key")}


def test_a_longer_run_at_a_larger_radius_is_no_larger_budget(made: Any, row_of: Any) -> None:
    records = [made.clean_record("none", np.ones(N)), spent(made, "standard", 0.5, 40)]
    records += [spent(made, budget, 0.1, 80, epsilon=0.4) for budget in ("quick", "standard")]
    assert budget(row_of(records, "none")).outcome == "n/a"


def test_what_was_made_on_the_undefended_network_and_what_failed_have_no_budget_here(made: Any, row_of: Any) -> None:
    failed = spent(made, "quick", 0.1, 20) | {"status": "failed", "reason": "it broke"}
    del failed["outcomes"]
    records = [made.clean_record("none", np.ones(N)), spent(made, "standard", 0.5, 40), failed]
    records += [
        spent(made, name, left, n, knowledge="oblivious")
        for name, left, n in (("quick", 0.9, 20), ("standard", 0.5, 40))
    ]
    assert budget(row_of(records, "none")).outcome == "n/a"
