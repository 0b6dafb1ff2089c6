"""Training of one denoiser on benign images in front of a classifier that does not change (specification section 3)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.errors import PluginFault

Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class Schedule:
    """How long and how a denoiser is trained; the authors' script names no values, its example 10 epochs of 256.

    Attributes
    ----------
    images : the first so many of the pool; 0 for all
    rate : Adam's
    alpha : weight of the cross-entropy beside the mean squared error
    """

    epochs: int = 10
    batch: int = 256
    rate: float = 1e-3
    alpha: float = 1.0
    images: int = 0


def train_denoiser(
    denoiser: nn.Module,
    classifier: nn.Module,
    x: Tensor,
    y: Tensor,
    sigma: float,
    schedule: Schedule,
    *,
    seed: int,
    progress: Progress = lambda share, text: None,
) -> nn.Module:
    """Train ``denoiser`` in place and return it in evaluation mode; the last epoch is kept, nothing is selected.

    Parameters
    ----------
    classifier : in evaluation mode; neither its weights nor its running statistics change
    x : uint8, (N, C, H, W)
    y : int64, (N,), true labels
    sigma : of the noise that the denoiser is to remove, in grey levels of 255
    seed : of order and noise; an epoch depends on (seed, sigma, epoch) only

    Raises
    ------
    PluginFault : the loss is not finite any more
    """
    if schedule.images:
        x, y = x[: schedule.images], y[: schedule.images]
    classifier = classifier.eval().requires_grad_(False)
    optimiser = torch.optim.Adam(denoiser.parameters(), lr=schedule.rate)
    batch = min(schedule.batch, len(x))
    count = len(x) // batch
    for epoch in range(schedule.epochs):
        denoiser.train()
        rng = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, round(sigma * 1000), epoch])))
        order, total = torch.from_numpy(rng.permutation(len(x))), 0.0
        for chosen in order[: count * batch].reshape(count, batch):
            clean = x[chosen].float() / 255.0
            optimiser.zero_grad(set_to_none=True)
            loss = _loss(denoiser, classifier, clean, y[chosen], _noisy(clean, sigma, rng), schedule.alpha)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            total += float(loss.detach())
        if not math.isfinite(total):
            raise PluginFault(f"The denoiser of sigma {sigma:g} diverged in epoch {epoch + 1}: the loss is {total}.")
        progress(
            (epoch + 1) / schedule.epochs,
            f"denoiser of sigma {sigma:g}: epoch {epoch + 1} of {schedule.epochs}, loss {total / count:.4f}",
        )
    return denoiser.eval()


def _noisy(clean: Tensor, sigma: float, rng: np.random.Generator) -> Tensor:
    """Return x + noise, clamped to [0, 1]; sigma 0 adds none."""
    if not sigma:
        return clean
    noise = torch.from_numpy(rng.standard_normal(clean.shape, dtype=np.float32))
    return torch.clamp(clean + sigma / 255.0 * noise, 0.0, 1.0)


def _loss(denoiser: nn.Module, classifier: nn.Module, clean: Tensor, y: Tensor, noisy: Tensor, alpha: float) -> Tensor:
    restored = torch.clamp(denoiser(noisy), 0.0, 1.0)
    loss = functional.mse_loss(restored, clean)
    return loss + alpha * functional.cross_entropy(classifier(restored), y) if alpha else loss
