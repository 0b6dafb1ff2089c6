"""What can be shown: against brute force over all 256 greys, and over all images of a few pixels."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from bench.attack import Threat
from bench.deployment import Capture, Classify, Deployment
from bench.errors import Unavailable
from bench_qusecnets.codespace import CodeSpace, parts
from bench_qusecnets.quantiser import codes, hard_thresholds, uniform_thresholds, values
from bench_qusecnets.stages import Quantise, SoftQuantise

GREYS = torch.arange(256, dtype=torch.float32) / 255.0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=5), st.integers(0, 255), st.integers(0, 60))
def test_the_reach_of_a_pixel_is_what_all_greys_of_the_ball_show(
    thresholds: list[float], grey: int, steps: int
) -> None:
    levels = len(thresholds) + 1
    t = hard_thresholds(torch.tensor(thresholds), levels)
    space = CodeSpace.of(Quantise(t, levels), 1)
    x = GREYS[grey].reshape(1, 1, 1, 1)
    low, high = space.reach(x, Threat(norm="linf", epsilon=steps / 255))
    reachable = GREYS[max(grey - steps, 0) : min(grey + steps, 255) + 1]
    shown = {float(value) for value in values(codes(reachable, t), levels)}
    ranks = torch.arange(int(low), int(high) + 1).reshape(-1, 1, 1, 1)
    assert {float(value) for value in space.shown(ranks)} == shown


@pytest.mark.parametrize(("edge", "shown"), [(110, [0.0, 1.0]), (111, [0.0]), (91, [0.0, 1.0]), (90, [1.0])])
def test_the_last_grey_of_the_ball_counts_and_the_next_one_does_not(edge: int, shown: list[float]) -> None:
    space = CodeSpace.of(Quantise(GREYS[[edge]], 2), 1)
    low, high = space.reach(GREYS[100].reshape(1, 1, 1, 1), Threat(norm="linf", epsilon=10 / 255))
    assert sorted({float(space.shown(low)), float(space.shown(high))}) == shown


@pytest.mark.parametrize("levels", [2, 3, 4])
def test_every_combination_of_codes_is_realised_inside_ball_and_box(levels: int) -> None:
    generator = torch.Generator().manual_seed(levels)
    t = hard_thresholds(torch.rand(levels - 1, generator=generator), levels)
    space, threat = CodeSpace.of(Quantise(t, levels), 1), Threat(norm="linf", epsilon=0.2)
    x = GREYS[torch.randint(0, 256, (1, 1, 3, 3), generator=generator)]
    low, high = space.reach(x, threat)
    choices = [range(int(a), int(b) + 1) for a, b in zip(low.flatten(), high.flatten(), strict=True)]
    ranks = torch.tensor(list(product(*choices))).reshape(-1, 1, 3, 3)
    images = space.realise(x.expand(len(ranks), -1, -1, -1), ranks)
    assert bool(((images >= 0) & (images <= 1)).all())
    assert bool((threat.distance(x, images) <= 0.2).all())
    assert torch.equal(values(codes(images, t), levels), space.shown(ranks))


def test_a_pixel_that_has_its_code_is_left_as_it_is_and_others_move_as_little_as_possible() -> None:
    space = CodeSpace.of(Quantise(uniform_thresholds(2), 2), 1)
    x = GREYS[torch.tensor([100, 100, 200, 200])].reshape(1, 1, 2, 2)
    realised = space.realise(x, torch.tensor([0, 1, 1, 0]).reshape(1, 1, 2, 2))
    assert (realised * 255).round().flatten().tolist() == [100, 128, 200, 127]


def test_channels_have_thresholds_of_their_own() -> None:
    space = CodeSpace.of(Quantise(torch.tensor([[0.2, 0.4], [0.5, 0.5]]), 3), 2)
    x = GREYS[torch.tensor([60, 120])].reshape(1, 2, 1, 1)
    low, high = space.reach(x, Threat(norm="linf", epsilon=0.1))
    assert space.shown(low).flatten().tolist() == [0.0, 0.0]
    assert space.shown(high).flatten().tolist() == [0.5, 1.0], "merged thresholds make a double step"


def test_the_soft_layer_is_a_table_of_256_values() -> None:
    stage = SoftQuantise(uniform_thresholds(4), 4, 25.0)
    space = CodeSpace.of(stage, 1)
    x = GREYS.reshape(1, 1, 16, 16)
    assert torch.allclose(space.shown(space.ranks_of(x)), stage.transform(x), atol=1e-7)
    low, high = space.reach(x, Threat(norm="linf", epsilon=8 / 255))
    assert bool((high > low).all())


@pytest.mark.parametrize("epsilon", [7.99976 / 255, 0.0313717, (8 / 255 - 1e-6) / (1 + 1e-5)])
def test_no_image_that_the_judge_accepts_is_out_of_reach(epsilon: float) -> None:
    space = CodeSpace.of(Quantise(uniform_thresholds(256), 256), 1)
    threat = Threat(norm="linf", epsilon=epsilon)
    clean, other = torch.meshgrid(GREYS, GREYS, indexing="ij")
    x, x_adv = (side.reshape(-1, 1, 1, 1) for side in (clean, other))
    low, high = space.reach(x, threat)
    shown = space.ranks_of(x_adv)
    reached = ((shown >= low) & (shown <= high)).flatten()
    assert torch.equal(reached, threat.contains(x, x_adv))
    assert int((high - low).max()) == 16


def test_under_another_norm_or_off_the_grid_there_is_no_such_reach() -> None:
    space = CodeSpace.of(Quantise(uniform_thresholds(2), 2), 1)
    for threat in (Threat(norm="l2", epsilon=1.0), Threat(norm="linf", epsilon=0.1, domain="float")):
        with pytest.raises(Unavailable, match="linf on the 8-bit grid"):
            space.reach(torch.zeros(1, 1, 2, 2), threat)


def test_another_deployment_has_no_code_space() -> None:
    with pytest.raises(Unavailable, match="no quantiser"):
        parts(Deployment.chain(Capture(), Classify(nn.Flatten())))
