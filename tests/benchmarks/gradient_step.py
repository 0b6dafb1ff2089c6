"""One gradient step, loss and gradient of the input, on ResNet-20 at batch 128: the surface against ART's estimator.

Both are timed by the processor time of one thread, in turn, so that what else runs on the machine counts little.
"""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from bench.attack import Surface
from bench.attack.fast import Precision
from bench.attack.surrogate import as_it_is
from bench.data.weights import load_into, load_weights
from bench.deployment import Classify, Deployment
from bench.hardware.processor import processor_flags
from bench.planning.machine import gradient_precision
from bench_models.architectures import ResNet

SHAPE, CLASSES, BATCH, ROUNDS = (3, 32, 32), 10, 128, 9
WEIGHTS = "resnet20-cifar10-split0-seed0.safetensors"


def figures() -> list[dict[str, Any]]:
    """Return ms of a step for the surface and for ART, and their ratio; bfloat16 only where the processor has it."""
    torch.set_num_threads(1)
    x = torch.rand((BATCH, *SHAPE), generator=torch.Generator().manual_seed(0))
    y = torch.arange(BATCH) % CLASSES
    network = _network()
    theirs = _art(network)
    images, labels = x.numpy(), np.eye(CLASSES, dtype=np.float32)[y.numpy()]
    rows = []
    for precision, asked in (("fp32", ">= 1.9"), ("bf16", ">= 5" if "amx_bf16" in processor_flags() else "")):
        name = f"surface: gradient step, ResNet-20, batch {BATCH}, {precision}, against ART's loss_gradient"
        if precision == "bf16" and gradient_precision("auto") != "bf16":
            rows.append({**_nothing(f"{name}: skipped, this processor does not multiply in it"), "unit": "ms"})
            continue
        ours = _surface(network, precision)  # type: ignore[arg-type]
        slow, fast = _medians(lambda: theirs.loss_gradient(images, labels), lambda ours=ours: ours.loss_gradient(x, y))
        rows.append({"name": name, "ours": fast, "theirs": slow, "ratio": slow / fast, "unit": "ms", "asked": asked})
    return rows


def _nothing(name: str) -> dict[str, Any]:
    return {"name": name, "ours": None, "theirs": None, "ratio": None, "unit": "", "asked": ""}


def _network() -> nn.Module:
    from importlib.resources import files

    network = ResNet().build(SHAPE, CLASSES)
    load_into(network, load_weights(files("bench_models") / "weights" / WEIGHTS))  # type: ignore[arg-type]
    return network.eval()


def _art(network: nn.Module) -> Any:
    from art.estimators.classification import PyTorchClassifier

    return PyTorchClassifier(
        copy.deepcopy(network),
        loss=nn.CrossEntropyLoss(),
        input_shape=SHAPE,
        nb_classes=CLASSES,
        clip_values=(0.0, 1.0),
        device_type="cpu",
    )


def _surface(network: nn.Module, precision: Precision) -> Surface:
    return Surface(
        Deployment.chain(Classify(copy.deepcopy(network))),
        knowledge="white-box",
        access="gradient",
        shape=SHAPE,
        classes=CLASSES,
        backward=as_it_is,
        precision=precision,
    )


def _medians(*works: Callable[[], object]) -> list[float]:
    """Return the median of each work's times, in ms, taken in turn after one that warms up."""
    for work in works:
        work()
    times: list[list[float]] = [[] for _ in works]
    for _ in range(ROUNDS):
        for work, taken in zip(works, times, strict=True):
            start = time.process_time()
            work()
            taken.append(1e3 * (time.process_time() - start))
    return [statistics.median(taken) for taken in times]
