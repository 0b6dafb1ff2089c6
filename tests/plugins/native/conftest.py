"""Small networks behind surfaces."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bench.attack import Attack, Batch, Surface
from bench.attack.path import Path
from bench.attack.rounding import rounding
from bench.attack.surrogate import as_it_is
from bench.conformance import workbench
from bench.deployment import Classify, Deployment, Draws, Stage
from bench.plugins.entries import Access
from bench.plugins.entries import Attack as Entry
from bench_native.losses import margin
from bench_native.plugin import bench_attacks

Shape = tuple[int, int, int]
ENTRIES = {entry.name: entry for entry in bench_attacks()}
EPSILONS = {"linf": 0.06, "l2": 0.8, "l1": 6.0}


class Linear(nn.Module):
    """z = w.x + b; logits (-z/2, z/2): the distance to the boundary is |z| over the dual norm of w."""

    def __init__(self) -> None:
        super().__init__()
        self.w = torch.randn(784, generator=torch.Generator().manual_seed(5))
        self.b = -0.5 * self.w.sum()

    def z(self, x: Tensor) -> Tensor:
        return x.flatten(1) @ self.w + self.b

    def forward(self, x: Tensor) -> Tensor:
        z = self.z(x)
        return torch.stack([-z / 2, z / 2], 1)


class Noisy(Stage):
    """A little noise, drawn anew at each call."""

    placement = "server"
    randomised = True

    def forward(self, signal: Any) -> Any:
        noise = torch.from_numpy(signal.draws.normal("noise", *signal.x.shape[1:])).float()
        return signal.replace(signal.x + 0.05 * noise)


def make(name: str, **parameters: object) -> Attack:
    """Return an attack with its entry's defaults but for what is given."""
    entry: Entry = ENTRIES[name]
    module, _, attribute = entry.factory.partition(":")
    given = {parameter.name: parameter.default for parameter in entry.parameters} | parameters
    made: Attack = getattr(import_module(module), attribute)(**given)
    return made


def surface_of(
    network: nn.Module, shape: Shape, access: Access = "gradient", *, classes: int = 10, expectation: int = 1,
    noisy: bool = False, settled: bool = False, path: Path | None = None,
) -> Surface:  # fmt: skip
    """Return an adaptive attacker's surface on a network, without a border in between."""
    stages = [Noisy(), Classify(network)] if noisy else [Classify(network)]
    return Surface(
        Deployment.chain(*stages).requires_grad_(False),
        knowledge="adaptive" if access == "gradient" else "black-box",
        access=access,
        shape=shape,
        classes=classes,
        backward=as_it_is if access == "gradient" else None,
        expectation=expectation,
        settled=settled,
        block=b"test",
        path=path,
    )


def wrong(answers: Tensor, y: Tensor) -> Tensor:
    """Return which answers, of no columns but logits, are wrong by more than rounding."""
    return margin(answers, y) > rounding(answers)


def batch_of(x: Tensor, y: Tensor) -> Batch:
    return Batch(x, y, Draws.of("craft", 0, [image.numpy().tobytes() for image in x]), 11)


@pytest.fixture(scope="session")
def digits() -> tuple[nn.Module, Tensor, Tensor]:
    """A network trained on digits and 100 images that it gets right."""
    network = workbench.trained_network().requires_grad_(False)
    x, y = workbench.held_out(150)
    right = network(x).argmax(1) == y
    return network, x[right][:100], y[right][:100]


@pytest.fixture
def linear() -> tuple[Linear, Tensor, Tensor]:
    """The model and 40 images within .05 of .5, none near the box's edge."""
    network = Linear()
    noise = 0.02 * (2 * torch.rand(40, 784, generator=torch.Generator().manual_seed(6)) - 1)
    along = network.w.sign() * torch.linspace(-0.02, 0.02, 40)[:, None]
    x = (0.5 + noise + along).reshape(-1, 1, 28, 28)
    return network, x, network(x).argmax(1)


Victim = tuple[nn.Module, Tensor, Tensor]
Make = Callable[..., Attack]
