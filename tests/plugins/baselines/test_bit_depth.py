from __future__ import annotations

import numpy as np
import pytest
import torch

from bench.deployment import Signal
from bench_baselines.bit_depth import BitDepth


@pytest.mark.parametrize("bits", range(1, 9))
def test_values_are_arts_feature_squeezing(photographs, bits) -> None:
    art = pytest.importorskip("art.defences.preprocessor")
    expected, _ = art.FeatureSqueezing((0.0, 1.0), bit_depth=bits)(photographs[:8].numpy())
    np.testing.assert_allclose(BitDepth(bits).transform(photographs[:8]).numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("bits", range(1, 9))
def test_every_level_survives_the_wire_in_as_many_bits(signal, bits) -> None:
    x = (torch.arange(256).float() / 255).reshape(1, 1, 16, 16)
    stage = BitDepth(bits)
    leaving = stage(signal(x))
    assert len(torch.unique(leaving.x)) == 2**bits
    (payload,) = stage.encode(leaving)
    assert len(payload) == 256 * bits // 8
    arrived = stage.decode([payload], Signal(torch.full_like(x, torch.nan), leaving.draws))
    assert torch.equal(arrived.x, leaving.x)
    assert torch.equal(stage.cross(leaving).x, leaving.x)


def test_eight_bits_change_nothing(photographs, signal) -> None:
    assert torch.equal(BitDepth(8)(signal(photographs)).x, photographs)


def test_two_levels_turn_at_the_middle() -> None:
    x = torch.tensor([0, 127, 128, 255]).float().reshape(1, 1, 2, 2) / 255
    assert BitDepth(1).transform(x).flatten().tolist() == [0, 0, 1, 1]


def test_what_a_surrogate_leaves_of_the_values_is_put_right_at_the_border(photographs, signal) -> None:
    stage, x = BitDepth(3), photographs[:2].clone().requires_grad_(True)
    exact = stage(signal(x))
    assert torch.equal(stage.cross(exact.replace(exact.x + 1e-3 * x)).x, exact.x)


@pytest.mark.parametrize("name", ["soft", "annealed"])
def test_soft_levels_have_the_derivative_that_differences_show_and_anneal_with_progress(signal, name) -> None:
    stage = BitDepth(2)
    x = torch.linspace(0.01, 0.99, 64, dtype=torch.float64).reshape(1, 1, 8, 8)
    distances, steepest = [], []
    for progress in (0.0, 1.0):
        given = x.clone().requires_grad_(True)
        out = stage.surrogates[name](signal(given), progress).x
        (slope,) = torch.autograd.grad(out.sum(), given)
        ahead, behind = (stage.surrogates[name](signal(x + step), progress).x for step in (1e-6, -1e-6))
        torch.testing.assert_close(slope, (ahead - behind) / 2e-6, rtol=1e-5, atol=1e-6)
        distances.append((out - stage.transform(x)).abs().mean().item())
        steepest.append(slope.max().item())
    assert (distances[1] < distances[0] / 2) == (name == "annealed")
    assert (steepest[1] > 2 * steepest[0]) == (name == "annealed")
