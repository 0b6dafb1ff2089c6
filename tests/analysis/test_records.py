from __future__ import annotations

import base64
import gzip
import json
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bench.analysis import load, merge
from bench.analysis.generations import current
from bench.analysis.records import decode_array, encode_array, validate
from bench.errors import UsageError


@given(
    hnp.arrays(
        st.sampled_from([np.uint8, np.float32, np.float64, np.int64, np.bool_]),
        hnp.array_shapes(min_dims=0, max_dims=3, min_side=0),
    )
)
def test_arrays_survive_json(array: np.ndarray) -> None:
    back = decode_array(json.loads(json.dumps(encode_array(array))))
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    assert np.array_equal(back, array, equal_nan=array.dtype.kind == "f")


def packed(raw: bytes) -> str:
    return base64.b64encode(zlib.compress(raw)).decode()


@pytest.mark.parametrize(
    "encoded",
    [
        {"dtype": "object", "shape": [1], "data": packed(b"\0" * 8)},
        {"dtype": "uint8", "shape": [1 << 40], "data": packed(b"")},
        {"dtype": ["uint8"], "shape": [1], "data": packed(b"\0")},
        {"dtype": "uint8", "shape": [-1], "data": packed(b"")},
        {"dtype": "uint8", "shape": [True], "data": packed(b"\0")},
        {"dtype": "uint8", "shape": [4], "data": packed(b"\0" * 5)},
        {"dtype": "uint8", "shape": [4], "data": packed(b"\0" * 3)},
        {"dtype": "uint8", "shape": [4], "data": "!!!!"},
        {"dtype": "uint8", "shape": [4], "data": base64.b64encode(b"not zlib").decode()},
        {"dtype": "uint8", "shape": [4], "data": packed(b"\0\0\0\0")[:-8]},
        {"dtype": ["uint8"], "shape": [4], "data": packed(b"\0" * 4)} | {"dtype": "float16"},
        "text",
    ],
)
def test_arrays_that_are_not_what_they_say_are_refused(encoded: Any) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        decode_array(encoded)


def test_a_bomb_is_not_unpacked() -> None:
    bomb = {"dtype": "uint8", "shape": [10], "data": packed(b"\0" * 50_000_000)}
    tracemalloc.start()
    with pytest.raises(ValueError, match="10 bytes"):
        decode_array(bomb)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000


def test_every_made_up_record_is_valid_and_unknown_fields_are_ignored(sample: list[dict[str, Any]]) -> None:
    for record in sample[:60]:
        assert validate(record | {"later": {"nobody": "knows"}}, "x")["cell_id"] == record["cell_id"]


def _without(record: dict[str, Any], *path: str) -> dict[str, Any]:
    record = json.loads(json.dumps(record))
    holder = record
    for name in path[:-1]:
        holder = holder[name]
    del holder[path[-1]]
    return record


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"schema": 2}, "schema is 2"),
        ({"kind": "guess"}, "kind is 'guess'"),
        ({"status": "fine"}, "status is 'fine'"),
        ({"cell_id": 7}, "cell_id has the wrong type"),
        ({"defense": "none"}, "defense has the wrong type"),
        ({"knowledge": "psychic"}, "knowledge is 'psychic'"),
        ({"threat": {"norm": "linf", "epsilon": "wide", "domain": "uint8"}}, "threat.epsilon has the wrong type"),
        ({"threat": {"norm": "linf", "epsilon": -1, "domain": "uint8"}}, "threat.epsilon is negative"),
        ({"threat": {"norm": "linf", "epsilon": float("nan"), "domain": "uint8"}}, "threat.epsilon is not finite"),
        ({"threat": {"norm": "linf", "epsilon": 10**400, "domain": "uint8"}}, "threat.epsilon is too large"),
        ({"seeds": {"split": 0, "training": 0, "attack": 1 << 63}}, "seeds.attack is too large"),
        ({"samples": 3}, "expected (3,)"),
        ({"samples": True}, "samples has the wrong type"),
        ({"samples": 0}, "samples is 0"),
        ({"draws": {"select": 0, "score": 1}}, "draws.select is 0"),
        ({"outcomes": {}}, "outcomes.selected is missing"),
        ({"gates": [{"name": "x", "outcome": "ok", "evidence": ""}]}, "gates[0].outcome is 'ok'"),
        ({"reason": "x" * 30_000}, "30000 characters"),
        ({"gates": 3}, "gates has the wrong type"),
        ({"draws": "many"}, "draws has the wrong type"),
        ({"budget": ["quick"]}, "budget has the wrong type"),
        ({"provenance": "mine"}, "provenance has the wrong type"),
        ({"aggregates": [1]}, "aggregates has the wrong type"),
        ({"aggregates": {"accuracy": "many"}}, "aggregates.accuracy has the wrong type"),
        ({"aggregates": {"seconds": float("nan")}}, "aggregates.seconds is not finite"),
        ({"seeds": {"split": 0, "training": 0}}, "seeds.attack is missing"),
    ],
)
def test_a_wrong_field_is_named(made: Any, change: dict[str, Any], complaint: str) -> None:
    record = made.attack_record("none", "pgd", np.ones(8))
    validate(record, "fine")
    with pytest.raises(UsageError) as caught:
        validate(record | change, "their.jsonl, line 3,")
    assert "their.jsonl, line 3, is not a valid record" in str(caught.value)
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("scored", np.full(8, 2, dtype=np.uint8)),
        ("selected", np.full(8, 255, dtype=np.uint8)),
        ("scored", np.full(8, np.nan, dtype=np.float32)),
        ("scored", np.full(8, -1, dtype=np.int32)),
        ("distance", np.full(8, np.nan, dtype=np.float32)),
        ("attacked", np.full(8, 7, dtype=np.uint8)),
    ],
)
def test_outcomes_that_no_run_can_have_are_refused(made: Any, name: str, values: np.ndarray) -> None:
    record = made.attack_record("none", "pgd", np.ones(8))
    record["outcomes"][name] = encode_array(values)
    with pytest.raises(UsageError, match=rf"outcomes\.{name} has a value"):
        validate(record, "x")
    drawn = made.attack_record("none", "pgd", np.full(8, 32), selected=np.full(8, 16))
    validate(drawn | {"draws": {"select": 16, "score": 32}}, "x")


