"""Parameters are chosen on development images: never trained on, never those of the test set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bench.data import divide, image_digests
from bench.store import Store
from bench.tasks.building import implementation

COMMON = ("--defenses", "jpeg[quality=20|75]", "--attacks", "native-fgsm", "--norm", "linf", "--hardware", "none")
MORE = ("--samples", "24", "--budget", "standard", "--no-html")


def test_development_images_are_attacked_by_the_same_fit_and_stand_in_rows_of_their_own(command_line: Any) -> None:
    command_line("run", *COMMON, *MORE, "--out", "test")
    command_line("run", *COMMON, *MORE, "--pool", "development", "--out", "development")
    on_test, on_development = command_line.records("test"), command_line.records("development")
    assert {r["dataset"]["label"] for r in on_development} == {"digits (development)"}
    assert {r["dataset"]["pool"] for r in on_development} == {"development"}
    assert not [r for r in on_test if "pool" in r["dataset"]]

    store = Store(Path(command_line.environment["BENCH_STORE"]), writable=False)
    kinds: dict[str, list[dict[str, Any]]] = {}
    for path in sorted((store.root / "objects").rglob("*.safetensors")):
        key = path.stem
        kinds.setdefault(store.meta(key)["kind"], []).append({"key": key, **store.preimage(key)})
    assert len(kinds["fit"]) == 3, "the undefended model's and two of jpeg's, for both runs"
    images = {one.get("pool", "test"): store.read(one["key"]).tensors for one in kinds["images"]}
    labels = {one.get("pool", "test"): store.read(one["key"]).tensors["y"] for one in kinds["labels"]}

    source = implementation({"factory": "bench_datasets.digits:Digits", "parameters": {}})
    training, tested = source.load(Path(), "train"), source.load(Path(), "test")
    members = divide(training.x, tested.x, split_seed=0, held_out_share=0.1)["development"]
    assert (images["development"]["x"] == training.x[members]).all()
    assert (labels["development"] == training.y[members]).all()
    assert (images["test"]["x"] == tested.x).all()
    assert not set(image_digests(images["development"]["x"])) & set(image_digests(images["test"]["x"]))

    merged = command_line("report", "test", "development", "--no-html", "--out", "both", "--json").stdout
    assert {row["dataset"] for row in json.loads(merged)} == {"digits", "digits (development)"}


def test_an_unknown_pool_is_refused(command_line: Any) -> None:
    told = command_line("plan", *COMMON, "--pool", "validation", code=2).stderr
    assert "validation" in told
    assert "development" in told
