import re

import numpy as np
import pytest
import torch

from bench.deployment import Draws, Signal
from bench.errors import UsageError
from bench_superiot.drop import PixelDrop
from bench_superiot.plugin import bench_defenses
from bench_superiot.windows import Windows


@pytest.mark.parametrize(
    ("size", "ratio", "dropped"),
    [(8, 0.01, 1), (8, 0.05, 3), (8, 0.1, 6), (8, 0.2, 13), (8, 0.3, 19), (8, 0.5, 32), (4, 0.1, 2)],
)
def test_a_window_drops_the_nearest_whole_number_of_pixels(size, ratio, dropped) -> None:
    assert Windows.of((3, 32, 32), size, ratio).dropped == dropped


def test_the_effective_ratio_is_that_of_whole_pixels() -> None:
    assert Windows.of((3, 32, 32), 8, 0.1).effective_ratio == 0.09375
    assert Windows.of((1, 28, 28), 4, 0.1).effective_ratio == 0.125


@pytest.mark.parametrize(("size", "ratio"), [(2, 0.1), (8, 0.001), (8, 0.999), (4, 1.0)])
def test_a_window_that_would_lose_nothing_or_everything_is_refused(size, ratio) -> None:
    with pytest.raises(UsageError, match="expected at least 1 and not all"):
        Windows.of((3, 32, 32), size, ratio)


@pytest.mark.parametrize(
    ("size", "ratio", "said"),
    [
        (64, 0.0001, "Choose a ratio in [0.000245, 0.99] or another ws"),
        (8, 0.999, "Choose a ratio in [0.015625, 0.984375] or another ws"),
        (3, 0.01, "Choose a ratio in [0.111112, 0.888888] or another ws"),
        (1, 0.5, "Choose another ws"),
    ],
)
def test_the_ratios_that_are_proposed_are_accepted(size, ratio, said) -> None:
    with pytest.raises(UsageError) as refusal:
        Windows.of((1, 64, 64), size, ratio)
    assert said in str(refusal.value)
    (declared,) = (p for p in bench_defenses()[0].parameters if p.name == "ratio")
    proposed = re.search(r"in \[(.*), (.*)\]", said)
    for end in proposed.groups() if proposed else ():
        assert Windows.of((1, 64, 64), size, declared.parse("superiot", end)).dropped > 0


def test_a_window_larger_than_the_image_is_refused() -> None:
    with pytest.raises(UsageError, match="do not fit into an image of 28x28"):
        Windows.of((1, 28, 28), 32, 0.1)


@pytest.mark.parametrize(("side", "size"), [(32, 8), (224, 8), (28, 4), (30, 6), (33, 8), (7, 7)])
def test_the_window_is_chosen_to_fit_the_image(side, size) -> None:
    assert Windows.of((3, side, side), 0, 0.1).size == size


def test_positions_are_those_of_the_published_vector() -> None:
    positions = Windows.of((3, 32, 32), 8, 0.1).random_positions(0)
    assert positions[0].tolist() == [0, 2, 21, 38, 43, 54]
    assert positions[15].tolist() == [22, 27, 31, 38, 48, 58]


def test_every_window_loses_the_same_number_in_all_channels_and_the_border_none() -> None:
    windows = Windows.of((3, 29, 35), 8, 0.2)
    x = torch.rand(4, 3, 29, 35) * 0.9 + 0.05
    out = PixelDrop(windows)(Signal(x, Draws.of("probe", 0, [b"a", b"b", b"c", b"d"])))
    mask = out.side["mask"]
    assert torch.equal((out.x == 0), mask[:, None].expand(-1, 3, -1, -1))
    assert torch.equal(out.x[~(out.x == 0)], x[~(out.x == 0)])
    assert not mask[:, 24:].any()
    assert not mask[:, :, 32:].any()
    counts = mask[:, :24, :32].reshape(4, 3, 8, 4, 8).sum((2, 4))
    assert (counts == 13).all()


def test_a_mask_depends_on_its_draw_and_not_on_the_batch() -> None:
    drop = PixelDrop(Windows.of((3, 32, 32), 8, 0.1))
    x, names = torch.rand(5, 3, 32, 32), [b"a", b"b", b"c", b"d", b"e"]
    whole = drop(Signal(x, Draws.of("score", 3, names))).side["mask"]
    alone = drop(Signal(x[2:3], Draws.of("score", 3, names)[2:3])).side["mask"]
    again = drop(Signal(x, Draws.of("score", 3, names, draw=1))).side["mask"]
    assert torch.equal(whole[2:3], alone)
    assert all(not torch.equal(a, b) for a, b in zip(whole, again, strict=True))
    assert len({mask.numpy().tobytes() for mask in whole}) == 5


def test_masks_are_uniform_and_windows_independent() -> None:
    windows = Windows.of((1, 16, 16), 8, 0.1)
    flags = np.zeros((2000, 4, 64))
    for seed in range(2000):
        np.put_along_axis(flags[seed], windows.random_positions(seed), 1.0, axis=1)
    assert np.abs(flags.mean(0) - 6 / 64).max() < 0.04
    correlation = np.corrcoef(flags[:, 0, :].T, flags[:, 1, :].T)[:64, 64:]
    assert np.abs(correlation).max() < 5.5 / np.sqrt(2000)
    assert abs(correlation.mean()) < 0.005


def test_a_regular_lattice_is_the_same_for_every_image_and_draws_nothing() -> None:
    drop = PixelDrop(Windows.of((3, 32, 32), 8, 0.1), regular=True)
    mask = drop(Signal(torch.rand(2, 3, 32, 32), Draws.of("score", 0, [b"a", b"b"]))).side["mask"]
    assert not drop.randomised
    assert torch.equal(mask[0], mask[1])
    assert mask[0].sum() == 96


def test_ratio_zero_drops_nothing() -> None:
    drop = PixelDrop(Windows.of((3, 32, 32), 8, 0.0))
    x = torch.rand(2, 3, 32, 32)
    assert torch.equal(drop(Signal(x, Draws.of("score", 0, [b"a", b"b"]))).x, x)
