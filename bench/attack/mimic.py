"""Surrogates that an attacker learns by watching a deployment, whatever its author declares."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.attack.ways import around, imitated, transforming
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


class Reshaper(nn.Module):
    """A small network from map to map of another height, width and number of channels.

    The map and what two 3x3 convolutions make of it are resampled to whole multiples of the output's sides, on a grid
    whose place is learned, so that a crop can be told from a reduction; a convolution of that stride gives the output.

    Parameters
    ----------
    channels : of the input
    shape : of the output, (C', H', W')
    strides : by how much the output is smaller, vertically and horizontally, at least 1
    """

    def __init__(self, channels: int, shape: Sequence[int], strides: Sequence[int]) -> None:
        super().__init__()
        self.shape: Tensor
        self.strides: Tensor
        self.place: Tensor
        self.register_buffer("shape", torch.tensor(tuple(shape)))
        self.register_buffer("strides", torch.tensor(tuple(strides)))
        self.place = nn.Parameter(torch.eye(2, 3))
        self.change = nn.Sequential(
            nn.Conv2d(channels, _WIDTH, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(_WIDTH, _WIDTH, 3, padding=1),
            nn.ReLU(),
        )
        kernel = (int(strides[0]), int(strides[1]))
        self.gather = nn.Conv2d(channels + _WIDTH, int(shape[0]), kernel, stride=kernel)
        # It sets out as the resampled map itself, or its grey: the simplest guess, without a random one's noise.
        start = torch.eye(channels) if shape[0] == channels else torch.full((int(shape[0]), channels), 1.0 / channels)
        with torch.no_grad():
            self.gather.weight.zero_()[:, :channels] = start[:, :, None, None] / (kernel[0] * kernel[1])
            self.gather.bias.zero_()  # type: ignore[union-attr]

    @classmethod
    def between(cls, given: Sequence[int], shape: Sequence[int]) -> Reshaper:
        """Return one for maps of two shapes, (C, H, W) and (C', H', W')."""
        return cls(given[0], shape, [max(1, round(a / b)) for a, b in zip(given[1:], shape[1:], strict=True)])

    def forward(self, x: Tensor) -> Tensor:
        both = torch.cat([x, self.change(x)], 1)
        rows, columns = (self.shape[1:] * self.strides).tolist()
        grid = functional.affine_grid(self.place.expand(len(x), 2, 3), [len(x), 1, rows, columns], align_corners=False)
        placed = functional.grid_sample(both, grid, padding_mode="border", align_corners=False)
        reshaped: Tensor = self.gather(placed)
        return reshaped


def learn(
    deployment: Deployment, x: Tensor, *, epsilon: float, seed: int
) -> tuple[dict[str, Mimic | Reshaper], dict[str, float]]:
    """Return a network for each node that hands a changed image on, or reshapes it, and how well it foretells changes.

    Parameters
    ----------
    x : uint8, (N, C, H, W), images that the attacker has: none of those that are attacked
    epsilon : Linf radius of the noise that is added, so that what an attack will see has been seen

    Returns
    -------
    networks : node -> trained on (x + noise, what the node gives for it), mean squared error, a node that reshapes on
        what it was given for x + noise (``imitated``); of a deployment that draws, each on one draw, so that it learns
        the mean
    fidelity : node -> cosine between the true and the foretold change under a small random change of the image, mean
        over images that were held out, in [-1, 1]
    """
    given = _signal(around(x[:_BATCH].float() / 255.0, epsilon), seed, 0)
    passages, _ = trace(deployment, given)
    shapes = {p.node.name: (imitated(p, given.x).shape[1:], p.output.x.shape[1:]) for p in passages}
    mimics: dict[str, Mimic | Reshaper] = {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for node in transforming(passages, given):
            shown, shape = shapes[node]
            mimics[node] = Mimic(x.shape[1]) if shape == x.shape[1:] else Reshaper.between(shown, shape)
    if not mimics:
        return {}, {}
    parameters = [p for mimic in mimics.values() for p in mimic.parameters()]
    optimiser = torch.optim.Adam(parameters, lr=_RATE)
    held_out = x[: max(_BATCH, len(x) // _HELD_OUT)]
    taught = x[len(held_out) :] if len(x) > 2 * len(held_out) else x
    for step, noisy in enumerate(_noisy(taught, epsilon, seed)):
        seen = _seen(deployment, _signal(noisy, seed, step + 1), mimics)
        losses = [functional.mse_loss(mimic(seen[node][0]), seen[node][1]) for node, mimic in mimics.items()]
        optimiser.zero_grad(set_to_none=True)
        torch.stack(losses).sum().backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    for mimic in mimics.values():
        mimic.eval().requires_grad_(False)
    return mimics, _fidelity(deployment, mimics, held_out[:_BATCH].float() / 255.0, epsilon, seed)


def load(tensors: Mapping[str, Tensor]) -> dict[str, Mimic | Reshaper]:
    """Return the networks whose parameters are named "node/parameter"."""
    mimics: dict[str, Mimic | Reshaper] = {}
    for node in dict.fromkeys(name.rpartition("/")[0] for name in tensors if "/" in name):
        state = {name.removeprefix(f"{node}/"): t for name, t in tensors.items() if name.startswith(f"{node}/")}
        channels = state["change.0.weight"].shape[1]
        reshapes = "shape" in state
        mimics[node] = (
            Reshaper(channels, state["shape"].tolist(), state["strides"].tolist()) if reshapes else Mimic(channels)
        )
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
    deployment: Deployment, mimics: Mapping[str, nn.Module], x: Tensor, epsilon: float, seed: int
) -> dict[str, float]:
    rng = np.random.Generator(np.random.Philox(key=[seed, 2]))
    moved = (x + torch.from_numpy(rng.choice([-epsilon, epsilon], size=x.shape).astype(np.float32))).clamp(0.0, 1.0)
    before, after = (_seen(deployment, _signal(images, seed, 0), mimics) for images in (x, moved))
    found = {}
    for node, mimic in mimics.items():
        true = (after[node][1] - before[node][1]).flatten(1)
        foretold = (mimic(after[node][0]) - mimic(before[node][0])).flatten(1)
        found[node] = float(functional.cosine_similarity(true, foretold, dim=1).mean())
    return found


def _seen(deployment: Deployment, signal: Signal, nodes: Container[str]) -> dict[str, tuple[Tensor, Tensor]]:
    """Return for each of the nodes what its network is shown, and what it gives."""
    passages, _ = trace(deployment, signal)
    return {p.node.name: (imitated(p, signal.x), p.output.x) for p in passages if p.node.name in nodes}


def _signal(x: Tensor, seed: int, draw: int) -> Signal:
    return Signal(x, Draws.of("craft", seed, [f"mimic/{draw}/{row}".encode() for row in range(len(x))]))
