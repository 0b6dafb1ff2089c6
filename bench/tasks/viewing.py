"""Ask every node that answers, not the last one alone: what a defense that shows an image several times sees of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.deployment import Deployment, Signal
from bench.deployment.calls import ROWS
from bench.deployment.passage import trace
from bench.store import Store
from bench.tasks.answering import streams
from bench.tasks.building import deployment_of, images_of
from bench.tasks.outcome import Outcome


def view(spec: Mapping[str, Any], store: Store) -> Outcome:
    """Return the labels that each node but the last answers clean images with, on the first score draw.

    Tensors
    -------
    label of a node : int16, (B,), of each node that gives logits
    """
    deployment = deployment_of(store, spec["deployment"])
    x, digests = images_of(store, spec["images"], *spec["block"])
    drawn = streams("score", spec["seed"], digests, x, 0)
    classes = spec["deployment"]["network"]["classes"]
    parts: dict[str, list[Tensor]] = {}
    for start in range(0, len(x), ROWS):
        rows = range(start, min(start + ROWS, len(x)))
        for name, logits in _views(deployment, Signal(x[start : rows.stop], drawn[rows]), classes).items():
            parts.setdefault(name, []).append(logits.argmax(1))
    return Outcome(tensors={name: _labels(found) for name, found in parts.items()})


def _views(deployment: Deployment, shown: Signal, classes: int) -> dict[str, Tensor]:
    passages, _ = trace(deployment, shown)
    return {p.node.name: p.output.x for p in passages[:-1] if p.output.x.shape == (len(shown), classes)}


def _labels(found: list[Tensor]) -> NDArray[Any]:
    labels: NDArray[Any] = torch.cat(found).to(torch.int16).numpy()
    return labels
