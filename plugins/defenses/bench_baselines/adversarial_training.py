"""Adversarial training: the classifier learns from the attacks that it is to withstand."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.deployment import Capture, Classify, Deployment, FitContext, FitResult
from bench.training import Recipe, train

_RAMP = 0.3  # share of the training over which several steps' epsilon grows from 0; ours: small networks start with it


@dataclass(frozen=True)
class Inner:
    """The attack that training images go through: projected sign steps from a random start in the Linf ball.

    Attributes
    ----------
    epsilon : radius, in [0, 1]
    steps : 1 is FGSM with a random start
    step : of one step, as a share of epsilon
    """

    epsilon: float
    steps: int
    step: float


# Madry et al. 2018, section 4: MNIST, 40 steps of .01 at .3. Wong, Rice, Kolter 2020, section 4: one step of 1.25
# epsilon, at 8/255. Of steps and their size; the radius is the data set's.
GREY = (40, 1 / 30)
COLOUR = (1, 1.25)
_LEAST_STEPS = 1000  # of the optimiser, where the attack has several: small data sets need more epochs; ours


class AdversarialTraining:
    """A classifier of the same architecture, trained from scratch on adversarial images.

    Parameters
    ----------
    epsilon : radius of the attack inside the training; 0 for the data set's headline
    steps, step : of that attack, see ``Inner``; 0 for 40 steps of 1/30 epsilon on one channel (Madry et al. 2018) and
        one of 1.25 epsilon on three (Wong et al. 2020). Another number of steps goes as far together (ours)
    epochs : 0 for 30 with one step; with several 10, or as many as make 1,000 steps of the optimiser (ours)
    """

    def __init__(self, *, epsilon: float = 0.0, steps: int = 0, step: float = 0.0, epochs: int = 0) -> None:
        self.epsilon, self.steps, self.step, self.epochs = epsilon, steps, step, epochs

    def inner(self, channels: int, radius: float) -> Inner:
        """Return the attack inside the training on images of so many channels, at a data set's radius."""
        steps, step = COLOUR if channels == 3 else GREY
        taken = self.steps or steps
        return Inner(self.epsilon or radius, taken, self.step or steps * step / taken)

    def fit(self, context: FitContext) -> FitResult:
        """Return the trained classifier."""
        inner = self.inner(context.shape[0], context.radius)
        rounds = max(1, len(context.pools["train"].x) // context.recipe.batch)
        recipe = replace(
            context.recipe,
            epochs=self.epochs or (max(10, ceil(_LEAST_STEPS / rounds)) if inner.steps > 1 else 30),
            one_cycle=True,
            smoothing=0.0,
            small_epochs=0,
        )
        trained = trained_on_attacks(context.new_network(), inner, recipe, context)
        return FitResult(
            public=dict(trained.state_dict()),
            notes={"radius": inner.epsilon, "inner_steps": inner.steps, "epochs": recipe.epochs},
        )

    def deploy(self, network: nn.Module, result: FitResult, shape: tuple[int, int, int]) -> Deployment:
        network.load_state_dict(dict(result.public))
        return Deployment.chain(Capture(), Classify(network))


def trained_on_attacks(network: nn.Module, inner: Inner, recipe: Recipe, context: FitContext) -> nn.Module:
    """Return the network, trained on the attacked images of the train pool; an interrupted training goes on.

    The radius of an attack of several steps grows from 0 over the first part of the training.
    """
    radius = inner.epsilon

    def grow(share: float) -> None:
        nonlocal radius
        radius = inner.epsilon * (min(1.0, share / _RAMP) if inner.steps > 1 else 1.0)

    def loss(network: nn.Module, x: Tensor, y: Tensor, rng: np.random.Generator) -> Tensor:
        attacked = perturbed(network, x, y, replace(inner, epsilon=radius), rng)
        return functional.cross_entropy(network(attacked), y)

    pool = context.pools["train"]
    return train(
        network,
        pool.x,
        pool.y,
        recipe,
        seed=context.seed,
        loss=loss,
        before_step=grow,
        checkpoint=context.checkpoint("training"),
        progress=context.progress,
    )


def perturbed(network: nn.Module, x: Tensor, y: Tensor, inner: Inner, rng: np.random.Generator) -> Tensor:
    """Return images in the ball around ``x`` and in the box on which the network errs more, (B, C, H, W).

    Parameters
    ----------
    network : as it is, in training mode: batch statistics are those of the attacked batch (Wong et al.'s code)
    """
    start = rng.uniform(-1.0, 1.0, size=x.shape).astype(np.float32)
    moved = torch.clamp(x + inner.epsilon * torch.from_numpy(start).to(x.device), 0.0, 1.0)
    for _ in range(inner.steps):
        moved.requires_grad_(True)
        (gradient,) = torch.autograd.grad(functional.cross_entropy(network(moved), y), moved)
        moved = moved.detach() + inner.step * inner.epsilon * gradient.sign()
        moved = torch.clamp(torch.minimum(torch.maximum(moved, x - inner.epsilon), x + inner.epsilon), 0.0, 1.0)
    return moved
