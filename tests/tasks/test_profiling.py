"""Where a measurement works, and what is left of it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from bench.hardware import Measurement, Workload
from bench.store import Store
from bench.tasks import profiling

KEY = "ab" * 16
BYTES = Measurement(
    quantity="uplink_bytes", statistic="mean", placement="device", value=1, unit="B", provenance="counted", source="len"
)


@pytest.fixture
def measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    store = Store(tmp_path / "store")
    monkeypatch.setattr(profiling, "images_of", lambda *_: (torch.zeros(1, 1, 2, 2), []))
    monkeypatch.setattr(profiling, "deployment_of", lambda *_: None)
    spec = {"key": KEY, "hardware": None, "deployment": None, "baseline": None, "images": "", "count": 1, "preset": ""}

    def measure(work):
        hardware = SimpleNamespace(measure=lambda workload, preset: work(workload), machine=lambda: {"model": "toy"})
        monkeypatch.setattr(profiling, "implementation", lambda _: hardware)
        return profiling.profile(spec, store)

    return store, measure


def test_it_works_in_the_stores_folder_where_nothing_lies_of_one_that_was_killed(measured) -> None:
    store, measure = measured
    np.save(store.scratch(KEY) / "runs-old.npy", np.zeros(2))

    def work(workload: Workload) -> list[Measurement]:
        assert workload.scratch.is_relative_to(store.root)
        np.save(workload.scratch / "runs-b.npy", np.ones(3))
        return [BYTES]

    outcome = measure(work)
    assert list(outcome.tensors) == ["runs-b"]
    assert outcome.tensors["runs-b"].tolist() == [1.0, 1.0, 1.0]
    assert outcome.meta["machine"] == {"model": "toy"}
    assert not any((store.root / "scratch").iterdir())


def test_one_that_fails_leaves_nothing(measured) -> None:
    store, measure = measured
    with pytest.raises(ZeroDivisionError):
        measure(lambda workload: 1 / 0)
    assert not any((store.root / "scratch").iterdir())
