"""Adversarial training: the classifier learns from the attacks that it is to withstand."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.deployment import Capture, Classify, Deployment, FitContext, FitResult
from bench.training import train

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
# epsilon at 8/255.
GREY = Inner(0.3, 40, 1 / 30)
COLOUR = Inner(8 / 255, 1, 1.25)


class AdversarialTraining:
    """A classifier of the same architecture, trained from scratch on adversarial images.

    Parameters
    ----------
    epsilon, steps, step : of the attack inside the training, see ``Inner``; 0 for 40 steps of .01 at .3 on one channel
        (Madry et al. 2018) and one of 10/255 at 8/255 on three (Wong et al. 2020)
    epochs : 0 for 10 with several steps, 30 with one (ours)
    """

    def __init__(self, *, epsilon: float = 0.0, steps: int = 0, step: float = 0.0, epochs: int = 0) -> None:
        self.epsilon, self.steps, self.step, self.epochs = epsilon, steps, step, epochs

    def fit(self, context: FitContext) -> FitResult:
        """Return the trained classifier."""
        usual = COLOUR if context.shape[0] == 3 else GREY
        inner = Inner(self.epsilon or usual.epsilon, self.steps or usual.steps, self.step or usual.step)
        recipe = replace(
            context.recipe,
            epochs=self.epochs or (10 if inner.steps > 1 else 30),
            one_cycle=True,
            smoothing=0.0,
            small_epochs=0,
        )
        radius = inner.epsilon

        def grow(share: float) -> None:
            nonlocal radius
            radius = inner.epsilon * (min(1.0, share / _RAMP) if inner.steps > 1 else 1.0)

        def loss(network: nn.Module, x: Tensor, y: Tensor, rng: np.random.Generator) -> Tensor:
            attacked = perturbed(network, x, y, replace(inner, epsilon=radius), rng)
            return functional.cross_entropy(network(attacked), y)

        pool = context.pools["train"]
        trained = train(
            context.new_network(),
            pool.x,
            pool.y,
            recipe,
            seed=context.seed,
            loss=loss,
            before_step=grow,
            checkpoint=context.checkpoint("training"),
            progress=context.progress,
        )
        return FitResult(public=dict(trained.state_dict()), notes={"inner_steps": inner.steps, "epochs": recipe.epochs})

    def deploy(self, network: nn.Module, result: FitResult, shape: tuple[int, int, int]) -> Deployment:
        network.load_state_dict(dict(result.public))
        return Deployment.chain(Capture(), Classify(network))


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
