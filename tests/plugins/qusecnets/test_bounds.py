"""Bounds hold: against sampled inputs of random networks, and against float32 arithmetic in other orders."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from bench_models.networks import CleverHansCNN, LeNet5, ResNet20
from bench_qusecnets.bounds import Bounds, Box, margins
from bench_qusecnets.chain import NotAChainError

SHAPE = (2, 6, 6)


def network(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    shapes = [
        nn.Sequential(
            nn.Conv2d(2, 4, 3, 2, 1), nn.ReLU(), nn.Conv2d(4, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(6, 3),
        ),
        nn.Sequential(
            nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
            nn.Linear(36, 8), nn.ReLU(), nn.Linear(8, 3),
        ),
        nn.Sequential(
            nn.Flatten(), nn.Linear(72, 9), nn.ReLU(), nn.Dropout(0.5), nn.Linear(9, 5, bias=False), nn.ReLU(),
            nn.Linear(5, 3),
        ),
        nn.Sequential(
            nn.Flatten(), nn.Linear(72, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 4), nn.BatchNorm1d(4), nn.ReLU(),
            nn.Linear(4, 3),
        ),
    ]  # fmt: skip
    made = shapes[seed % len(shapes)]
    for module in made.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.running_mean = torch.randn(4)
            module.running_var = torch.rand(4) + 0.1
            nn.init.normal_(module.weight)
    return made.eval().requires_grad_(False)


def boxed(seed: int, free: float) -> Box:
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(1, *SHAPE, generator=generator)
    width = torch.rand(1, *SHAPE, generator=generator) * (torch.rand(1, *SHAPE, generator=generator) < free)
    return Box(x, x + width)


def sampled(box: Box, count: int, seed: int) -> Tensor:
    """Return inputs of the box: corners, where a network's extremes are likely, and others."""
    generator = torch.Generator().manual_seed(seed)
    share = torch.rand(count, *box.low.shape[1:], generator=generator)
    share[::2] = share[::2].round()
    return box.low + share * (box.high - box.low)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.1, 0.5]), st.sampled_from([torch.float64, torch.float32]))
def test_no_sampled_input_is_below_a_bound(seed: int, free: float, dtype: torch.dtype) -> None:
    made, box, goals = network(seed), boxed(seed, free), margins(torch.tensor([seed % 3]), 3)
    bounds = Bounds(made, SHAPE, dtype)
    x = sampled(box, 400, seed)
    box.high = torch.maximum(box.high, x.amax(0, keepdim=True))  # low + share * width is rounded
    answers = made(x).double()
    found = answers @ goals[0].T
    for known in (bounds.intervals(box), bounds.sharpened(box)):
        logits = known.outputs
        assert bool((logits.low <= answers).all())
        assert bool((answers <= logits.high).all())
        lower, _ = bounds.lower(goals, known)
        assert bool((lower <= found).all())


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10_000))
def test_bounds_inside_a_known_box_are_no_worse_and_hold(seed: int) -> None:
    made, box, goals = network(seed), boxed(seed, 0.3), margins(torch.tensor([0]), 3)
    bounds = Bounds(made, SHAPE)
    around = bounds.sharpened(box)
    inner = Box(box.low, (box.low + box.high) / 2)
    for deep in (False, True):
        known = bounds.sharpened(inner, around, deep=deep)
        for narrow, wide in zip(known.inputs[1:], around.inputs[1:], strict=True):
            assert bool((narrow.low >= wide.low).all())
            assert bool((narrow.high <= wide.high).all())
        lower, _ = bounds.lower(goals, known)
        x = sampled(inner, 300, seed)
        assert bool((lower <= made(torch.minimum(x, inner.high)).double() @ goals[0].T).all())


@pytest.mark.parametrize("seed", range(6))
def test_linear_bounds_are_tighter_than_intervals_over_boxes_with_few_free_pixels(seed: int) -> None:
    made, box, goals = network(seed), boxed(seed, 0.1), margins(torch.tensor([1]), 3)
    bounds = Bounds(made, SHAPE)
    plain, sharp = bounds.intervals(box), bounds.sharpened(box)
    by_interval = (goals[0].clamp(min=0) @ plain.outputs.low[0]) + (goals[0].clamp(max=0) @ plain.outputs.high[0])
    assert bool((bounds.lower(goals, sharp)[0][0] >= by_interval - 1e-9).all())
    assert bool((bounds.lower(goals, sharp)[0] > by_interval).any())


