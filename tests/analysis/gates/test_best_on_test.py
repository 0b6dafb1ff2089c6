from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bench.analysis import leaderboard
from bench.analysis.gates.best_on_test import best_on_test
from bench.analysis.gates.evidence import RowEvidence
from bench.analysis.groups import rows
from bench.analysis.scrutiny import asked_rows

N = 400
CORE = {"fgsm": "white-box", "pgd": "adaptive", "apgd-dlr": "adaptive", "square": "black-box"}
TWO = {"median[size=3]": 0.5, "median[size=5]": 0.4}


def tried(made: Any, left: dict[str, float], *, pool: str = "", clean: dict[str, float] | None = None) -> list[Any]:
    """Clean records and whole ladders of several settings that leave these shares right."""
    found = []
    for defense, share in left.items():
        right = (np.arange(N) < share * N).astype(np.uint8)
        at_all = (np.arange(N) < (clean or {}).get(defense, 1.0) * N).astype(np.uint8)
        found.append(made.clean_record(defense, at_all))
        found += [made.attack_record(defense, a, right, knowledge=k) for a, k in CORE.items()]
    for record in found:
        if pool:
            name = record["dataset"]["name"]
            record["dataset"] |= {"label": f"{name} ({pool})", "pool": pool, "fingerprint": "d0" * 16}
            record |= {name: record[name] + pool for name in ("cell_id", "run_key")}
    return found


def evidence(records: list[Any], defense: str, dataset: str = "mnist") -> RowEvidence:
    every = asked_rows(rows(records))
    return next(one for one in every if (one.row.label, one.row.setting.dataset) == (defense, dataset))


def outcomes(records: list[Any]) -> dict[str, str]:
    return {label: best_on_test(evidence(records, label)).outcome for label in TWO}


def test_the_best_of_two_settings_on_the_test_images_fails_and_the_other_does_not(made: Any) -> None:
    records = tried(made, TWO)
    assert outcomes(records) == {"median[size=3]": "fail", "median[size=5]": "pass"}
    assert "best of 2 settings of median" in best_on_test(evidence(records, "median[size=3]")).evidence


def test_one_setting_beside_another_defense_is_not_a_choice(made: Any) -> None:
    records = tried(made, {"median[size=3]": 0.5, "jpeg[quality=50]": 0.4, "none": 0.1})
    assert {best_on_test(evidence(records, d)).outcome for d in ("median[size=3]", "jpeg[quality=50]")} == {"n/a"}


def test_where_all_settings_leave_the_same_nothing_was_gained(made: Any) -> None:
    assert set(outcomes(tried(made, dict.fromkeys(TWO, 0.0))).values()) == {"pass"}


@pytest.mark.parametrize(
    ("seen", "outcome"),
    [
        ({"median[size=3]": 0.6, "median[size=5]": 0.3}, "pass"),
        ({"median[size=3]": 0.3, "median[size=5]": 0.6}, "fail"),
        ({"median[size=3]": 0.6}, "fail"),  # the other setting was not tried there: nothing was chosen
    ],
)
def test_development_images_that_chose_the_same_setting_clear_it(
    made: Any, seen: dict[str, float], outcome: str
) -> None:
    records = tried(made, TWO) + tried(made, seen, pool="development")
    assert outcomes(records)["median[size=3]"] == outcome


def test_of_settings_that_leave_the_same_on_development_images_the_better_clean_one_is_chosen(made: Any) -> None:
    equal = dict.fromkeys(TWO, 0.0)
    for better, outcome in (("median[size=3]", "pass"), ("median[size=5]", "fail")):
        seen = tried(made, equal, pool="development", clean=dict.fromkeys(TWO, 0.9) | {better: 0.95})
        assert outcomes(tried(made, TWO) + seen)["median[size=3]"] == outcome


def test_rows_on_development_images_are_left_alone(made: Any) -> None:
    seen = tried(made, TWO, pool="development")
    assert best_on_test(evidence(seen, "median[size=3]", "mnist (development)")).outcome == "n/a"


def test_the_best_on_test_has_no_rank_and_the_rest_have(made: Any) -> None:
    records = tried(made, {**TWO, "none": 0.1})
    board = leaderboard(records).set_index("defense")
    assert board.loc["median[size=3]", "status"] == "not ranked: BEST-ON-TEST"
    assert board["rank"].to_dict() == {"median[size=5]": "1", "none": "2", "median[size=3]": ""}
    chosen = leaderboard(records + tried(made, TWO, pool="development")).query("dataset == 'mnist'")
    assert chosen.set_index("defense")["rank"].to_dict() == {"median[size=3]": "1", "median[size=5]": "2", "none": "3"}


def test_a_setting_that_may_refuse_is_no_cover_for_one_that_answers(made: Any) -> None:
    """Its refusals count as right: it would always be the best."""
    left = {**TWO, "median[size=7]": 0.9}
    records = tried(made, left)
    for record in records:
        if record["kind"] == "clean" and record["defense"]["label"] == "median[size=7]":
            record["evidence"] = {"rejected": 0.05}
    assert outcomes(records) == {"median[size=3]": "fail", "median[size=5]": "pass"}
    assert best_on_test(evidence(records, "median[size=7]")).outcome == "n/a"
