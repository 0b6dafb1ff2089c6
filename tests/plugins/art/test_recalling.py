"""What ART asks again is answered from memory, where the answer cannot be another one."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from bench.attack import Threat
from bench.attack.path import Path
from bench.attack.surface import Queries
from bench_art import door
from bench_art.adapter import ArtAttack, _answers_alike
from bench_art.door import Door, Recalling, View
from bench_art.table import BY_NAME

from .conftest import EPSILONS, BatchOn, MakeSurface, Tiny, images

SHAPE = (1, 28, 28)
CUTS = {"max_iter": 20, "learning_rate": 0.05, "decrease_factor": 0.5, "initial_const": 0.1, "const_factor": 4.0}


class Noisy(nn.Module):
    """Draws for every answer, and does not say so."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        answers: Tensor = self.network(x)
        return answers + 0.01 * torch.randn(answers.shape)


def attacked(network: nn.Module, surface_of: MakeSurface, batch_on: BatchOn) -> tuple[Tensor, Queries]:
    row, surface = BY_NAME["cw-linf"], surface_of(network, SHAPE)
    batch = batch_on(network, images(SHAPE, 3))
    found = ArtAttack(row, **CUTS).run(surface, batch, Threat(norm="linf", epsilon=EPSILONS["linf"]))
    return found.x_adv, surface.queries


def test_what_is_remembered_changes_no_image_and_saves_most_queries(
    surface_of: MakeSurface, batch_on: BatchOn, monkeypatch
) -> None:
    recalled, few = attacked(Tiny(SHAPE), surface_of, batch_on)
    monkeypatch.setattr("bench_art.adapter.Recalling", View)
    asked, many = attacked(Tiny(SHAPE), surface_of, batch_on)
    assert torch.equal(recalled, asked)
    assert few.gradient < many.gradient / 2


def test_nothing_is_remembered_of_what_draws_without_saying_so(
    surface_of: MakeSurface, batch_on: BatchOn, monkeypatch
) -> None:
    def remembers(*args: object) -> None:
        raise AssertionError("answers that differ were to be remembered")

    monkeypatch.setattr("bench_art.adapter.Recalling", remembers)
    attacked(Noisy(Tiny(SHAPE)), surface_of, batch_on)


def test_asking_whether_answers_are_alike_is_no_try_of_the_attack(surface_of: MakeSurface) -> None:
    x = images(SHAPE, 2)
    surface = surface_of(Tiny(SHAPE), SHAPE)
    surface._path = path = Path(x, torch.zeros(2, dtype=torch.int64), Threat(norm="linf", epsilon=1.0))
    assert _answers_alike(surface, x)
    assert surface.queries.forward == 4
    assert path.evidence(torch.ones(2, dtype=torch.bool))["compared"] == 0


def test_an_answer_is_what_a_view_without_memory_gives_and_belongs_to_who_asked(surface_of: MakeSurface) -> None:
    x, surface = images(SHAPE, 1).numpy(), surface_of(Tiny(SHAPE), SHAPE)
    plain, recalling = (kind(Door(surface, softmax=False), SHAPE, 10) for kind in (View, Recalling))
    for label in (3, [3], np.array([4]), None):
        for _ in range(2):
            given = recalling.class_gradient(x, label=label)
            np.testing.assert_array_equal(given, plain.class_gradient(x, label=label))
            given -= 1.0  # as ART does
    for _ in range(2):
        np.testing.assert_array_equal(recalling.predict(x), plain.predict(x))


def test_memory_is_bounded_and_can_be_emptied(surface_of: MakeSurface, monkeypatch) -> None:
    monkeypatch.setattr(door, "_REMEMBERED", 3 * 4 * 784)
    surface = surface_of(Tiny(SHAPE), SHAPE)
    recalling = Recalling(Door(surface, softmax=False), SHAPE, 10)

    def queries(*asked: np.ndarray) -> int:
        before = surface.queries.forward
        for x in asked:
            recalling.predict(x)
        return surface.queries.forward - before

    a, b, c, d = images(SHAPE, 4).numpy()[:, None]
    assert queries(a, b, c) == 3
    assert queries(a, b, c) == 0
    assert queries(a, d) == 1  # b, the longest unasked, goes
    assert queries(a, c, d) == 0
    assert queries(b) == 1
    recalling.forget()
    assert queries(a) == 1
