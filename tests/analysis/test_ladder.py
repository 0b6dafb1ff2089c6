"""What is asked of a row before it has a rank, and which gates may bar it."""

from __future__ import annotations

from typing import Any

import pytest

from .whole_ladder import CORE, first, ladder, row


@pytest.mark.parametrize("status", ["failed", "timed-out", "skipped"])
@pytest.mark.parametrize("mark", list(CORE))
def test_a_hole_in_the_ladder_makes_a_row_incomplete_and_unranked(made: Any, status: str, mark: str) -> None:
    records = ladder(made, "none", first(150))
    for record in records:
        if record["kind"] == "attack" and record["attack"]["label"] == mark:
            record |= {"status": status, "reason": "why"}
            del record["outcomes"]
    found = row(records)
    assert found["status"] == "incomplete"
    assert found["rank"] == ""
    assert status.replace("-", " ") in found["reasons"]


def test_what_may_refuse_is_asked_for_an_attack_on_its_detector_too(made: Any) -> None:
    records = ladder(made, "none", first(150))
    (clean,) = (record for record in records if record["kind"] == "clean")
    clean["evidence"] = {"rejected": 0.04}
    assert row(records)["reasons"] == "detector-aware not run (adaptive)"
    aware = made.attack_record("none", "evade", first(150), knowledge="adaptive")
    assert row([*records, aware])["status"] == "ranked"


@pytest.mark.parametrize(("refuses", "status"), [(True, "not ranked: REPEATABLE"), (False, "ranked")])
def test_gates_of_an_attack_bar_a_row_where_it_is_a_rung(made: Any, refuses: bool, status: str) -> None:
    records = ladder(made, "none", first(150))
    (clean,) = (record for record in records if record["kind"] == "clean")
    clean["evidence"] = {"rejected": 0.04} if refuses else {}
    failed = [{"name": "repeatable", "outcome": "fail", "evidence": "It found others."}]
    aware = made.attack_record("none", "evade", first(150), knowledge="adaptive") | {"gates": failed}
    assert row([*records, aware])["status"] == status


def test_gates_of_an_attack_on_the_undefended_network_bar_nothing(made: Any) -> None:
    failed = [{"name": "repeatable", "outcome": "fail", "evidence": "It found others."}]
    made_elsewhere = made.attack_record("none", "square", first(150), knowledge="oblivious") | {"gates": failed}
    assert row([*ladder(made, "none", first(150)), made_elsewhere])["status"] == "ranked"


def test_a_rung_that_was_never_run_is_a_hole_too(made: Any) -> None:
    records = [r for r in ladder(made, "none", first(150)) if (r.get("attack") or {}).get("label") != "square"]
    assert row(records)["reasons"] == "square not run (black-box or white-box or adaptive)"


def test_a_failed_core_cell_is_a_hole_even_beside_a_good_one(made: Any) -> None:
    records = ladder(made, "none", first(150))
    bad = made.attack_record("none", "pgd", first(150), knowledge="white-box")
    del bad["outcomes"]
    records.append(bad | {"status": "failed", "reason": "NaN"})
    assert row(records)["reasons"] == "pgd-ce failed (white-box)"


def test_a_skipped_core_cell_is_no_hole_beside_a_good_one(made: Any) -> None:
    records = ladder(made, "none", first(150))
    idle = made.attack_record("none", "fgsm", first(150), knowledge="adaptive")
    del idle["outcomes"]
    records.append(idle | {"status": "skipped", "reason": "not part of the adaptive minimum"})
    assert row(records)["status"] == "ranked"


def test_a_row_without_an_adaptive_attack_is_not_ranked(made: Any) -> None:
    records = ladder(made, "none", first(150))
    for record in records:
        if record.get("knowledge") == "adaptive":
            record["knowledge"] = "white-box"
    found = row(records)
    assert found["status"] == "no adaptive attack"
    assert found["rank"] == ""
    assert found["robust_accuracy"] == pytest.approx(0.75)


def test_a_failed_gate_bars_a_row_and_a_warning_does_not(made: Any) -> None:
    records = ladder(made, "none", first(150))
    records[1]["gates"] = [{"name": "gradients", "outcome": "warn", "evidence": "many zeros"}]
    assert row(records)["status"] == "ranked"
    records[0]["gates"] = [{"name": "determinism", "outcome": "fail", "evidence": "it differs"}]
    found = row(records)
    assert found["status"] == "not ranked: DETERMINISM"
    assert found["reasons"] == "clean: it differs"
    assert found["rank"] == ""


@pytest.mark.parametrize(
    ("gate", "images", "left", "status"),
    [
        ("best-seen", 200, 150, "ranked"),
        ("convergence", 200, 140, "ranked"),
        ("best-seen", 200, 151, "not ranked: BEST-SEEN"),  # who passes has found less
        ("best-seen", 100, 60, "not ranked: BEST-SEEN"),  # on fewer images
        ("ball", 200, 150, "not ranked: BALL"),  # what was found may not be there
    ],
)
def test_an_attack_that_could_have_found_more_bars_nothing_beside_one_of_its_rung_that_did(
    made: Any, gate: str, images: int, left: int, status: str
) -> None:
    """The published comparison has a PGD that returns its last iterate beside one that returns the best."""
    records = ladder(made, "none", first(150))
    (weak,) = (r for r in records if r["kind"] == "attack" and r["attack"]["label"] == "pgd")
    weak["gates"] = [{"name": gate, "outcome": "fail", "evidence": "It is lacking."}]
    good = made.attack_record("none", "pgd", first(left)[:images])
    good |= {"cell_id": "good", "run_key": "good", "gates": []}
    good["attack"] |= {"label": "pgd[max_iter=80]"}
    assert row([*records, good])["status"] == status


def test_a_seed_that_met_no_attacker_who_knows_the_defense_says_so(made: Any) -> None:
    records = [record for seed in (0, 1) for record in ladder(made, "none", first(150), seed=seed)]
    for record in records:
        if record["seeds"]["training"] == 1 and record.get("knowledge") == "adaptive":
            record["knowledge"] = "white-box"
    assert row(records)["status"] == "no adaptive attack"


def test_what_failed_on_the_undefended_network_is_no_hole(made: Any) -> None:
    failed = made.attack_record("none", "pgd", first(150), knowledge="oblivious") | {
        "status": "failed",
        "reason": "NaN",
    }
    del failed["outcomes"]
    assert row([*ladder(made, "none", first(150)), failed])["status"] == "ranked"


@pytest.mark.parametrize("name", ["pgd", "apgd-dlr"])
def test_a_gradient_rung_that_only_a_white_box_attacker_took_is_a_hole(made: Any, name: str) -> None:
    records = ladder(made, "none", first(150))
    for record in records:
        if (record.get("attack") or {}).get("name") == name:
            record["knowledge"] = "white-box"
    found = row(records)
    assert found["status"] == "incomplete"
    assert found["reasons"].endswith("not run (adaptive)")


def test_a_seed_without_clean_accuracy_makes_a_row_incomplete(made: Any) -> None:
    records = [record for seed in (0, 1) for record in ladder(made, "none", first(150), seed=seed)]
    assert row([r for r in records if r["kind"] == "attack" or r["seeds"]["training"] == 0])["status"] == "incomplete"
