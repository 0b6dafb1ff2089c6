"""Surrogates that an attacker learns by watching a deployment, whatever its author declares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.attack.ways import transforming
from bench.deployment import Deployment, Draws, Signal
from bench.deployment.passage import trace

_WIDTH = 32
_BATCH = 64
_EPOCHS = 8
_RATE = 5e-3
_HELD_OUT = 8  # one batch in so many is kept to look at


class Mimic(nn.Module):
    """A small residual network from image to image: x + f(x), f of three 3x3 convolutions."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.change = nn.Sequential(
            nn.Conv2d(channels, _WIDTH, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(_WIDTH, _WIDTH, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(_WIDTH, channels, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        image: Tensor = x + self.change(x)
        return image


def learn(deployment: Deployment, x: Tensor, *, epsilon: float, seed: int) -> tuple[dict[str, Mimic], dict[str, float]]:
    """Return a network for each node that hands a changed image on, and how well it foretells changes.

    Parameters
    ----------
    x : uint8, (N, C, H, W), images that the attacker has: none of those that are attacked
    epsilon : Linf radius of the noise that is added, so that what an attack will see has been seen

    Returns
    -------
    networks : node -> trained on (x + noise, what the node gives for it), mean squared error; of a deployment that
        draws, each on one draw, so that it learns the mean
    fidelity : node -> cosine between the true and the foretold change under a small random change of the image, mean
        over images that were held out, in [-1, 1]
    """
    first = x[:_BATCH].float() / 255.0
    given = _signal(first, seed, 0)
    nodes = transforming(trace(deployment, given)[0], given)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        mimics = {node: Mimic(x.shape[1]) for node in nodes}
    if not mimics:
        return {}, {}
    parameters = [p for mimic in mimics.values() for p in mimic.parameters()]
    optimiser = torch.optim.Adam(parameters, lr=_RATE)
    held_out = x[: max(_BATCH, len(x) // _HELD_OUT)]
    taught = x[len(held_out) :] if len(x) > 2 * len(held_out) else x
    for step, noisy in enumerate(_noisy(taught, epsilon, seed)):
        true = _images(deployment, _signal(noisy, seed, step + 1))
        losses = [functional.mse_loss(mimic(noisy), true[node]) for node, mimic in mimics.items()]
        optimiser.zero_grad(set_to_none=True)
        torch.stack(losses).sum().backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    for mimic in mimics.values():
        mimic.eval().requires_grad_(False)
    return mimics, _fidelity(deployment, mimics, held_out[:_BATCH].float() / 255.0, epsilon, seed)


def load(tensors: Mapping[str, Tensor]) -> dict[str, Mimic]:
    """Return the networks whose parameters are named "node/parameter"."""
    mimics: dict[str, Mimic] = {}
    for node in dict.fromkeys(name.rpartition("/")[0] for name in tensors if "/" in name):
        state = {name.removeprefix(f"{node}/"): t for name, t in tensors.items() if name.startswith(f"{node}/")}
        mimics[node] = Mimic(state["change.0.weight"].shape[1])
        mimics[node].load_state_dict(state)
        mimics[node].eval().requires_grad_(False)
    return mimics


def _noisy(x: Tensor, epsilon: float, seed: int) -> Iterator[Tensor]:
    """Yield batches, the images in another order and under other noise in each epoch."""
    rng = np.random.Generator(np.random.Philox(key=[seed, 1]))
    batch = min(_BATCH, len(x))
    for _ in range(_EPOCHS):
        order = torch.from_numpy(rng.permutation(len(x)))
        for start in range(0, len(x) - batch + 1, batch):
            clean = x[order[start : start + batch]].float() / 255.0
            noise = torch.from_numpy(rng.uniform(-epsilon, epsilon, size=clean.shape).astype(np.float32))
            yield (clean + noise).clamp(0.0, 1.0)


@torch.no_grad()
def _fidelity(
    deployment: Deployment, mimics: Mapping[str, Mimic], x: Tensor, epsilon: float, seed: int
) -> dict[str, float]:
    rng = np.random.Generator(np.random.Philox(key=[seed, 2]))
    moved = (x + torch.from_numpy(rng.choice([-epsilon, epsilon], size=x.shape).astype(np.float32))).clamp(0.0, 1.0)
    before, after = _images(deployment, _signal(x, seed, 0)), _images(deployment, _signal(moved, seed, 0))
    found = {}
    for node, mimic in mimics.items():
        true, foretold = (after[node] - before[node]).flatten(1), (mimic(moved) - mimic(x)).flatten(1)
        found[node] = float(functional.cosine_similarity(true, foretold, dim=1).mean())
    return found


def _images(deployment: Deployment, signal: Signal) -> dict[str, Tensor]:
    return {passage.node.name: passage.output.x for passage in trace(deployment, signal)[0]}


def _signal(x: Tensor, seed: int, draw: int) -> Signal:
    return Signal(x, Draws.of("craft", seed, [f"mimic/{draw}/{row}".encode() for row in range(len(x))]))
