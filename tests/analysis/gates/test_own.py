"""The suite's own gates: listed once, there whatever plugins are, and all explained."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench.analysis.gates import Verdict
from bench.analysis.gates.own import bench_gates
from bench.plugins.containment import built
from bench.plugins.registry import Found, discover

PAGE = Path(__file__).parents[3] / "docs" / "explanation" / "gates.md"
OWN = bench_gates()


def test_every_gate_has_a_line_in_the_table_of_its_kind_and_every_line_a_gate() -> None:
    kinds = {"Of a deployment": "clean", "Of an attack": "attack", "Of a row": "row"}
    parts = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE.read_text(), re.M | re.S))
    told = {
        (scope, name) for title, scope in kinds.items() for name in re.findall(r"^\| `([\w-]+)`", parts[title], re.M)
    }
    assert told == {(gate.scope, gate.name) for gate in OWN}


@pytest.mark.parametrize("gate", OWN, ids=lambda gate: gate.name)
def test_a_gates_verdict_bears_its_name(gate, made) -> None:
    from bench.analysis.groups import rows
    from bench.analysis.scrutiny import asked_rows

    records = [made.clean_record("none", [1] * 8), made.attack_record("none", "pgd", [1] * 8)]
    for record in records:
        record["evidence"] = {}
    evidence = {"clean": records[0], "attack": records[1]}.get(gate.scope) or asked_rows(rows(records))[0]
    verdict = built(Found(gate))(evidence)
    assert isinstance(verdict, Verdict)
    assert verdict.name == gate.name
    assert verdict.evidence.endswith(".")


def test_they_are_there_whatever_plugins_are_selected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_PLUGINS", "")
    assert set(discover().of("gate")) == {gate.name for gate in OWN}
