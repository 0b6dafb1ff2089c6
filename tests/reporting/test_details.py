"""What gates say of a row, and where numbers are from."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.reporting import details


def said(gate: str, outcome: str, where: str) -> dict[str, Any]:
    return {"setting": 0, "defense": "none", "gate": gate, "outcome": outcome, "where": where, "evidence": f"{gate}."}


def test_a_gate_did_not_apply_only_where_it_applied_nowhere() -> None:
    found = details.by_row(
        [
            said("noise", "warn", "pgd"),
            said("noise", "n/a", "fgsm"),
            said("ball", "pass", "pgd"),
            said("ball", "n/a", "clean"),
            said("ladder", "pass", "row"),
            said("ladder", "n/a", "pgd"),
            said("denoised", "n/a", "clean"),
        ]
    )[0, "none"]
    assert [(line["outcome"], line["gate"]) for line in found.lines] == [("warn", "noise"), ("pass", "ladder")]
    assert found.passed == ("ball",)
    assert found.idle == ("denoised",)


def test_provenance_counts_a_cell_once_and_drops_nothing(made: Any) -> None:
    records = [made.clean_record("none", np.ones(5))]
    for number in range(20):
        record = made.attack_record("none", f"attack-{number}", np.zeros(5))
        record["provenance"] = {**record["provenance"], "command": f"bench run {number}"}
        records.append(record)
    old = made.attack_record("none", "attack-0", np.ones(5)) | {"run_key": "0" * 32}
    old["provenance"] = {**old["provenance"], "finished": "2020-01-01T00:00:00+00:00"}
    found = details.provenance([old, *records])
    assert found["machines"][0][1] == 21  # cells, the superseded run not among them
    assert found["plugins"] == [("edge-defense-bench 0.1.0", 21)]
    assert len(found["commands"]) == 21
    assert found["first"] == "2026-11-21T10:00:00+00:00"


def test_a_failed_gate_says_where_and_whether_it_bars(made: Any) -> None:
    """Of several data sets, and of development images, each line says which; off the ladder a failure bars nothing."""
    gate = {"name": "convergence", "outcome": "fail", "evidence": "stopped"}
    ladder, other = (made.attack_record("one", name, np.zeros(5)) | {"gates": [gate]} for name in ("pgd", "mim"))
    other["dataset"] = {**other["dataset"], "label": "mnist (development)"}
    row = {"norm": "linf", "epsilon": 0.3, "dataset": "mnist", "defense": "one", "evidence": "stopped"}
    on_row = row | {"gate": "ladder", "where": "row", "outcome": "fail", "evidence": "fgsm failed (adaptive)."}
    decisive = row | {"gate": "convergence", "where": "pgd (adaptive)", "outcome": "fail"}
    found = details.gates([ladder, other], [on_row, decisive])
    assert [(line["gate"], line["where"], line["bars"]) for line in found] == [
        ("convergence", "pgd (adaptive), mnist", True),
        ("ladder", "mnist, L∞ ≤ 0.3", True),
        ("convergence", "mim (adaptive), mnist (development)", False),
    ]


def test_rungs_that_were_not_run_are_one_line_a_threat_and_no_failures() -> None:
    def verdict(defense: str, evidence: str, epsilon: float) -> dict[str, Any]:
        place = {"dataset": "mnist", "norm": "linf", "epsilon": epsilon}
        return {**place, **said("ladder", "fail", "row"), "defense": defense, "evidence": evidence}

    verdicts = [
        verdict("none", "fgsm not run (white-box or adaptive); square not run (adaptive).", 0.1),
        verdict("jpeg", "no attack that knows the defense was run; fgsm not run (white-box or adaptive).", 0.1),
        verdict("none", "no ladder is fixed for this norm.", 0.2),
        verdict("jpeg", "fgsm not run (white-box or adaptive); square timed out (adaptive).", 0.2),
    ]
    assert details.unfinished(verdicts) == [
        {
            "where": "mnist, L∞ ≤ 0.1",
            "missing": [
                "fgsm not run (white-box or adaptive)",
                "square not run (adaptive) (1 of 2 rows)",
                "no attack that knows the defense was run (1 of 2 rows)",
            ],
            "defenses": ["none", "jpeg"],
        },
        {"where": "mnist, L∞ ≤ 0.2", "missing": ["no ladder is fixed for this norm"], "defenses": ["none"]},
    ]
    (failed,) = details.gates([], verdicts)
    assert (failed["defense"], failed["evidence"]) == ("jpeg", verdicts[3]["evidence"])
