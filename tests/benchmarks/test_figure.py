from __future__ import annotations

import importlib
import json
import os
import pickle
from pathlib import Path

import pytest

from bench.errors import MissingData
from bench_datasets.official import CIFAR10

from . import run, subjects
from .figure import Figure


@pytest.mark.parametrize(
    ("figure", "verdict"),
    [
        (Figure("x", "s", 1.0, 12.0), ""),
        (Figure("x", "s", 1.0, 12.0, asked=">= 10"), "met"),
        (Figure("x", "s", 1.0, 9.0, asked=">= 10"), "missed"),
        (Figure("x", "s", 1.0, 12.0, asked=">= 2,000"), "missed"),
        (Figure("x", "s", 1.05, 1.0, asked="<= 1.10", ratio_of="ours / theirs"), "met"),
        (Figure("x", "s", 1.2, 1.0, asked="<= 1.10", ratio_of="ours / theirs"), "missed"),
        (Figure("x", "s", 0.2, 0.01, asked="<= 0.5 s"), "met"),
        (Figure("x", "libraries", 1, asked="<= 0 libraries"), "missed"),
        (Figure("x", "s", 1.0, 12.0, asked=">= 10", turns=(11, 13)), "met"),
        (Figure("x", "s", 1.0, 12.0, asked=">= 10", turns=(9.9, 13)), "met, not in every turn"),
        (Figure("x", "s", 1.0, 9.0, asked=">= 10", turns=(8, 10.1)), "missed, not in every turn"),
        (Figure("x", "s", asked=">= 10"), "not measured"),
        (Figure("x", "s", 1.0, 12.0, asked=">= 10", void="it is weaker"), "void: it is weaker"),
    ],
)
def test_a_verdict_is_of_what_is_asked(figure: Figure, verdict: str) -> None:
    assert figure.verdict == verdict
    assert figure.answered == (not verdict or verdict.startswith("met"))


def test_what_was_skipped_is_not_met() -> None:
    """A missing library must not end a run of the measurements as if all was well."""
    assert not Figure("x", "s", asked=">= 10").answered


@pytest.mark.parametrize("name", run.FILES)
def test_every_file_has_figures(name: str) -> None:
    package = run.__name__.rpartition(".")[0]
    assert callable(importlib.import_module(f"{package}.figures.{name}").figures)


def test_an_unknown_file_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(["start_upp"]) == 2
    assert "start_up" in capsys.readouterr().err


def test_one_file_replaces_its_own_figures_alone(tmp_path: Path) -> None:
    report = tmp_path / "bench.json"
    run.keep("start_up", [Figure("a", "s", 1.0)], report)
    run.keep("harness", [Figure("b", "s", 2.0)], report)
    run.keep("start_up", [Figure("c", "s", 3.0)], report)
    told = json.loads(report.read_text())
    assert {file: [figure["name"] for figure in part["figures"]] for file, part in told.items()} == {
        "harness": ["b"],
        "start_up": ["c"],
    }
    assert told["harness"]["commit"]
    assert told["harness"]["versions"]["torch"]


def test_a_data_file_that_is_not_the_origins_is_not_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Planted:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "it ran"),)

    monkeypatch.setenv("BENCH_DATA_DIR", str(tmp_path))
    assert not subjects.has_cifar10()
    for path in CIFAR10.paths:
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(pickle.dumps(Planted()))
    assert subjects.has_cifar10()
    with pytest.raises(MissingData, match="damaged"):
        subjects.cifar10(slice(0, 4))
    assert not (tmp_path / "it ran").exists()
