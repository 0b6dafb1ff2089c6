"""One gradient step, loss and gradient of the input, on ResNet-20 at batch 128: the surface against ART's estimator.

Both are timed by the processor time of one thread, in turn, so that what else runs on the machine counts little. That
both gave the same gradient is looked at first: the cosine of the two, image by image.
"""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cosine_similarity

from bench.attack import Surface
from bench.attack.fast import Precision
from bench.attack.surrogate import as_it_is
from bench.deployment import Classify, Deployment
from bench.hardware.processor import processor_flags
from bench.planning.machine import gradient_precision

from ..figure import Figure
from ..subjects import CLASSES, SHAPE, art_estimator, undefended

BATCH, ROUNDS = 128, 25  # a turn on a virtual machine is up to twice as long as the next
TITLE = f"surface: gradient step, ResNet-20, batch {BATCH}"


def figures() -> list[Figure]:
    """Return ms of a step for the surface and for ART, and how alike the gradients are."""
    torch.set_num_threads(1)
    x = torch.rand((BATCH, *SHAPE), generator=torch.Generator().manual_seed(0))
    y = torch.arange(BATCH) % CLASSES
    network = undefended()
    theirs = art_estimator(network)
    images, labels = x.numpy(), np.eye(CLASSES, dtype=np.float32)[y.numpy()]
    reference = torch.from_numpy(theirs.loss_gradient(images, labels))
    rows = []
    asked: dict[Precision, tuple[str, str]] = {
        "fp32": (">= 1.9", ">= 0.999 cosine"),
        "bf16": (">= 5" if "amx_bf16" in processor_flags() else "", ""),
    }
    for precision, (speed, alike) in asked.items():
        name = f"{TITLE}, {precision}, against ART's loss_gradient, one thread, processor time"
        if precision == "bf16" and gradient_precision("auto") != "bf16":
            rows.append(Figure(f"{name}: skipped, this processor does not multiply in it", "ms", asked=speed))
            continue
        ours = _surface(network, precision)
        same = cosine_similarity(ours.loss_gradient(x, y).flatten(1), reference.flatten(1))
        slow, fast = _times(lambda: theirs.loss_gradient(images, labels), lambda ours=ours: ours.loss_gradient(x, y))
        turns = [s / f for s, f in zip(slow, fast, strict=True)]
        rows.append(
            Figure(name, "ms", statistics.median(fast), statistics.median(slow), asked=speed, turns=turns),
        )
        name = f"{TITLE}, {precision}: cosine with ART's gradient, least of {BATCH} images"
        rows.append(Figure(name, "cosine", float(same.min()), asked=alike))
    return rows


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


def _times(*works: Callable[[], object]) -> list[list[float]]:
    """Return each work's times, in ms, taken in turn after one that warms up."""
    for work in works:
        work()
    times: list[list[float]] = [[] for _ in works]
    for _ in range(ROUNDS):
        for work, taken in zip(works, times, strict=True):
            start = time.process_time()
            work()
            taken.append(1e3 * (time.process_time() - start))
    return times
