from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from bench.errors import PluginFault, UsageError
from bench.training import Recipe, train
from bench.training.loop import augment

PLAIN = Recipe(epochs=4, batch=16)
FULL = Recipe(
    optimiser="sgd",
    rate=0.05,
    epochs=4,
    batch=16,
    weight_decay=1e-3,
    one_cycle=True,
    flip=True,
    shift=1,
    small_epochs=2,
    small_side=6,
    average=0.9,
)


class _StopError(Exception):
    pass


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.3),
        nn.Linear(16, 2),
    )


def _images() -> tuple[torch.Tensor, torch.Tensor]:
    """Return 80 images of 1x8x8 whose class is whether the upper half is the brighter one."""
    generator = torch.Generator().manual_seed(5)
    x = torch.randint(0, 100, (80, 1, 8, 8), dtype=torch.uint8, generator=generator)
    y = torch.arange(80) % 2
    x[y == 0, :, :4] += 100
    x[y == 1, :, 4:] += 100
    return x, y


def _same(first: nn.Module, second: nn.Module) -> bool:
    a, b = first.state_dict(), second.state_dict()
    return all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("recipe", [PLAIN, FULL], ids=["adam", "sgd-with-all"])
@pytest.mark.parametrize("stop_after", [1, 3])
def test_an_interrupted_training_ends_with_the_same_bits(tmp_path, recipe, stop_after):
    whole = train(_network(), *_images(), recipe, seed=3)
    checkpoint = tmp_path / "state.safetensors"
    seen = []

    def interrupt(share, text):
        seen.append(share)
        if len(seen) == stop_after:
            raise _StopError

    with pytest.raises(_StopError):
        train(_network(), *_images(), recipe, seed=3, checkpoint=checkpoint, progress=interrupt)
    torch.manual_seed(12345)  # whatever else drew numbers meanwhile
    resumed_at = []
    resumed = train(
        _network(seed=9), *_images(), recipe, seed=3, checkpoint=checkpoint,
        progress=lambda share, text: resumed_at.append(share),
    )  # fmt: skip
    assert len(resumed_at) == recipe.epochs - stop_after
    assert _same(resumed, whole)


def test_training_learns_and_leaves_the_network_ready_for_use():
    x, y = _images()
    network = train(_network(), x, y, replace(PLAIN, epochs=30, rate=1e-2), seed=0)
    assert not network.training
    assert float((network(x.float() / 255).argmax(1) == y).float().mean()) >= 0.95


def test_another_seed_gives_other_weights_from_the_same_initialisation():
    assert not _same(train(_network(), *_images(), PLAIN, seed=0), train(_network(), *_images(), PLAIN, seed=1))


def test_training_leaves_the_generator_of_others_alone():
    network = _network()
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    train(network, *_images(), PLAIN, seed=0)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("change", [{"rate": 0.5}, {"epochs": 5}, {"shift": 2}])
def test_a_checkpoint_of_another_recipe_is_refused(tmp_path, change):
    checkpoint = tmp_path / "state.safetensors"
    train(_network(), *_images(), replace(PLAIN, epochs=1), seed=0, checkpoint=checkpoint)
    with pytest.raises(UsageError, match="is of another training"):
        train(_network(), *_images(), replace(PLAIN, **change), seed=0,
              checkpoint=checkpoint)  # fmt: skip


def test_a_damaged_checkpoint_is_said_and_training_starts_anew(tmp_path):
    checkpoint = tmp_path / "state.safetensors"
    train(_network(), *_images(), PLAIN, seed=0, checkpoint=checkpoint)
    checkpoint.write_bytes(checkpoint.read_bytes()[:200])
    lines = []
    again = train(
        _network(), *_images(), PLAIN, seed=0, checkpoint=checkpoint, progress=lambda share, text: lines.append(text)
    )
    assert "training starts anew" in lines[0]
    assert len(lines) == 1 + PLAIN.epochs
    assert _same(again, train(_network(), *_images(), PLAIN, seed=0))


class _Viewing(nn.Module):
    """Takes ``view`` of its maps, and has a ``train`` that gives nothing."""

    def __init__(self):
        super().__init__()
        self.maps = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Dropout(0.3), nn.Conv2d(4, 8, 3))
        self.head = nn.Linear(8 * 4 * 4, 2)

    def forward(self, x):
        return self.head(self.maps(x).view(len(x), -1))

    def train(self, mode=True):
        super().train(mode)


def test_a_network_that_views_its_maps_is_trained():
    torch.manual_seed(0)
    x, y = _images()
    before = torch.get_rng_state()
    network = train(_Viewing(), x, y, replace(PLAIN, epochs=8), seed=0)
    assert not torch.equal(torch.get_rng_state(), before)  # its layers were drawn
    assert not network.training
    assert (network(x.float() / 255).argmax(1) == y).float().mean() > 0.9


def test_a_training_that_diverges_is_a_fault_and_not_a_network():
    with pytest.raises(PluginFault, match=r"diverged in epoch \d"):
        train(_network(), *_images(), replace(PLAIN, optimiser="sgd", rate=1e30), seed=0)


def test_a_parameter_with_a_rate_of_zero_stays_as_it_was():
    network = _network()
    before = network[0].weight.detach().clone()
    train(network, *_images(), replace(PLAIN, weight_decay=0.1), seed=0, rates={"0.weight": 0.0})
    assert torch.equal(network[0].weight, before)


def test_augmentation_only_moves_and_mirrors():
    x = torch.zeros(64, 1, 9, 9)
    x[:, :, 4, 4] = 1.0
    moved = augment(x, replace(PLAIN, shift=2, flip=True), np.random.default_rng(0))
    assert torch.equal(moved.sum((1, 2, 3)), torch.ones(64))
    rows, columns = moved[:, 0].amax(2).argmax(1), moved[:, 0].amax(1).argmax(1)
    assert set(rows.tolist()) == set(columns.tolist()) == {2, 3, 4, 5, 6}
    assert torch.equal(augment(x, PLAIN, np.random.default_rng(0)), x)
