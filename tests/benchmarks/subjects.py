"""What several measurements measure: images, networks, ART's estimator, and processes such as a run has."""

from __future__ import annotations

import copy
import os
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bench.data import Images
from bench.errors import MissingData

SHAPE, CLASSES = (3, 32, 32), 10
EPSILON, STEP = 8 / 255, 2 / 255  # Madry et al. 2018 for CIFAR-10
KEEPING = {
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str((1 << 31) - 1),
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
}
"""What tells a process's malloc what the suite's workers tell theirs."""


def data_folder() -> Path:
    """Return where data sets lie."""
    return Path(os.environ.get("BENCH_DATA_DIR", "data"))


def has_cifar10() -> bool:
    from bench_datasets.official import CIFAR10

    try:
        return bool(CIFAR10().files(data_folder()))
    except MissingData:
        return False


def cifar10_pixels(rows: slice) -> tuple[Any, Tensor]:
    """Return some test images, uint8, (n, 3, 32, 32), in NumPy, and their labels."""
    tested = _cifar10(data_folder())
    return tested.x[rows], torch.from_numpy(tested.y[rows])


def cifar10(rows: slice) -> tuple[Tensor, Tensor]:
    """Return some test images in [0, 1] and their labels."""
    pixels, labels = cifar10_pixels(rows)
    return torch.from_numpy(pixels).float() / 255.0, labels


@cache
def _cifar10(root: Path) -> Images:
    """Return the test set by the suite's reader: the files are pickles, which it opens where their digest is right."""
    from bench_datasets.official import CIFAR10

    return CIFAR10().load(root, "test")


def undefended() -> nn.Module:
    """Return the shipped ResNet-20 of CIFAR-10."""
    from bench.data.weights import load_into, load_weights
    from bench_models.architectures import ResNet

    network = ResNet().build(SHAPE, CLASSES)
    weights = files("bench_models") / "weights" / "resnet20-cifar10-split0-seed0.safetensors"
    load_into(network, load_weights(weights))  # type: ignore[arg-type]
    return network.eval()


def adversarially_trained() -> nn.Module:
    """Return the shipped fit of ``adversarial-training`` for ResNet-20 and CIFAR-10.

    It needs nothing of the suite but where the fit lies, so that the other libraries' environment can load it too.
    """
    from safetensors.torch import load_file

    from bench.data.cards import find_card, find_fit
    from bench_baselines.plugin import bench_defenses
    from bench_models.architectures import ResNet
    from bench_models.plugin import bench_models

    model = next(entry for entry in bench_models() if entry.name == "resnet20")
    defense = next(entry for entry in bench_defenses() if entry.name == "adversarial-training")
    card = find_card(model, {p.name: p.default for p in model.parameters}, "cifar10", 0, 0)
    assert card is not None
    fit = find_fit(defense, {p.name: p.default for p in defense.parameters if p.fits}, "cifar10", card.sha256, 0, 0)
    assert fit is not None
    network = ResNet().build(SHAPE, CLASSES)
    network.load_state_dict(load_file(fit.weights_path))
    return network.eval()


def art_estimator(network: nn.Module) -> Any:
    """Return ART's own estimator of a copy of a network."""
    from art.estimators.classification import PyTorchClassifier

    return PyTorchClassifier(
        copy.deepcopy(network),
        loss=nn.CrossEntropyLoss(),
        input_shape=SHAPE,
        nb_classes=CLASSES,
        clip_values=(0.0, 1.0),
        device_type="cpu",
    )


def settle() -> None:
    """Do what the suite's workers do before a task."""
    from bench.execution.zygote import keep_freed

    torch.set_num_threads(1)
    keep_freed()
