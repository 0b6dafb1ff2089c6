"""CQ and TQ on real digits: what holds under an adaptive attacker, and what only seems to hold."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.attack import Surface
from bench.attack.surrogate import Backward, straight_through, substitute
from bench.deployment import Deployment, FitContext, Node, Pool, Signal
from bench.deployment.deployment import run_node
from bench.training import Recipe
from bench_models.networks import CleverHansCNN
from bench_qusecnets.defense import ConstantQuantization, TrainableQuantization
from bench_qusecnets.quantiser import soft_values
from bench_qusecnets.stages import Quantise

pytestmark = pytest.mark.slow
SHAPE = (1, 28, 28)
EPSILON = 0.3
DEFENSES: dict[str, Callable[[], ConstantQuantization | TrainableQuantization]] = {
    "cq-2": lambda: ConstantQuantization(levels=2),
    "cq-4": lambda: ConstantQuantization(levels=4),
    "tq-4": lambda: TrainableQuantization(levels=4),
}


def _read(images: str, labels: str, count: int) -> Pool:
    root = Path(os.environ.get("BENCH_DATA_DIR", "")) / "MNIST" / "raw"
    if not os.environ.get("BENCH_DATA_DIR") or not (root / images).exists():
        pytest.skip(f"needs MNIST below BENCH_DATA_DIR ({root})")
    x = np.fromfile(root / images, np.uint8, count * 784, offset=16).reshape(count, *SHAPE)
    return Pool(torch.from_numpy(x), torch.from_numpy(np.fromfile(root / labels, np.uint8, count, offset=8)).long())


def _network() -> CleverHansCNN:
    torch.manual_seed(0)
    return CleverHansCNN(SHAPE, 10)


@cache
def _fitted(name: str) -> tuple[Deployment, dict[str, object]]:
    """Fit on 3,000 digits for two epochs, a fraction of the recipe: enough for the order of what follows."""
    pool = _read("train-images-idx3-ubyte", "train-labels-idx1-ubyte", 3500)
    context = FitContext(
        network=_network(),
        new_network=_network,
        pools={"train": Pool(pool.x[:3000], pool.y[:3000]), "development": Pool(pool.x[3000:], pool.y[3000:])},
        recipe=Recipe(epochs=2),
        shape=SHAPE,
        classes=10,
        seed=0,
    )
    defense = DEFENSES[name]()
    result = defense.fit(context)
    return defense.deploy(_network(), result, SHAPE), dict(result.notes)


def _soft_backward(hardness: float) -> Backward:
    """Give the exact answer with the derivative of the soft quantiser: what [R] lets an attacker see at 500."""

    def backward(deployment: Deployment, signal: Signal, progress: float) -> Signal:
        def apply(node: Node, inputs: tuple[Signal, ...]) -> Signal:
            exact = run_node(node, inputs)
            if not isinstance(node.stage, Quantise):
                return exact
            stage = node.stage
            return exact.replace(
                substitute(exact.x, soft_values(inputs[0].x, stage.thresholds, hardness, stage.levels))
            )

        return deployment.walk(signal, apply, lambda node, leaving: node.stage.cross(leaving))

    return backward


def _accuracy_under_pgd(deployment: Deployment, backward: Backward, steps: int, step: float) -> float:
    """Return the share of 100 test images that is right at every step of a signed gradient ascent from the image."""
    pool = _read("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte", 100)
    surface = Surface(deployment, knowledge="adaptive", access="gradient", shape=SHAPE, classes=10, backward=backward)
    x = pool.x.float() / 255
    low, high = (x - EPSILON).clamp(min=0), (x + EPSILON).clamp(max=1)
    robust = surface.predict(x) == pool.y
    x_adv = x
    for _ in range(steps):
        x_adv = (x_adv + step * surface.loss_gradient(x_adv, pool.y).sign()).clamp(low, high)
        robust &= surface.predict(x_adv) == pool.y
    assert surface.gradients.nonfinite == 0
    return float(robust.double().mean())


@pytest.mark.parametrize("name", DEFENSES)
def test_clean_digits_are_recognised(name) -> None:
    deployment, notes = _fitted(name)
    assert _accuracy_under_pgd(deployment, straight_through, 0, 0.0) > 0.85
    assert notes["effective_levels"] == int(name[-1])
    if name.startswith("tq"):
        assert notes["threshold_shift"] > 0.005


def test_only_two_levels_hold_at_epsilon_three_tenths() -> None:
    """A background pixel can leave its level iff epsilon reaches the first threshold, which is 1/levels for CQ."""
    held, broken = (_accuracy_under_pgd(_fitted(n)[0], straight_through, 30, EPSILON / 4) for n in ("cq-2", "cq-4"))
    assert broken <= 0.05
    assert held > 0.4


def test_training_the_thresholds_does_not_make_four_levels_hold() -> None:
    assert _accuracy_under_pgd(_fitted("tq-4")[0], straight_through, 30, EPSILON / 4) <= 0.05


def test_gradients_of_the_soft_form_at_hardness_500_only_seem_to_show_robustness() -> None:
    deployment, _ = _fitted("cq-4")
    masked = _accuracy_under_pgd(deployment, _soft_backward(500.0), 1, EPSILON)
    assert masked > _accuracy_under_pgd(deployment, straight_through, 30, EPSILON / 4) + 0.4
