"""What the nodes before the last say of clean images stands in the clean record."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.analysis.gates.evidence import clean_shares
from bench.analysis.groups import rows
from bench.analysis.records import decode_array, load, validate
from bench.analysis.scrutiny import asked_rows
from bench.errors import UsageError

RUN = ("run", "--datasets", "toy", "--models", "toy-net", "--attacks", "none", "--hardware", "none", "--no-html")


@pytest.fixture(scope="module")
def out(shared_command_line) -> Path:
    shared_command_line(*RUN, "--defenses", "toy-views", "--samples", "200", "--out", "out")
    return shared_command_line.folder / "out"


def test_each_view_is_answered_as_the_network_answers_it(out: Path) -> None:
    records = {r["defense"]["name"]: r for r in load(out)}
    assert "views" not in records["none"]
    views = {name: decode_array(right) for name, right in records["toy-views"]["views"].items()}
    assert set(views) == {"plain", "turned"}
    np.testing.assert_array_equal(views["plain"], decode_array(records["none"]["outcomes"]["clean_correct"]))
    assert views["turned"].mean() < 0.5  # a negative


def test_a_gate_of_rows_is_given_the_views(out: Path) -> None:
    evidence = next(e for e in asked_rows(rows(load(out))) if e.row.label == "toy-views")
    np.testing.assert_array_equal(evidence.views["plain"], clean_shares(evidence.row))


@pytest.mark.parametrize("broken", [{"a": 1}, {"a": {"dtype": "uint8"}}, [1]])
def test_views_of_another_form_are_refused(out: Path, broken: object) -> None:
    record = next(r for r in load(out) if "views" in r)
    with pytest.raises(UsageError, match="views"):
        validate({**record, "views": broken}, "here")
