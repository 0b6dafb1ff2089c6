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

DEFENSES = {
    "mnist, lenet5": "qusec-cq,adversarial-training",
    "cifar10, resnet20": "qusec-cq[start=pretrained,epochs=2],adversarial-training",
}
"""Of each subject, a data set and a model, the defenses beside none."""


def _flags(subject: str) -> dict[str, Any]:
    dataset, model = subject.split(", ")
    return {
        "datasets": dataset,
        "models": model,
        "defenses": DEFENSES[subject],
        "attacks": "null",
        "norm": "linf",
        "hardware": "none",
        "data_dir": os.environ.get("BENCH_DATA_DIR", "data"),
        "samples": 1,
    }


@dataclass(frozen=True)
class Victim:
    """A deployment and the images that it is attacked on.

    Attributes
    ----------
    subject : data set and model; defense : its name, without parameters
    x : float32, (N, C, H, W); y : int64, (N,)
    digests : of the clean images, which name what an attack draws for them
    fit : key of what its defense has learned
    """

    subject: str
    defense: str
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
    for subject in DEFENSES:
        ended = api.execute(api.specification(**_flags(subject)), store=root, watcher=watcher())
        failed = [record["reason"] for record in ended.records if record["status"] == "failed"]
        assert not failed, failed


def victims(root: Path, count: int) -> Iterator[Victim]:
    """Yield the deployments of a store that was prepared, each with the first test images."""
    store = Store(root)
    for subject in DEFENSES:
        plan = api.plan(store=root, **_flags(subject))
        labels = next(cell.labels for cell in plan.cells if cell.labels)
        for task in plan.tasks.values():
            if task.kind == "inspect":
                x, digests = images_of(store, task.spec["images"], 0, count)
                described = task.spec["deployment"]
                yield Victim(
                    subject=subject,
                    defense=task.label.removeprefix("inspect ").partition("[")[0],
                    deployment=deployment_of(store, described),
                    x=x,
                    y=labels_of(store, labels, 0, count),
                    digests=digests,
                    fit=described["fit"],
                )
