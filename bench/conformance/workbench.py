"""The small world in which plugins are checked: scikit-learn's digits, and a classifier trained on them in a second."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.data import PoolName
from bench.deployment import Draws, Pool, Signal
from bench.training import Recipe, train

Shape = tuple[int, int, int]

DIGITS: Shape = (1, 32, 32)
OTHER_SHAPES: tuple[Shape, ...] = ((1, 28, 28), (3, 32, 32))
CLASSES = 10
RECIPE = Recipe(epochs=2, batch=32, rate=3e-3, smoothing=0.0)
_SIZES: dict[PoolName, int] = {"train": 512, "development": 64, "calibration": 64}


class TinyNetwork(nn.Module):
    """Two strided convolutions and a linear layer: quick, and better than chance after an epoch."""

    def __init__(self, shape: Shape, classes: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(shape[0], 8, 5, 2, 2), nn.ReLU(), nn.Conv2d(8, 16, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(4)
        )
        self.classifier = nn.Linear(256, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits, (B, K), of x in [0, 1]."""
        logits: Tensor = self.classifier(self.features(x).flatten(1))
        return logits


def new_network(shape: Shape = DIGITS) -> nn.Module:
    """Return the untrained network, the same at each call; torch's generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return TinyNetwork(shape, CLASSES).eval()


@cache
def _trained_state(shape: Shape) -> dict[str, Tensor]:
    pool = pools(shape)["train"]
    network = train(new_network(shape), pool.x, pool.y, RECIPE, seed=0)
    return {name: value.clone() for name, value in network.state_dict().items()}


def trained_network(shape: Shape = DIGITS) -> nn.Module:
    """Return the network trained on the small pool; each call gives its own copy."""
    network = new_network(shape)
    network.load_state_dict(_trained_state(shape))
    return network.eval()


@cache
def _digits(shape: Shape) -> Pool:
    from sklearn.datasets import load_digits  # 1 s, and only where something is checked

    bunch = load_digits()
    small = torch.from_numpy(bunch.images.astype(np.float32))[:, None] / 16.0
    large = F.interpolate(small, size=shape[1:], mode="bilinear", align_corners=False)
    tinted = torch.cat([large * share for share in (1.0, 0.8, 0.6)][: shape[0]], 1)
    return Pool((tinted * 255.0).round().to(torch.uint8), torch.from_numpy(bunch.target.astype(np.int64)))


def pools(shape: Shape = DIGITS) -> dict[PoolName, Pool]:
    """Return the three pools, disjoint, uint8; each call gives copies."""
    everything, start = _digits(shape), 0
    parts: dict[PoolName, Pool] = {}
    for name, size in _SIZES.items():
        parts[name] = Pool(everything.x[start : start + size].clone(), everything.y[start : start + size].clone())
        start += size
    return parts


def held_out(count: int = 8, shape: Shape = DIGITS) -> tuple[Tensor, Tensor]:
    """Return images that are in no pool, float32, (B, C, H, W), in [0, 1], on the 8-bit grid, and their labels."""
    everything, start = _digits(shape), sum(_SIZES.values())
    return everything.x[start : start + count].float() / 255.0, everything.y[start : start + count]


def signal(x: Tensor, draw: int = 0) -> Signal:
    """Return the signal of a batch whose streams are named by the rows."""
    return Signal(x, Draws.of("probe", 0, [f"row {row}".encode() for row in range(len(x))], draw))
