from __future__ import annotations

import json
from dataclasses import asdict, replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from bench.data.cards import read_card, shipped_cards
from bench.data.weights import load_into, load_weights
from bench.planning.specification import RunSpecification
from bench.planning.subjects import DataSubject, ModelSubject
from bench.plugins.registry import discover
from bench.plugins.selection import choose
from bench.store import Store
from bench.tasks.data import read_images
from bench.training import Recipe, accuracy
from bench_datasets.digits import Digits
from bench_models import architectures, shipping
from bench_models.plugin import bench_models
from bench_models.shipping import Training, ship
from bench_models.train import main

SHORT = Recipe(epochs=2, batch=64)
ENTRIES = {entry.name: entry for entry in bench_models()}


@pytest.fixture
def short(monkeypatch):
    """Make LeNet-5's recipe two epochs long."""
    monkeypatch.setattr(architectures, "recipe_for", lambda model, dataset: SHORT)
    return ["--model", "lenet5", "--dataset", "digits", "--threads", "1"]


def test_the_command_trains_and_writes_weights_with_a_card(short, tmp_path, capsys):
    arguments = [*short, "--out", str(tmp_path), "--checkpoint", str(tmp_path / "state.safetensors")]
    assert main([*arguments, "--training-seed", "4", "--parameter", "padding=2"]) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "epoch 2 of 2" in captured.err
    path = tmp_path / "lenet5-padding2-digits-split0-seed4.safetensors"
    card = read_card(path.with_suffix(".json"))
    assert sorted(p.name for p in tmp_path.iterdir()) == [path.with_suffix(".json").name, path.name]
    assert (card.parameters, card.training_seed, card.test_images) == ({"padding": 2}, 4, 384)
    assert card.recipe == asdict(SHORT)
    assert str(tmp_path) not in json.dumps(card.command)
    assert "--parameter padding=2" in card.command
    assert set(load_weights(path, sha256=card.sha256)) == set(
        architectures.LeNet(padding=2).build((1, 32, 32), 10).state_dict()
    )


def test_the_command_interrupted_and_repeated_gives_the_same_file(short, tmp_path, monkeypatch):
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    name = "lenet5-digits-split0-seed0.safetensors"
    assert main([*short, "--out", str(whole), "--checkpoint", str(tmp_path / "a.safetensors")]) == 0

    arguments = [*short, "--out", str(halves), "--checkpoint", str(tmp_path / "b.safetensors")]
    note = shipping.Clock.note

    def interrupt(clock):
        note(clock)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(shipping.Clock, "note", interrupt)
        assert main(arguments) == 130
    assert not halves.exists()
    before = float((tmp_path / "b.seconds").read_text())
    assert main(arguments) == 0
    assert (halves / name).read_bytes() == (whole / name).read_bytes()
    assert read_card((halves / name).with_suffix(".json")).training_seconds >= round(before, 1)


def test_weights_trained_elsewhere_get_their_card(short, tmp_path):
    torch.manual_seed(8)
    network = architectures.LeNet().build((1, 32, 32), 10)
    torch.save({"state_dict": network.state_dict()}, tmp_path / "mine.pt")
    out = tmp_path / "out"
    assert main([*short, "--out", str(out), "--from", str(tmp_path / "mine.pt"), "--seconds", "12.5"]) == 0
    card = read_card(out / "lenet5-digits-split0-seed0.json")
    assert card.training_seconds == 12.5
    assert card.clean_accuracy < 0.5  # it is untrained, and the card says what was measured


def test_weights_of_one_image_folder_are_not_those_of_another(short, tmp_path, monkeypatch):
    for folder, shade in (("light", 200), ("dark", 20)):
        for split in ("train", "test"):
            for name, more in (("a", 0), ("b", 30)):
                place = tmp_path / folder / split / name
                place.mkdir(parents=True)
                for number in range(3):
                    pixels = np.full((32, 32), shade + more + number + 5 * (split == "test"), dtype=np.uint8)
                    Image.fromarray(pixels).save(place / f"{number}.png")
    torch.save(architectures.LeNet().build((1, 32, 32), 2).state_dict(), tmp_path / "mine.pt")
    package = tmp_path / "folder_package"
    words = ["--model", "lenet5", "--dataset", "imagefolder", "--dataset-parameter", "channels=1", "--data-dir", "."]
    words += ["--from", str(tmp_path / "mine.pt"), "--out", str(package / "weights")]
    assert main([*words, "--dataset-parameter", f"path={tmp_path / 'light'}"]) == 0

    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    registry = discover()
    lenet = choose(registry.find("model", "lenet5"), "model", {})
    entry = replace(lenet.found.entry, weights="folder_package:weights")
    lenet = replace(lenet, found=replace(lenet.found, entry=entry))
    spec = RunSpecification()
    origins = {}
    for folder in ("light", "dark"):
        given = {"path": str(tmp_path / folder), "channels": 1}
        data = DataSubject.of(choose(registry.find("dataset", "imagefolder"), "dataset", given), tmp_path, spec)
        meta = read_images(data.images.spec, Store(tmp_path / "store")).meta
        origins[folder] = ModelSubject.of(data, lenet, spec, meta).asked["weights"]
    assert origins == {"light": "shipped", "dark": "trained"}
    (written,) = (package / "weights").glob("*.json")
    assert written.stem == f"lenet5-imagefolder-{read_card(written).images[:8]}-split0-seed0"


