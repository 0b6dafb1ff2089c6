"""Turn descriptions back into objects, inside a worker."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bench.data import PoolName, Source, divide
from bench.data.weights import load_factory, load_into, load_weights
from bench.deployment import Deployment, FitResult, Pool
from bench.errors import PluginFault
from bench.plugins.loading import loaded
from bench.store import Store
from bench.training import Architecture


def implementation(described: Mapping[str, Any]) -> Any:
    """Return what an entry's factory gives: ``{"factory": "module:callable", "parameters": {...}}``."""
    return loaded(described["factory"])(**described["parameters"])


def images_of(store: Store, key: str, first: int, last: int) -> tuple[Tensor, list[bytes]]:
    """Return test images first..last as float32 in [0, 1], (B, C, H, W), and their digests."""
    stored = store.read(key)
    x = torch.from_numpy(stored.tensors["x"][first:last].astype(np.float32) / np.float32(255.0))
    return x, [row.tobytes() for row in stored.tensors["digests"][first:last]]


def labels_of(store: Store, key: str, first: int, last: int) -> Tensor:
    """Return the labels of test images first..last, int64, (B,)."""
    return torch.from_numpy(store.read(key).tensors["y"][first:last].astype(np.int64))


def pools_of(described: Mapping[str, Any]) -> dict[PoolName, Pool]:
    """Return the training pools of a data set: ``{"source", "root", "split_seed", "held_out_share"}``."""
    source: Source = implementation(described["source"])
    root = Path(described["root"])
    training, tested = source.load(root, "train"), source.load(root, "test")
    positions = divide(
        training.x, tested.x, split_seed=described["split_seed"], held_out_share=described["held_out_share"]
    )
    return {
        name: Pool(torch.from_numpy(training.x[where]), torch.from_numpy(training.y[where].astype(np.int64)))
        for name, where in positions.items()
    }


def untrained(described: Mapping[str, Any]) -> nn.Module:
    """Return a network initialised from a seed: ``{"architecture", "shape", "classes", "training_seed"}``."""
    shape, classes = tuple(described["shape"]), described["classes"]
    torch.manual_seed(described["training_seed"])
    if "file" in described["architecture"]:
        network = load_factory(described["architecture"]["file"])(shape, classes)
        _try_out(network, shape, classes, described["dataset"])
        return network
    architecture: Architecture = implementation(described["architecture"])
    return architecture.build(shape, classes)


def _try_out(network: nn.Module, shape: tuple[int, ...], classes: int, dataset: str) -> None:
    """Raise PluginFault where a user's network does not answer images of a data set with logits of its classes."""
    training, images = network.training, torch.zeros(2, *shape)
    network.eval()
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            said = network(images)
    except Exception as error:  # the user's code: anything may be raised
        raise PluginFault(
            f"The model fails on images {tuple(images.shape)}, as {dataset} has them: {type(error).__name__}: {error}"
        ) from error
    if not isinstance(said, Tensor):
        raise PluginFault(f"The model gives {type(said).__name__}; expected logits alone, a tensor (B, K).")
    if said.shape != (2, classes):
        raise PluginFault(
            f"The model gives {tuple(said.shape)} for two images; expected (2, {classes}): {dataset} has {classes} "
            "classes."
        )
    network.train(training)


def network_of(store: Store, described: Mapping[str, Any]) -> nn.Module:
    """Return the trained undefended classifier, in evaluation mode."""
    network = untrained(described)
    weights = described["weights"]
    if "key" in weights:
        tensors: Mapping[str, Tensor] = store.read_torch(weights["key"]).tensors
    else:
        tensors = load_weights(Path(weights["path"]), sha256=weights["digest"])
    load_into(network, tensors)
    network.eval()  # gives None where a network that keeps its normalisation frozen has a train() of its own
    return network


def deployment_of(store: Store, described: Mapping[str, Any]) -> Deployment:
    """Return a fitted deployment: ``{"defense", "network", "fit": key}``."""
    fitted = store.read_torch(described["fit"])
    result = FitResult(public={name: tensor for name, tensor in fitted.tensors.items() if name != "_empty"})
    network = network_of(store, described["network"])
    deployment = implementation(described["defense"]).deploy(network, result, tuple(described["network"]["shape"]))
    if not isinstance(deployment, Deployment):
        raise PluginFault(
            f"Defense {described['defense']['factory']}: deploy gave {type(deployment).__name__}; expected a "
            "Deployment. Return Deployment.chain(stage, ...)."
        )
    deployment.eval().requires_grad_(False)
    _detach(deployment)
    return deployment


def _detach(deployment: Deployment) -> None:
    """Cut what modules have computed from their weights, such as old weight norms, off its history: it is copied."""
    for module in deployment.modules():
        for name, value in list(vars(module).items()):
            if isinstance(value, Tensor) and not value.is_leaf:
                setattr(module, name, value.detach())
