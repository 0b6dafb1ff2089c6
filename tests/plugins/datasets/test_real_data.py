"""The data sets themselves, where BENCH_DATA_DIR names a folder that holds them."""

from __future__ import annotations

import os
from importlib import import_module
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.data import divide, image_digests
from bench.data.cards import find_card, shipped_cards
from bench.data.weights import load_into, load_weights
from bench.errors import MissingData
from bench.training import accuracy
from bench_datasets.folder import ImageFolder
from bench_datasets.official import CIFAR10, MNIST
from bench_models.plugin import bench_models

ENTRIES = {entry.name: entry for entry in bench_models()}


def _root(source) -> Path:
    root = Path(os.environ.get("BENCH_DATA_DIR", ""))
    if not os.environ.get("BENCH_DATA_DIR"):
        pytest.skip("BENCH_DATA_DIR is not set")
    try:
        source.files(root)
    except MissingData as error:
        pytest.skip(str(error))
    return root


# First ten labels and sums of all bytes, as published beside the files.
@pytest.mark.parametrize(
    ("source", "split", "labels", "total", "count"),
    [
        (MNIST(), "train", "5041921314", 1_567_298_545, 60_000),
        (MNIST(), "test", "7210414959", 264_923_200, 10_000),
        (CIFAR10(), "train", "6994112783", 18_540_682_003, 50_000),
        (CIFAR10(), "test", "3880661631", 3_733_375_634, 10_000),
    ],
)
def test_the_images_are_the_origins(source, split, labels, total, count):
    images = source.load(_root(source), split)
    assert "".join(map(str, images.y[:10])) == labels
    assert int(images.x.sum(dtype=np.int64)) == total
    assert len(images.x) == len(images.y) == count


def test_no_image_of_mnist_is_in_two_pools_or_in_a_pool_and_the_test_set():
    root = _root(MNIST())
    train, test = MNIST().load(root, "train").x, MNIST().load(root, "test").x
    positions = divide(train, test, split_seed=0)
    pools = {name: set(image_digests(train[where])) for name, where in positions.items()}
    assert sum(len(where) for where in positions.values()) > 59_900
    for first, second in combinations([*pools.values(), set(image_digests(test))], 2):
        assert not first & second


def test_traffic_signs_in_class_folders_are_read():
    root = os.environ.get("BENCH_DATA_DIR", "")
    if not Path(root, "gtsrb32").is_dir():
        pytest.skip("BENCH_DATA_DIR holds no gtsrb32")
    source = ImageFolder(path=f"{root}/gtsrb32")
    assert len(source.class_names()) == 43
    images = source.load(Path(root), "test")
    assert images.x.shape == (860, 3, 32, 32)
    assert images.y[:43].tolist() == list(range(43))


@pytest.mark.parametrize(
    ("model", "source", "dataset", "parameters", "least"),
    [
        ("cleverhans-cnn", MNIST(), "mnist", {}, 0.99),
        ("lenet5", MNIST(), "mnist", {"padding": 0}, 0.985),
        ("resnet20", CIFAR10(), "cifar10", {}, 0.905),
    ],
)
def test_shipped_weights_reach_what_their_card_says(model, source, dataset, parameters, least):
    root = _root(source)
    card = find_card(ENTRIES[model], parameters, dataset, 0, 0)
    assert card is not None, [c.weights_path.name for c in shipped_cards(ENTRIES[model])]
    assert card.test_images == 10_000
    assert card.clean_accuracy >= least
    images = source.load(root, "test")
    module, _, factory = ENTRIES[model].factory.partition(":")
    network = getattr(import_module(module), factory)(**parameters).build(images.x.shape[1:], 10)
    load_into(network, load_weights(card.weights_path, sha256=card.sha256))
    reached = accuracy(network, torch.from_numpy(images.x), torch.from_numpy(images.y))
    # Another processor may turn an image that lies on a boundary, hardly more than a few in 10,000.
    assert reached == pytest.approx(card.clean_accuracy, abs=5e-4)
    assert reached >= least
