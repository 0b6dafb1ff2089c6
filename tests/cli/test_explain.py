from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from bench.api import open_store
from bench.cli import main


def said(capsys: Any, *arguments: str, code: int = 0) -> Any:
    with pytest.raises(SystemExit) as ended:
        main(["explain", *arguments])
    assert ended.value.code == code
    return capsys.readouterr()


@pytest.fixture
def records(made: Any, tmp_path: Any) -> tuple[str, list[dict[str, Any]]]:
    found = [made.clean_record("none", np.ones(9)), made.attack_record("none", "pgd", np.zeros(9))]
    path = tmp_path / "records.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in found), encoding="utf-8")
    return str(path), found


def test_a_key_of_records_from_elsewhere_is_explained_with_its_gates(capsys, records):
    path, (_, attack) = records
    told = json.loads(said(capsys, attack["run_key"][:10], "--records", path, "--json").out)
    assert [record["cell_id"] for record in told["records"]] == [attack["cell_id"]]
    assert ("row", "ladder") in {(gate["where"], gate["name"]) for gate in told["gates"][attack["run_key"]]}
    assert told["tasks"] == {}
    shown = said(capsys, attack["run_key"][:10], "--records", path).out
    assert f"run {attack['run_key']}: ok" in shown
    assert "ladder (row): " in shown


def test_an_unknown_key_is_told_where_to_look(capsys, records, tmp_path):
    path, _ = records
    assert f"begins with 'ffff' in {path}" in said(capsys, "ffff", "--records", path, code=2).err
    for _ in range(2):  # no store at all, and an empty one
        told = said(capsys, "ffff", "--store", str(tmp_path / "store"), code=2).err
        assert "`bench explain --records`" in told
        open_store(tmp_path / "store")
