from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bench.analysis.gates.unbounded import unbounded

N = 200


def probe(made: Any, right: int) -> dict[str, Any]:
    found = (np.arange(N) < right).astype(np.uint8)
    return made.attack_record("none", "pgd", found, epsilon=1.0) | {"probe": "unbounded"}


@pytest.mark.parametrize(("right", "outcome"), [(0, "pass"), (2, "pass"), (3, "fail"), (N, "fail")])
def test_an_attack_on_everything_that_leaves_more_than_one_in_a_hundred_fails(
    made: Any, row_of: Any, right: int, outcome: str
) -> None:
    records = [
        made.clean_record("none", np.ones(N)),
        made.attack_record("none", "pgd", np.ones(N)),
        probe(made, right),
    ]
    verdict = unbounded(row_of(records, "none"))
    assert verdict.outcome == outcome
    assert f"{right / N:.1%}" in verdict.evidence


def test_without_a_probe_there_is_nothing_to_say(made: Any, row_of: Any) -> None:
    records = [made.clean_record("none", np.ones(N)), made.attack_record("none", "pgd", np.zeros(N))]
    assert unbounded(row_of(records, "none")).outcome == "n/a"


def test_a_probe_that_crashed_is_no_pass(made: Any, row_of: Any) -> None:
    crashed = probe(made, 0) | {"status": "failed", "reason": "it broke", "run_key": "f" * 32, "cell_id": "f" * 32}
    del crashed["outcomes"]
    for status in ("failed", "timed-out"):
        records = [made.clean_record("none", np.ones(N)), made.attack_record("none", "pgd", np.zeros(N))]
        assert unbounded(row_of([*records, crashed | {"status": status}], "none")).outcome == "fail"


@pytest.mark.parametrize(("right", "outcome"), [(0, "pass"), (N, "fail")])
def test_of_two_probes_the_better_counts_and_a_crash_is_no_excuse(
    made: Any, row_of: Any, right: int, outcome: str
) -> None:
    crashed = probe(made, 0) | {"status": "failed", "reason": "it broke", "run_key": "f" * 32, "cell_id": "f" * 32}
    del crashed["outcomes"]
    records = [made.clean_record("none", np.ones(N)), made.attack_record("none", "pgd", np.ones(N))]
    verdict = unbounded(row_of([*records, crashed, probe(made, right)], "none"))
    assert verdict.outcome == outcome
    assert ("it broke" in verdict.evidence) == (outcome == "fail")


def test_a_probe_is_no_part_of_a_worst_case_and_has_no_row_of_its_own(made: Any) -> None:
    from bench.analysis import cells, leaderboard

    records = [made.clean_record("none", np.ones(N)), made.attack_record("none", "pgd", np.ones(N)), probe(made, 0)]
    (row,) = leaderboard(records).to_dict("records")
    assert row["robust_accuracy"] == 1.0
    assert row["epsilon"] == 0.3
    attacks = cells(records).query("kind == 'attack'").set_index("probe")
    assert attacks["counts"].to_dict() == {"": True, "unbounded": False}


def test_of_two_probes_that_gave_numbers_the_better_counts(made: Any, row_of: Any) -> None:
    records = [made.clean_record("none", np.ones(N)), made.attack_record("none", "pgd", np.ones(N))]
    other = made.attack_record("none", "square", np.ones(N), epsilon=1.0) | {"probe": "unbounded"}
    assert unbounded(row_of([*records, other, probe(made, 0)], "none")).outcome == "pass"
    assert unbounded(row_of([*records, other], "none")).outcome == "fail"


def test_a_probe_of_another_kind_vouches_for_nothing(made: Any, row_of: Any) -> None:
    records = [made.clean_record("none", np.ones(N)), made.attack_record("none", "pgd", np.ones(N))]
    assert unbounded(row_of([*records, probe(made, 0) | {"probe": "another"}], "none")).outcome == "n/a"


def test_a_probe_that_crashed_under_one_seed_is_not_excused_by_another_network(made: Any, row_of: Any) -> None:
    records = []
    for seed in (0, 1):
        records += [
            made.clean_record("none", np.ones(N), seed=seed),
            made.attack_record("none", "pgd", np.ones(N), seed=seed),
            made.attack_record("none", "pgd", np.zeros(N), epsilon=1.0, seed=seed) | {"probe": "unbounded"},
        ]
    assert unbounded(row_of(records, "none")).outcome == "pass"
    records[-1] |= {"status": "failed", "reason": "it broke"}
    del records[-1]["outcomes"]
    verdict = unbounded(row_of(records, "none"))
    assert (verdict.outcome, "it broke" in verdict.evidence) == ("fail", True)