def test_a_failed_record_needs_no_outcomes(made: Any) -> None:
    record = made.attack_record("none", "pgd", np.ones(8))
    del record["outcomes"], record["draws"]
    validate(record | {"status": "failed", "reason": "it raised"}, "x")


def test_loading_names_file_and_line(tmp_path: Path, made: Any) -> None:
    good = json.dumps(made.clean_record("none", np.ones(4)))
    file = tmp_path / "records.jsonl"
    file.write_text(f"{good}\n\n{{broken\n")
    with pytest.raises(UsageError, match=r"records\.jsonl, line 3, is not JSON"):
        load(tmp_path)
    file.write_text(f"{good}\n")
    assert len(load(tmp_path)) == 1
    with pytest.raises(UsageError, match="no such file"):
        load(tmp_path / "elsewhere")


def test_packed_records_are_read_as_what_they_hold(tmp_path: Path, made: Any) -> None:
    good = json.dumps(made.clean_record("none", np.ones(4)))
    file = tmp_path / "records.jsonl.gz"
    file.write_bytes(gzip.compress(f"{good}\n".encode()))
    assert load(tmp_path) == load(file) == [json.loads(good)]
    file.write_bytes(gzip.compress(f"{good}\n{{broken\n".encode()))
    with pytest.raises(UsageError, match=r"records\.jsonl\.gz, line 2, is not JSON"):
        load(tmp_path)


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e999"])
def test_a_number_that_is_not_finite_is_refused_wherever_it_stands(tmp_path: Path, made: Any, number: str) -> None:
    line = json.dumps(made.clean_record("none", np.ones(4)) | {"notes": {"attack": {"loss": "HERE"}}})
    (tmp_path / "records.jsonl").write_text(line.replace('"HERE"', number) + "\n")
    with pytest.raises(UsageError, match=rf"line 1, is not JSON: {number} is no finite number"):
        load(tmp_path)


@pytest.mark.parametrize(
    "spoil", [lambda packed: packed[:-20], lambda packed: b"no gzip", lambda packed: packed[:12] + b"\xff" * 9]
)
def test_a_damaged_pack_is_refused_by_name(tmp_path: Path, made: Any, spoil: Any) -> None:
    file = tmp_path / "records.jsonl.gz"
    file.write_bytes(spoil(gzip.compress(json.dumps(made.clean_record("none", np.ones(4))).encode())))
    with pytest.raises(UsageError, match=r"records\.jsonl\.gz cannot be unpacked"):
        load(tmp_path)


def test_a_bomb_is_refused_before_it_fills_the_memory(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "records.jsonl.gz", "wb", compresslevel=9) as file:
        for _ in range(1 << 10):
            file.write(bytes(1 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(UsageError, match="unpacks to more than 256 MiB"):
            load(tmp_path)
        assert tracemalloc.get_traced_memory()[1] < 3 << 28
    finally:
        tracemalloc.stop()


def test_a_store_an_output_folder_and_a_file_become_one(tmp_path: Path, made: Any) -> None:
    store, out = tmp_path / "store" / "records" / "ab", tmp_path / "out"
    store.mkdir(parents=True)
    out.mkdir()
    (store / "one.json").write_text(json.dumps(made.clean_record("none", np.ones(4))))
    (tmp_path / "store" / "lease.json").write_text("not a record")
    (out / "records.jsonl").write_text(json.dumps(made.clean_record("adversarial-training", np.ones(4))) + "\n")
    (out / "leaderboard.json").write_text("[]")
    extra = tmp_path / "extra.jsonl"
    extra.write_text(json.dumps(made.cost_record("none")) + "\n")
    kinds = [(record["kind"], record["defense"]["label"]) for record in load([tmp_path / "store", out, extra])]
    assert sorted(kinds) == [("clean", "adversarial-training"), ("clean", "none"), ("cost", "none")]


def test_the_newest_of_a_run_key_stays_whatever_the_order(made: Any) -> None:
    old, new = made.clean_record("none", np.ones(4)), made.clean_record("none", np.zeros(4))
    new["provenance"] = new["provenance"] | {"finished": "2026-12-01T00:00:00+00:00"}
    assert merge([old], [new]) == merge([new], [old]) == [new]


def test_a_cell_that_was_run_by_old_and_new_code_counts_once(made: Any) -> None:
    old, new = made.clean_record("none", np.ones(4)), made.clean_record("none", np.zeros(4))
    new["run_key"] = "other"
    new["provenance"] = new["provenance"] | {"finished": "2026-12-01T00:00:00+00:00"}
    assert len(merge([old, new])) == 2
    assert current([old, new]) == [new]


def test_costs_of_two_machines_are_both_kept(made: Any) -> None:
    first, second = made.cost_record("none"), made.cost_record("none")
    second["run_key"] = "other"
    second["hardware"] = second["hardware"] | {"machine": {"cpu": "another"}}
    assert len(current([first, second])) == 2