def test_bounds_over_many_free_pixels_hold_in_whatever_order_their_own_sums_are_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Float32 from left to right, 2,400 terms of half a last place beside a 1 are lost, far more than rounding of W h.

    Each value has few products, as 49 and 49, and yet hangs on 49 x 49 pixels.
    """
    summed = Tensor.sum

    def from_left_to_right(values: Tensor, *args: Any, **named: Any) -> Tensor:
        if args != (0,):
            return summed(values, *args, **named)
        total = torch.zeros_like(values[:1])
        for value in values:
            total = total + value
        return total if named.get("keepdim") else total[0]

    made = nn.Sequential(
        nn.Conv2d(1, 1, 7, 7), nn.ReLU(), nn.Conv2d(1, 1, 7), nn.ReLU(), nn.Flatten(), nn.Linear(1, 2)
    ).eval().requires_grad_(False)  # fmt: skip
    for module, bias in ((made[0], 2.0**-10), (made[2], 0.0)):
        nn.init.ones_(module.weight)
        nn.init.constant_(module.bias, bias)
    low, high = torch.zeros(1, 1, 49, 49), torch.full((1, 1, 49, 49), 0.99 * 2.0**-23)
    high[0, 0, 0, 0] = 2.0
    monkeypatch.setattr(Tensor, "sum", from_left_to_right)
    known = Bounds(made, (1, 49, 49), torch.float32).sharpened(Box(low, high))
    exact = [float(made[:3].double()(end.double())) for end in (low, high)]
    assert float(known.inputs[3].low) <= exact[0]
    assert exact[1] <= float(known.inputs[3].high) <= exact[1] + 1e-3


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_the_bounds_of_a_single_input_hold_for_float32_in_batches_of_any_size(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    made = CleverHansCNN((1, 28, 28), 10).eval().requires_grad_(False)
    x = torch.rand(40, 1, 28, 28).round()
    known = Bounds(made, (1, 28, 28), dtype).intervals(Box(x, x))
    for size in (1, 7, 40):
        answers = torch.cat([made(part) for part in x.split(size)])
        assert bool((known.outputs.low <= answers).all())
        assert bool((answers <= known.outputs.high).all())
    width = (known.outputs.high - known.outputs.low).max()
    assert 0 < width < 0.5, "rounding outwards costs something, and little"


def test_the_slope_is_that_of_the_bound_with_respect_to_each_pixel() -> None:
    made, box, goals = network(2), boxed(2, 0.4), margins(torch.tensor([0]), 3)
    bounds = Bounds(nn.Sequential(nn.Flatten(), nn.Linear(72, 3)).eval().requires_grad_(False), SHAPE)
    linear = bounds.steps[1]
    _, slope = bounds.lower(goals, bounds.intervals(box))
    weight = linear.module.weight.double()  # type: ignore[union-attr]
    assert torch.allclose(slope[0].flatten(1), goals[0] @ weight)
    assert made is not None


def test_a_pooling_with_one_dominant_value_is_that_value() -> None:
    made = nn.Sequential(nn.MaxPool2d(2), nn.Flatten(), nn.Linear(2, 2)).eval().requires_grad_(False)
    low = torch.tensor([[[[0.0, 0.1], [0.2, 0.8]]], [[[0.0, 0.0], [0.0, 0.0]]]]).reshape(1, 2, 2, 2)
    box = Box(low, low + torch.tensor([0.1, 0.0]).reshape(1, 2, 1, 1))
    bounds = Bounds(made, (2, 2, 2))
    goals = margins(torch.tensor([0]), 2)
    exact = (goals[0] @ made(box.low).double().T, goals[0] @ made(box.high).double().T)
    assert float(bounds.lower(goals, bounds.intervals(box))[0]) == pytest.approx(float(min(exact)), abs=1e-5)


def test_the_suites_chains_are_bounded_and_a_residual_network_says_why_not() -> None:
    for made in (CleverHansCNN((1, 28, 28), 10), LeNet5((1, 28, 28), 10)):
        assert Bounds(made, (1, 28, 28)).steps
    with pytest.raises(NotAChainError, match="no layer that follows the one before"):
        Bounds(ResNet20((3, 32, 32), 10), (3, 32, 32))
    overlapping = nn.Sequential(nn.MaxPool2d(3, 1), nn.Flatten(), nn.Linear(4, 2))
    with pytest.raises(NotAChainError, match="windows overlap"):
        Bounds(overlapping, (1, 4, 4))


@pytest.mark.parametrize(
    ("layers", "reason"),
    [
        ([nn.Linear(6, 3), nn.Flatten()], "Linear of values of 3 dimensions, not 1"),
        ([nn.Flatten(2), nn.BatchNorm1d(2), nn.Flatten()], "batch normalisation of values of 2 dimensions, not 1"),
        ([nn.Flatten(2), nn.MaxPool2d(2), nn.Flatten()], "MaxPool2d of values of 2 dimensions, not 3"),
        ([nn.Flatten(0)], "the images of a batch for one"),
    ],
)
def test_a_layer_on_values_of_a_shape_that_bounds_do_not_take_says_so(layers: list[nn.Module], reason: str) -> None:
    with pytest.raises(NotAChainError, match=reason):
        Bounds(nn.Sequential(*layers).eval(), SHAPE)
