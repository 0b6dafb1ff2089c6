"""Whether a surrogate moves as its stage does."""

from __future__ import annotations

import pytest
import torch

from bench.attack.fidelity import fidelity
from bench.deployment import Deployment, Draws, Signal, Stage
from bench.deployment.passage import trace

X = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(1)) * 0.6 + 0.2


class Scaled(Stage):
    """Halves its input, with surrogates of every quality; shapes change, so that no identity stands in."""

    differentiable = False

    @property
    def surrogates(self):
        flat = lambda signal: signal.x.flatten(1)  # noqa: E731
        return {
            "true": lambda signal, progress: signal.replace(flat(signal) * 0.5),
            "reversed": lambda signal, progress: signal.replace(-flat(signal)),
            "still": lambda signal, progress: signal.replace(torch.zeros_like(flat(signal))),
        }

    def transform(self, x):
        return x.flatten(1) * 0.5


class Constant(Stage):
    differentiable = False

    def transform(self, x):
        return torch.zeros_like(x)


def of(stage: Stage, radius: float = 0.1) -> dict[str, float | None]:
    signal = Signal(X, Draws.of("probe", 0, [b"%d" % i for i in range(len(X))]))
    ((passage,), _) = trace(Deployment.chain(stage), signal)
    return fidelity(passage, radius)


def test_the_cosine_of_a_true_a_reversed_and_an_unmoved_surrogate() -> None:
    found = of(Scaled())
    assert found == {"true": pytest.approx(1.0), "reversed": pytest.approx(-1.0), "still": pytest.approx(0.0)}


def test_where_straight_through_gradients_take_the_input_it_is_judged_too() -> None:
    class Round(Stage):
        differentiable = False

        def transform(self, x):
            return torch.round(x * 2) / 2

    assert 0.2 < of(Round())["identity"] < 0.9
    assert of(Round(), 0.3)["identity"] > of(Round(), 0.03)["identity"]


def test_a_stage_that_does_not_move_gives_no_figure() -> None:
    assert of(Constant()) == {"identity": None}


def test_a_stage_that_is_differentiated_itself_has_no_surrogate_to_judge() -> None:
    class Plain(Stage):
        def transform(self, x):
            return x * 0.5

    assert of(Plain()) == {}


def test_an_image_that_the_stage_does_not_move_tells_nothing() -> None:
    class Some(Scaled):
        def transform(self, x):
            return torch.where(torch.arange(len(x))[:, None] < 2, 0.0, x.flatten(1) * 0.5)

    assert of(Some())["true"] == pytest.approx(1.0)


def test_images_are_moved_both_ways_and_stay_in_the_box() -> None:
    shown: list[torch.Tensor] = []

    class Noting(Stage):
        differentiable = False

        def transform(self, x):
            shown.append(x.clone())
            return x.round()

    of(Noting(), 0.5)
    moved = shown[-1] - X
    assert float(moved.min()) < -0.1
    assert float(moved.max()) > 0.1
    assert 0.0 == float(shown[-1].min()) < float(shown[-1].max()) == 1.0


def test_the_figure_is_a_mean_over_images() -> None:
    class Mixed(Scaled):
        def transform(self, x):
            return torch.where(torch.arange(len(x))[:, None] < 1, -1.0, 1.0) * x.flatten(1)

    assert of(Mixed())["true"] == pytest.approx(0.5)