def test_a_wrong_name_or_a_missing_folder_is_a_plain_error(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("BENCH_DATA_DIR", raising=False)
    assert main(["--model", "lenet", "--dataset", "digits"]) == 2
    assert "Did you mean 'lenet5'" in capsys.readouterr().err
    assert main(["--model", "lenet5", "--dataset", "mnist"]) == 2
    assert "--data-dir" in capsys.readouterr().err
    assert main(["--model", "lenet5", "--dataset", "mnist", "--data-dir", str(tmp_path)]) == 2
    assert str(tmp_path) in capsys.readouterr().err


FACTS = Training(
    model="net", parameters={}, dataset="d", split_seed=0, held_out_share=0.1, training_seed=0, recipe=SHORT,
    seconds=1.0, threads=1, command="c",
)  # fmt: skip


class _Threshold(nn.Module):
    """Class 1 where the only pixel is above a threshold."""

    def __init__(self, threshold: float) -> None:
        super().__init__()
        self.threshold = nn.Parameter(torch.tensor([threshold]))

    def forward(self, x):
        return torch.stack([self.threshold.expand(len(x)), x.flatten()], dim=1)


@pytest.mark.parametrize(("threshold", "dtype"), [(0.5, "float16"), (200.02 / 255, "float32")])
def test_half_precision_is_kept_only_where_the_accuracy_stays(tmp_path, threshold, dtype):
    # 200/255 lies just below 200.02/255, which float16 rounds to a number below both
    x = torch.full((100, 1, 1, 1), 200, dtype=torch.uint8)
    y = torch.full((100,), 1 if threshold == 0.5 else 0)
    network = _Threshold(threshold)
    assert accuracy(network, x, y) == 1.0
    card = ship(network, x, y, FACTS, tmp_path / "net.safetensors")
    assert (card.dtype, card.clean_accuracy) == (dtype, 1.0)
    again = _Threshold(0.0)
    load_into(again, load_weights(tmp_path / "net.safetensors", sha256=card.sha256))
    assert accuracy(again, x, y) == 1.0
    assert torch.equal(again.threshold, network.threshold)


@pytest.mark.parametrize("card", list(shipped_cards(ENTRIES["lenet5"])), ids=lambda card: card.weights_path.stem)
def test_shipped_weights_were_trained_by_the_recipe_that_is_in_force(card):
    module, _, factory = ENTRIES[card.model].factory.partition(":")
    architecture = getattr(import_module(module), factory)(**card.parameters)
    assert card.recipe == asdict(architecture.recipe(card.dataset))


def test_the_embedded_default_classifies_its_test_set():
    images = Digits().load(Path(), "test")
    for card in shipped_cards(ENTRIES["lenet5"]):
        if card.dataset == "digits":
            module, _, factory = ENTRIES[card.model].factory.partition(":")
            network = getattr(import_module(module), factory)(**card.parameters).build((1, 32, 32), 10)
            load_into(network, load_weights(card.weights_path, sha256=card.sha256))
            reached = accuracy(network, torch.from_numpy(images.x), torch.from_numpy(images.y))
            assert reached == pytest.approx(card.clean_accuracy, abs=1 / 384)
            assert reached >= 0.98


def test_replacing_facts_is_seen_on_the_card(tmp_path):
    x, y = torch.zeros((4, 1, 1, 1), dtype=torch.uint8), torch.zeros(4, dtype=torch.int64)
    card = ship(_Threshold(0.5), x, y, replace(FACTS, split_seed=5), tmp_path / "net.safetensors")
    assert read_card(tmp_path / "net.json") == card
    assert card.split_seed == 5
