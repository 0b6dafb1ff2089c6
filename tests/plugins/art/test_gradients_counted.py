"""What the gate on masked gradients rests on: the surface sees every gradient that ART gets, before ART touches it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bench.attack import Threat
from bench_art.adapter import ArtAttack
from bench_art.door import Door, View
from bench_art.table import BY_NAME

from .conftest import EPSILONS, BatchOn, MakeSurface, Tiny, images

SHAPE = (1, 28, 28)
# Gradients an image in each: steps; both losses' steps; classes x (steps + 1); steps while active.
CASES = [
    ("pgd-linf", {"max_iter": 4}, 4),
    ("fgsm", {}, 1),
    ("mim", {"max_iter": 4}, 4),
    ("apgd-ce", {"max_iter": 4, "restarts": 1}, 4),
    ("apgd-dlr", {"max_iter": 4, "restarts": 1}, 4),
    ("cw-l2", {"max_iter": 2, "binary_search_steps": 2}, None),
    ("ead", {"max_iter": 2, "binary_search_steps": 2}, None),
    ("deepfool", {"max_iter": 1}, 20),
    ("jsma", {"gamma": 0.01}, None),
    ("uap-fgsm", {"max_iter": 1}, None),
    ("patch", {"max_iter": 2}, 2),
]


class _Marked(nn.Module):
    """A network whose gradient is zero in its upper half, or NaN in one pixel of every image."""

    def __init__(self, network: nn.Module, *, poisoned: bool) -> None:
        super().__init__()
        self.network, self.poisoned = network, poisoned

    def forward(self, x: Tensor) -> Tensor:
        if self.poisoned:
            return self.network(_Poison.apply(x))
        return self.network(torch.cat([x[:, :, :14].detach(), x[:, :, 14:]], 2))


class _Poison(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        gradient = gradient.clone()
        gradient[:, :, 14, 14] = torch.nan
        return gradient


@pytest.mark.parametrize(("name", "parameters", "each"), CASES, ids=[case[0] for case in CASES])
def test_the_surface_counts_every_gradient_and_sees_its_true_values(
    name: str, parameters: dict[str, int], each: int | None, surface_of: MakeSurface, batch_on: BatchOn
) -> None:
    network = _Marked(Tiny(SHAPE), poisoned=False)
    batch, surface = batch_on(network, images(SHAPE)), surface_of(network, SHAPE)
    row = BY_NAME[name]
    ArtAttack(row, **parameters).run(surface, batch, Threat(norm=row.norm, epsilon=EPSILONS[row.norm]))
    tally = surface.gradients
    assert tally.images > 0
    assert each is None or tally.images == each * len(batch.x)
    assert tally.values == tally.images * 784
    assert tally.nonfinite == 0
    assert 0.5 <= tally.zeros / tally.values < 0.9, "half of the pixels have no gradient, the others have"
    assert tally.dead_images == 0 or name == "apgd-dlr", "only that ratio is flat: where the true class is third"


def test_of_images_taken_one_by_one_each_has_its_first_gradient_looked_at(
    surface_of: MakeSurface, batch_on: BatchOn
) -> None:
    class DeadForBright(nn.Module):
        def __init__(self, network: nn.Module) -> None:
            super().__init__()
            self.network = network

        def forward(self, x: Tensor) -> Tensor:
            bright = x.flatten(1).mean(1)[:, None, None, None] > 0.5
            return self.network(torch.where(bright, x.detach(), x))

    network, x = DeadForBright(Tiny(SHAPE)), images(SHAPE, 4)
    x[1:3] = x[1:3] * 0.05 + 0.9
    x[::3] *= 0.2
    batch, surface = batch_on(network, x), surface_of(network, SHAPE)
    row = BY_NAME["cw-linf"]
    cuts = {"max_iter": 2, "initial_const": 10.0, "const_factor": 10.0}
    ArtAttack(row, **cuts).run(surface, batch, Threat(norm="linf", epsilon=EPSILONS["linf"]))
    assert (surface.gradients.images, surface.gradients.dead_images) == (4, 2)


@pytest.mark.parametrize("name", ["pgd-linf", "fgsm", "apgd-ce", "apgd-dlr", "deepfool", "cw-l2", "patch"])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_nan_gradients_are_counted_whatever_art_makes_of_them(
    name: str, surface_of: MakeSurface, batch_on: BatchOn
) -> None:
    network = _Marked(Tiny(SHAPE), poisoned=True)
    batch, surface = batch_on(network, images(SHAPE)), surface_of(network, SHAPE)
    row = BY_NAME[name]
    cuts = {"max_iter": 2, "restarts": 1, "binary_search_steps": 1}
    parameters = {p.name: cuts[p.name] for p in row.parameters if p.name in cuts}
    ArtAttack(row, **parameters).run(surface, batch, Threat(norm=row.norm, epsilon=EPSILONS[row.norm]))
    tally = surface.gradients
    assert tally.nonfinite >= tally.images > 0


def test_the_view_gives_the_answers_of_arts_own_classifier(surface_of: MakeSurface) -> None:
    from art.estimators.classification import PyTorchClassifier

    network, x = Tiny(SHAPE), images(SHAPE, 5).numpy()
    view = View(Door(surface_of(network, SHAPE), softmax=False), SHAPE, 10)
    plain = PyTorchClassifier(network, loss=nn.CrossEntropyLoss(), input_shape=SHAPE, nb_classes=10, device_type="cpu")
    torch.testing.assert_close(
        torch.from_numpy(view.predict(x)), torch.from_numpy(plain.predict(x)), rtol=1e-5, atol=1e-6
    )
    labels = torch.tensor([1, 0, 7, 7, 3]).numpy()
    for label in (None, 4, labels):
        ours, theirs = view.class_gradient(x, label=label), plain.class_gradient(x, label=label)
        assert ours.shape == theirs.shape
        torch.testing.assert_close(torch.from_numpy(ours), torch.from_numpy(theirs), rtol=1e-5, atol=1e-6)
