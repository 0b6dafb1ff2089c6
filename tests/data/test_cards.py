from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bench.data.cards import (
    Card,
    FitCard,
    card_beside,
    file_sha256,
    find_card,
    find_fit,
    read_card,
    read_fit_card,
    shipped_cards,
    weights_folder,
    write_card,
)
from bench.errors import UsageError
from bench.plugins.entries import Defense, Model
from bench.plugins.parameters import resolve
from bench_baselines.plugin import bench_defenses as baselines
from bench_defed.plugin import bench_defenses as defed
from bench_models.plugin import bench_models

MODELS = {entry.name: entry for entry in bench_models()}


@pytest.fixture
def card(tmp_path: Path) -> Card:
    weights = tmp_path / "net.safetensors"
    weights.write_bytes(b"weights")
    return Card(
        model="lenet5",
        parameters={"padding": 0},
        dataset="mnist",
        split_seed=0,
        held_out_share=0.02,
        training_seed=0,
        recipe={"epochs": 1},
        clean_accuracy=0.5,
        test_images=10,
        training_seconds=1.0,
        threads=1,
        command="python -m bench_models.train",
        dtype="float16",
        sha256=file_sha256(weights),
        versions={"torch": "2"},
        weights_path=weights,
    )


def test_a_card_reads_back_as_it_was_written(card):
    assert read_card(write_card(card)) == card


def test_a_card_carries_no_path_of_the_machine_that_made_it(card):
    assert str(card.weights_path.parent) not in write_card(card).read_text()


def test_a_shipped_card_is_found_by_all_that_names_a_training(card, tmp_path, monkeypatch):
    folder = tmp_path / "somebodys_package" / "weights"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").write_text("raise AssertionError('a package is not imported to find its cards')")
    monkeypatch.syspath_prepend(tmp_path)
    (folder / "net.safetensors").write_bytes(b"weights")
    write_card(replace(card, weights_path=folder / "net.safetensors"))
    entry = Model(name="lenet5", factory="a:b", summary="", weights="somebodys_package:weights")

    found = find_card(entry, {"padding": 0}, "mnist", 0, 0)
    assert found is not None
    assert found.weights_path == folder / "net.safetensors"
    assert find_card(entry, {"padding": 2}, "mnist", 0, 0) is None
    assert find_card(entry, {"padding": 0}, "digits", 0, 0) is None
    assert find_card(entry, {"padding": 0}, "mnist", 0, 0, images="ab" * 16) is None
    assert find_card(entry, {"padding": 0}, "mnist", 1, 0) is None
    assert find_card(entry, {"padding": 0}, "mnist", 0, 1) is None
    assert find_card(replace(entry, name="other"), {"padding": 0}, "mnist", 0, 0) is None
    assert find_card(replace(entry, weights=""), {"padding": 0}, "mnist", 0, 0) is None
    assert find_card(replace(entry, weights="no_such_package:weights"), {"padding": 0}, "mnist", 0, 0) is None


def test_weights_of_another_split_seed_are_refused(card):
    write_card(card)
    assert card_beside(card.weights_path, split_seed=0) == card
    with pytest.raises(UsageError, match=r"split seed 0; this run has 3"):
        card_beside(card.weights_path, split_seed=3)


def test_weights_that_are_not_there_are_a_plain_error(tmp_path):
    with pytest.raises(UsageError, match=r"absent\.pt cannot be read"):
        file_sha256(tmp_path / "absent.pt")


def test_weights_without_a_card_have_none(card):
    assert card_beside(card.weights_path, split_seed=0) is None


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", '{"card": 99}', '{"card": 1, "model": "lenet5"}', "[" * 100_000]
)
def test_a_file_that_is_no_card_is_a_plain_error(tmp_path, content):
    (tmp_path / "net.json").write_text(content)
    with pytest.raises(UsageError, match=r"net\.json"):
        read_card(tmp_path / "net.json")


def test_a_card_with_a_field_of_the_wrong_type_is_a_plain_error(card):
    path = write_card(card)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"split_seed": "0"}))
    with pytest.raises(UsageError, match="wrong type"):
        read_card(path)


