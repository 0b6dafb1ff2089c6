"""Which way to a gradient gets clearly further, as measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from bench.attack.preference import IMAGES, furthest
from bench.attack.ways import backward
from bench.conformance import workbench
from bench.deployment import Capture, Classify, Deployment, Signal, Stage

WAYS = ("straight-through", "surrogate:true", "surrogate:idle", "learned")
RADIUS = 0.4


class Turned(Stage):
    """Gives the negative, upside down, and says that this has no derivative; the network was trained on negatives."""

    differentiable = False

    def transform(self, x: Tensor) -> Tensor:
        return (1.0 - x).flip(2).detach()

    @property
    def surrogates(self) -> Mapping[str, Callable[[Signal, float], Signal]]:
        return {
            "true": lambda signal, progress: signal.replace((1.0 - signal.x).flip(2)),
            "idle": lambda signal, progress: signal.replace(signal.x * 0.0),
        }


def tried(stage: Stage | None, ways: tuple[str, ...], radius: float = RADIUS) -> str:
    deployment = Deployment.chain(Capture(), *([stage] if stage else []), Classify(workbench.trained_network()))
    x, _ = workbench.held_out(IMAGES)
    x = torch.round(255 * ((1.0 - x).flip(2) if stage else x)) / 255
    return furthest(deployment, x, [b"%d" % i for i in range(len(x))], ways, radius)


def test_a_stand_in_that_is_right_gets_further_than_the_identity_that_is_wrong() -> None:
    assert tried(Turned(), WAYS) == "surrogate:true"


def test_the_order_in_which_ways_are_listed_decides_nothing_but_which_is_the_usual_one() -> None:
    assert tried(Turned(), (WAYS[0], WAYS[2], WAYS[1])) == "surrogate:true"
    assert tried(Turned(), (WAYS[1], WAYS[0], WAYS[2])) == ""


def test_nothing_is_clear_between_ways_that_are_alike_and_where_there_is_but_one() -> None:
    assert tried(None, ("as-it-is", "straight-through", "identity")) == ""
    assert tried(Turned(), (WAYS[0], "learned")) == ""
    assert backward("learned") is not None  # it exists, but was taught nothing yet
