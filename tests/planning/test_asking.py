"""What a record is named by."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bench.planning.plan import Planner
from bench.planning.specification import RunSpecification
from bench.planning.supposition import Supposing
from bench.plugins.registry import discover
from bench.store import Store


def test_a_record_that_shows_a_claim_is_made_again_when_the_claim_is_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry, store = discover(), Supposing(Store(tmp_path))
    asked = RunSpecification(defenses="qusec-cq", attacks="fgsm", datasets="digits", hardware="none", norms=("linf",))
    before = Planner(registry, store, asked).plan()
    found = registry.of("defense")["qusec-cq"]
    monkeypatch.setitem(
        registry._found["defense"], "qusec-cq", replace(found, entry=replace(found.entry, published=()))
    )
    after = Planner(registry, store, asked).plan()
    for old, new in zip(before.cells, after.cells, strict=True):
        same = old.asked["defense"]["name"] != "qusec-cq"
        assert (old.cell_id, old.run_key == new.run_key) == (new.cell_id, same)
    assert after.tasks.keys() == before.tasks.keys()
