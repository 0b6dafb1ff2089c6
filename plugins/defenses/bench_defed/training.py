"""Training of one denoiser on benign images in front of a classifier that does not change (specification section 3)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.deployment import Pool
from bench.training import Recipe, train

# Adam 1e-3 is the authors' code; it names no number of epochs and no batch, its example is 10 of 256.
RECIPE = Recipe(optimiser="adam", rate=1e-3, epochs=10, batch=256, smoothing=0.0)
Progress = Callable[[float, str], None]


def train_denoiser(
    denoiser: nn.Module,
    classifier: nn.Module,
    pool: Pool,
    recipe: Recipe,
    *,
    sigma: float,
    alpha: float,
    seed: int,
    checkpoint: Path | None = None,
    progress: Progress = lambda share, text: None,
) -> nn.Module:
    """Train ``denoiser`` in place and return it in evaluation mode; the last epoch is kept, nothing is selected.

    Parameters
    ----------
    classifier : neither its weights nor its running statistics change
    sigma : of the noise that the denoiser is to remove, in grey levels of 255
    alpha : weight of the cross-entropy beside the mean squared error
    seed : of order and noise, which depend on (seed, sigma, epoch) only

    Notes
    -----
    The clamp of what is restored has no gradient outside [0, 1]; the authors train with it, and so is done here.
    """
    classifier = classifier.eval().requires_grad_(False)

    def loss(network: nn.Module, clean: Tensor, y: Tensor, rng: np.random.Generator) -> Tensor:
        restored = torch.clamp(network(_noisy(clean, sigma, rng)), 0.0, 1.0)
        error = functional.mse_loss(restored, clean)
        return error + alpha * functional.cross_entropy(classifier(restored), y) if alpha else error

    return train(
        denoiser,
        pool.x,
        pool.y,
        recipe,
        seed=int(np.random.SeedSequence([seed, round(sigma * 1000)]).generate_state(1)[0]),
        loss=loss,
        checkpoint=checkpoint,
        progress=lambda share, text: progress(share, f"denoiser of sigma {sigma:g}: {text}"),
    )


def _noisy(clean: Tensor, sigma: float, rng: np.random.Generator) -> Tensor:
    """Return x + noise, clamped to [0, 1]; sigma 0 adds none."""
    if not sigma:
        return clean
    noise = torch.from_numpy(rng.standard_normal(clean.shape, dtype=np.float32)).to(clean.device)
    return torch.clamp(clean + sigma / 255.0 * noise, 0.0, 1.0)
