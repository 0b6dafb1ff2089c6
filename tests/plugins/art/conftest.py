"""Small networks behind surfaces."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from bench.attack import Batch, Surface
from bench.attack.surrogate import as_it_is
from bench.deployment import Classify, Deployment, Draws
from bench.plugins.entries import Access

Shape = tuple[int, int, int]
EPSILONS = {"linf": 0.1, "l2": 1.0, "l1": 10.0, "l0": 60.0}


class Tiny(nn.Module):
    """conv5x5/2(8)-ReLU-conv3x3/2(16)-ReLU-linear(10), random weights: the victim of the survey."""

    def __init__(self, shape: Shape, classes: int = 10) -> None:
        super().__init__()
        torch.manual_seed(7)
        features = nn.Sequential(
            nn.Conv2d(shape[0], 8, 5, 2), nn.ReLU(), nn.Conv2d(8, 16, 3, 2), nn.ReLU(), nn.Flatten()
        )
        self.network = nn.Sequential(features, nn.Linear(features(torch.zeros(1, *shape)).shape[1], classes))

    def forward(self, x: Tensor) -> Tensor:
        return 8.0 * self.network(x)


MakeSurface = Callable[..., Surface]
BatchOn = Callable[[nn.Module, Tensor], Batch]


@pytest.fixture
def surface_of() -> MakeSurface:
    """Gives a white-box surface on a network, without a border in between."""

    def make(network: nn.Module, shape: Shape, access: Access = "gradient", classes: int = 10) -> Surface:
        return Surface(
            Deployment.chain(Classify(network)).requires_grad_(False),
            knowledge="white-box",
            access=access,
            shape=shape,
            classes=classes,
            backward=as_it_is,
            block=b"test",
        )

    return make


def draws_for(x: Tensor) -> Draws:
    return Draws.of("craft", 0, [image.numpy().tobytes() for image in x])


@pytest.fixture
def batch_on() -> BatchOn:
    """Gives a batch whose labels are what the network answers."""

    def make(network: nn.Module, x: Tensor) -> Batch:
        with torch.no_grad():
            return Batch(x, network(x).argmax(1), draws_for(x), 11)

    return make


def images(shape: Shape, count: int = 4, seed: int = 3) -> Tensor:
    """Smooth random images on the grid of a camera."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, shape[0], 7, 7, generator=generator)
    smooth = nn.functional.interpolate(coarse, size=shape[1:], mode="bilinear")
    return torch.round(smooth.clamp(0, 1) * 255) / 255
