"""Training of a classifier behind a quantiser, and of the quantiser's thresholds with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn

from bench.deployment import FitContext, Pool
from bench.training import Recipe, accuracy, train
from bench_qusecnets.quantiser import codes, soft_values, values

Progress = Callable[[float, str], None]
THRESHOLD_RATE = 1e-3  # Adam's, constant: the authors' optimiser and rate
FREEZE_RATE = 1e-4  # ours
PRETRAINED_SHARE = 0.1  # of the recipe's rate, where training starts from the trained classifier; ours
# The last epochs on hard codes see the images in an order of their own.
_FREEZE_SEED = 2**32


class Behind(nn.Module):
    """A classifier that sees images through ``quantise``, whose parameters, if any, are its own."""

    def __init__(self, quantise: Callable[[Tensor], Tensor], classifier: nn.Module) -> None:
        super().__init__()
        self.quantise = quantise
        self.classifier = classifier

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.quantise(x))
        return logits


class TrainableThresholds(nn.Module):
    """The soft quantiser with its thresholds as parameters; their order is free while they train."""

    def __init__(self, thresholds: Tensor, levels: int, hardness: float) -> None:
        super().__init__()
        self.thresholds = nn.Parameter(thresholds.clone())
        self.levels, self.hardness = levels, hardness

    def forward(self, x: Tensor) -> Tensor:
        return soft_values(x, self.thresholds, self.hardness, self.levels)


class ThresholdSteps:
    """What happens around each step of the classifier's training: hardness grows, thresholds move.

    Parameters
    ----------
    h0, h1 : hardness at the first step and at the end; geometric between
    bounded : thresholds are clamped to [0, 1] after each step
    alternate_epochs : epochs, of which even ones train the weights, odd ones the thresholds; 0 for both at once

    Notes
    -----
    Thresholds have an Adam of their own, since a classifier's recipe may ask for SGD at a rate made for weights.
    Where the recipe is Adam at 1e-3 this equals one optimiser over all, as in the authors' code.
    """

    def __init__(
        self,
        layer: TrainableThresholds,
        classifier: nn.Module,
        *,
        h0: float,
        h1: float,
        bounded: bool,
        alternate_epochs: int = 0,
    ) -> None:
        self.layer, self.classifier = layer, classifier
        self.h0, self.h1, self.bounded, self.alternate_epochs = h0, h1, bounded, alternate_epochs
        self.optimiser = torch.optim.Adam([layer.thresholds], lr=THRESHOLD_RATE)

    def before_step(self, share: float) -> None:
        """Set the hardness for ``share`` of all steps done, and who trains."""
        self.layer.hardness = self.h0 * (self.h1 / self.h0) ** share
        if self.alternate_epochs:
            # The small number keeps the first step of an epoch from being rounded into the one before.
            turn_of_thresholds = int(share * self.alternate_epochs + 1e-9) % 2 == 1
            self.classifier.requires_grad_(not turn_of_thresholds)
            self.layer.requires_grad_(turn_of_thresholds)

    def after_step(self) -> None:
        """Move the thresholds by the gradient of this step."""
        self.optimiser.step()
        if self.bounded:
            with torch.no_grad():
                self.layer.thresholds.clamp_(0.0, 1.0)

    def finish(self) -> None:
        """Leave everything trainable, and the layer as hard as it ends."""
        self.layer.hardness = self.h1
        self.classifier.requires_grad_(True)
        self.layer.requires_grad_(True)


def adapted_recipe(recipe: Recipe, *, epochs: int, pretrained: bool) -> Recipe:
    """Return the classifier's recipe for another number of epochs (0: its own) and for a trained start (ours)."""
    wanted = epochs or recipe.epochs
    if pretrained:
        return replace(recipe, epochs=wanted, rate=recipe.rate * PRETRAINED_SHARE, small_epochs=0)
    return replace(recipe, epochs=wanted, small_epochs=recipe.small_epochs * wanted // recipe.epochs)


def train_thresholds(
    layer: TrainableThresholds,
    classifier: nn.Module,
    steps: ThresholdSteps,
    context: FitContext,
    recipe: Recipe,
    progress: Progress,
) -> None:
    """Train thresholds and classifier in place."""
    pool = context.pools["train"]
    train(
        Behind(layer, classifier),
        pool.x,
        pool.y,
        recipe,
        seed=context.seed,
        rates={"quantise.thresholds": 0.0},  # moved by steps' own optimiser
        before_step=steps.before_step,
        after_step=steps.after_step,
        progress=progress,
    )
    steps.finish()


def train_on_codes(
    classifier: nn.Module,
    quantise: Callable[[Tensor], Tensor],
    context: FitContext,
    recipe: Recipe,
    epochs: int,
    progress: Progress,
) -> None:
    """Train the weights alone behind the hard quantiser, at a constant low rate: closes the gap from soft to hard."""
    pool = context.pools["train"]
    final = replace(
        recipe,
        optimiser="adam",
        rate=FREEZE_RATE,
        epochs=epochs,
        weight_decay=0.0,
        one_cycle=False,
        small_epochs=0,
        average=0.0,
    )
    seed = context.seed + _FREEZE_SEED
    train(Behind(quantise, classifier), pool.x, pool.y, final, seed=seed, progress=progress)


def hard(thresholds: Tensor, levels: int) -> Callable[[Tensor], Tensor]:
    """Return x -> code/(levels - 1)."""
    return lambda x: values(codes(x, thresholds), levels)


def accuracy_behind(quantise: Callable[[Tensor], Tensor], classifier: nn.Module, pool: Pool) -> float:
    """Return the share of the pool's images that are classified correctly behind ``quantise``."""
    return accuracy(Behind(quantise, classifier), pool.x, pool.y, batch=256)
