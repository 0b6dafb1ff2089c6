"""The deployments that both sides attack, as the suite makes them: shipped fits where there are some."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bench import api
from bench.deployment import Deployment, Draws, Signal
from bench.execution.progress import watcher
from bench.store import Store
from bench.tasks.building import deployment_of, images_of, labels_of

FLAGS: dict[str, Any] = {
    "datasets": "mnist",
    "models": "lenet5",
    "defenses": "qusec-cq,adversarial-training",
    "attacks": "null",
    "norm": "linf",
    "hardware": "none",
    "data_dir": os.environ.get("BENCH_DATA_DIR", "data"),
}


@dataclass(frozen=True)
class Victim:
    """A deployment and the images that it is attacked on.

    Attributes
    ----------
    x : float32, (N, C, H, W); y : int64, (N,)
    digests : of the clean images, which name what an attack draws for them
    fit : key of what its defense has learned
    """

    name: str
    deployment: Deployment
    x: Tensor
    y: Tensor
    digests: list[bytes]
    fit: str

    @property
    def classes(self) -> int:
        return int(self.answers(self.x[:1]).shape[1])

    @torch.no_grad()
    def answers(self, x: Tensor) -> Tensor:
        """Return the deployment's own logits, float32, (N, K), borders crossed as bytes."""
        parts = [
            self.deployment.answer(Signal(part, Draws.of("score", 0, [b""] * len(part)))).x for part in x.split(128)
        ]
        return torch.cat(parts)


class WrittenAnew(nn.Module):
    """What a deployment computes, without the suite's surface, for libraries that want a network.

    What the device sends has the derivative of the identity, as straight-through gradients take it (Athalye et al.,
    ICML 2018, section 4.1).
    """

    def __init__(self, deployment: Deployment) -> None:
        super().__init__()
        *self._on_device, self._classifier = deployment.stages
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            signal = Signal(x, Draws.of("score", 0, [b""] * len(x)))
            for stage in self._on_device:
                signal = stage.cross(stage(signal))
        logits: Tensor = self._classifier.network(x + (signal.x - x).detach())
        return logits


def prepare(root: Path) -> None:
    """Read the images and fit what is not there yet."""
    ended = api.execute(api.specification(samples=1, **FLAGS), store=root, watcher=watcher())
    failed = [record["reason"] for record in ended.records if record["status"] != "ok"]
    assert not failed, failed


def victims(root: Path, count: int) -> Iterator[Victim]:
    """Yield the deployments of a store that was prepared, each with the first test images."""
    plan, store = api.plan(store=root, samples=1, **FLAGS), Store(root)
    labels = next(cell.labels for cell in plan.cells if cell.labels)
    for task in plan.tasks.values():
        if task.kind == "inspect":
            x, digests = images_of(store, task.spec["images"], 0, count)
            described = task.spec["deployment"]
            yield Victim(
                name=task.label.removeprefix("inspect "),
                deployment=deployment_of(store, described),
                x=x,
                y=labels_of(store, labels, 0, count),
                digests=digests,
                fit=described["fit"],
            )
