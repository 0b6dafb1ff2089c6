"""How each network is trained, as data: a recipe for a (model, data set) pair, a general one where none is listed."""

from __future__ import annotations

from dataclasses import replace

from bench.training.recipe import Recipe

# CleverHans' MNIST tutorial: Adam 1e-3, batch 128, 6 epochs, label smoothing .1, no augmentation.
TUTORIAL = Recipe()
_RESIDUAL = Recipe(
    optimiser="sgd",
    rate=0.2,
    epochs=28,
    weight_decay=5e-4,
    smoothing=0.0,
    one_cycle=True,
    flip=True,
    shift=4,
    small_epochs=10,
    small_side=24,
    average=0.998,
)  # ours: one cycle, the first epochs at 24x24
_RECIPES: dict[tuple[str, str], Recipe] = {
    ("cleverhans-cnn", "mnist"): TUTORIAL,
    ("cleverhans-cnn", "digits"): replace(TUTORIAL, epochs=30, batch=64, one_cycle=True, shift=2),
    ("cleverhans-cnn", "cifar10"): replace(TUTORIAL, epochs=30, flip=True, shift=4),
    ("lenet5", "mnist"): replace(TUTORIAL, epochs=12, smoothing=0.0, one_cycle=True, rate=3e-3),
    ("lenet5", "digits"): replace(TUTORIAL, epochs=40, smoothing=0.0, one_cycle=True, rate=3e-3, batch=64, shift=2),
    ("resnet20", "cifar10"): _RESIDUAL,
}
_MIRRORED = frozenset({"cifar10", "fashion-mnist"})
_GENERAL: dict[str, Recipe] = {
    "cleverhans-cnn": TUTORIAL,
    "lenet5": replace(TUTORIAL, epochs=12, smoothing=0.0, one_cycle=True, rate=3e-3),
    "resnet20": _RESIDUAL,
    "vgg-thin": replace(TUTORIAL, epochs=20, smoothing=0.0, one_cycle=True, rate=3e-3, shift=2),
    "mobilenet-v2": replace(_RESIDUAL, rate=0.1, small_epochs=0, average=0.0),
}


def recipe_for(model: str, dataset: str) -> Recipe:
    """Return the recipe of a pair; the network's general one where the pair has none of its own.

    A general recipe mirrors images only of data sets whose classes look the same in a mirror: digits and signs do not.
    """
    own = _RECIPES.get((model, dataset))
    if own is not None:
        return own
    general = _GENERAL.get(model, TUTORIAL)
    return replace(general, flip=general.flip and dataset in _MIRRORED)
