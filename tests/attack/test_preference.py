"""Which way to a gradient gets clearly further, as measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
import torch
from torch import Tensor, nn

from bench.attack import preference
from bench.attack.preference import IMAGES, furthest
from bench.attack.ways import backward
from bench.conformance import workbench
from bench.deployment import Capture, Classify, Deployment, Draws, Signal, Stage

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


@pytest.mark.parametrize(
    ("turned", "found"), [((10, 13, 9), ""), ((10, 14, 9), "b"), ((10, 20, 20), "b"), ((20, 10, 24), "c")]
)
def test_clear_is_a_lead_of_four_images_of_32_and_of_equals_the_first(
    turned: tuple[int, ...], found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    radii = set()

    def count(deployment: object, x: Tensor, names: object, way: str, radius: float) -> int:
        radii.add(radius)
        return turned["abc".index(way)]

    monkeypatch.setattr(preference, "_turned", count)
    for radius in (0.4, 0.001):
        assert furthest(Deployment.chain(Classify(nn.Flatten())), torch.zeros(32, 1, 2, 2), [], "abc", radius) == found
    assert radii == {0.1, 1 / 255}  # a quarter, but no less than a grey level


class Bright(nn.Module):
    """Two classes: dark, and brighter than so many levels."""

    def __init__(self, levels: float) -> None:
        super().__init__()
        self.levels = levels

    def forward(self, x: Tensor) -> Tensor:
        lead = 255.0 * x.mean((1, 2, 3)) - self.levels
        return torch.stack([-lead, lead], 1)


def turned(levels: float, radius: float, *stages: Stage) -> int:
    x = torch.full((1, 1, 4, 4), 100.0 / 255.0)
    deployment = Deployment.chain(*stages, Classify(Bright(levels)))
    return preference._turned(deployment, x, [b"0"], "as-it-is", radius / 255.0)


def test_an_answer_is_turned_by_what_lies_in_the_ball_and_on_the_grid() -> None:
    assert turned(109.5, 10.0) == 1
    assert turned(111.0, 10.0) == 0  # though five steps of half the radius would lead there
    assert turned(100.3, 0.4) == 0  # half a level is rounded away


def test_a_pixel_without_a_finite_gradient_stays_and_the_others_move() -> None:
    class Broken(Stage):
        def transform(self, x: Tensor) -> Tensor:
            first = torch.where(x[..., :1] > 2, torch.sqrt(x[..., :1] - 2), x[..., :1])
            return torch.cat([first, x[..., 1:]], 3)

    assert turned(107.0, 10.0, Broken()) == 1


def test_the_draws_of_the_attack_are_not_those_that_judge_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Noting(Draws):
        @classmethod
        def of(cls, *what: object) -> Draws:
            asked.append((what[1], *what[3:]))
            return Draws.of(*what)  # type: ignore[arg-type]

    monkeypatch.setattr(preference, "Draws", Noting)
    turned(109.5, 10.0)
    assert asked == [(0,), *((1, step) for step in range(5)), (0,)]