def test_reading_cards_imports_no_torch():
    program = (
        "import sys; from bench_models.plugin import bench_models; from bench.data.cards import shipped_cards\n"
        "assert sum(len(list(shipped_cards(m))) for m in bench_models())\n"
        "assert not {'torch', 'torchvision', 'art'} & set(sys.modules), 'imported'"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_every_shipped_file_of_weights_has_a_whole_card_and_all_are_small():
    cards = list(shipped_cards(MODELS["lenet5"]))
    files = sorted(cards[0].weights_path.parent.glob("*.safetensors"))
    assert [card.weights_path for card in cards] == files
    assert sum(file.stat().st_size for file in files) <= 12 * 1024**2
    for card in cards:
        assert card.sha256 == file_sha256(card.weights_path), card.weights_path.name
        assert card.model in MODELS
        assert card.training_seconds > 0
        assert 0.9 < card.clean_accuracy <= 1
        assert find_card(MODELS[card.model], card.parameters, card.dataset, card.split_seed, card.training_seed) == card


FIT = {
    "defense": "defed",
    "parameters": {"epochs": 10},
    "dataset": "mnist",
    "classifier": "ab" * 32,
    "split_seed": 0,
    "training_seed": 0,
}


@pytest.mark.parametrize(
    ("changed", "fits"),
    [
        ({}, True),
        ({"parameters": {"epochs": 9}}, False),
        ({"dataset": "digits"}, False),
        ({"images": "ab" * 16}, False),
        ({"classifier": "cd" * 32}, False),
        ({"split_seed": 1}, False),
        ({"training_seed": 1}, False),
    ],
)
def test_a_shipped_fit_is_found_by_all_that_names_it(tmp_path, monkeypatch, changed, fits):
    folder = tmp_path / "fitted_package" / "weights"
    folder.mkdir(parents=True)
    monkeypatch.syspath_prepend(tmp_path)
    (folder / "fit.safetensors").write_bytes(b"weights")
    card = FitCard(
        **FIT,
        model="lenet5",
        held_out_share=0.02,
        notes={"sigmas": [40.0]},
        clean_accuracy=0.5,
        test_images=10,
        fit_seconds=1.0,
        device="cpu, 1 threads",
        command="bench fit defed",
        sha256=file_sha256(folder / "fit.safetensors"),
        versions={"torch": "2"},
        weights_path=folder / "fit.safetensors",
    )
    assert read_fit_card(write_card(card)) == card
    entry = Defense(name="defed", factory="a:b", summary="", weights="fitted_package:weights")
    wanted = FIT | changed
    images = {"images": wanted.pop("images", "")}
    found = find_fit(entry, *(wanted[n] for n in FIT if n != "defense"), **images)
    assert (found == card) is fits


SHIPPED = [
    (entry, path)
    for entry in [*defed(), *baselines()]
    if (folder := weights_folder(entry))
    for path in sorted(folder.glob(f"{entry.name}-*.json"))
]


@pytest.mark.parametrize(("entry", "path"), SHIPPED, ids=[path.stem for _, path in SHIPPED])
def test_every_shipped_fit_is_whole_and_stands_before_a_shipped_classifier(entry, path):
    card = read_fit_card(path)
    assert card.sha256 == file_sha256(card.weights_path)
    assert card.classifier in {c.sha256 for c in shipped_cards(MODELS[card.model])}
    declared = [p for p in entry.parameters if p.fits]
    assert dict(resolve(entry.name, declared, card.parameters)) == dict(card.parameters)
    wanted = (card.parameters, card.dataset, card.classifier, card.split_seed, card.training_seed)
    assert find_fit(entry, *wanted) == card
    assert card.fit_seconds > 0
    assert card.device


def test_there_are_the_fits_that_the_documentation_names():
    names = {path.stem for _, path in SHIPPED}
    assert {
        "defed-lenet5-mnist-split0-seed0",
        "defed-edge-sobel-lenet5-mnist-split0-seed0",
        "defed-resnet20-cifar10-split0-seed0",
        *(f"adversarial-training-cleverhans-cnn-mnist-split0-seed{seed}" for seed in range(3)),
        "adversarial-training-resnet20-cifar10-split0-seed0",
    } <= names
    assert sum(path.with_suffix(".safetensors").stat().st_size for _, path in SHIPPED) <= 20 * 1024**2
