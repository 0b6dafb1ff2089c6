from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import median_filter

from bench.deployment import Deployment, Draws, Signal
from bench.deployment.passage import trace
from bench.deployment.slope import TOLERANCE, slope
from bench_baselines.median import MedianFilter

WINDOWS = [2, 3, 4, 5, 6, 7]


def noise(*shape, seed=0, dtype=torch.float32):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("shape", [(3, 3, 32, 32), (2, 1, 28, 28), (2, 3, 9, 14), (1, 1, 7, 7)])
def test_values_are_scipys_to_the_bit(photographs, window, shape) -> None:
    for x in (noise(*shape), torch.round(noise(*shape) * 4) / 4):  # without and with equal values
        expected = median_filter(x.numpy(), (1, 1, window, window), mode="reflect")
        np.testing.assert_array_equal(MedianFilter(window).transform(x).numpy(), expected)
        with_gradient = MedianFilter(window).transform(x.clone().requires_grad_(True)).detach()
        np.testing.assert_array_equal(with_gradient.numpy(), expected)


@pytest.mark.parametrize("window", WINDOWS)
def test_values_are_arts_spatial_smoothing(photographs, window) -> None:
    art = pytest.importorskip("art.defences.preprocessor")
    smoothing = art.SpatialSmoothing(window_size=window, channels_first=True)
    expected, _ = smoothing(photographs[:5].numpy())
    np.testing.assert_array_equal(MedianFilter(window).transform(photographs[:5]).numpy(), expected)


def test_arts_torch_form_differs_at_the_border_alone(photographs) -> None:
    pytest.importorskip("kornia")
    art = pytest.importorskip("art.defences.preprocessor")
    theirs, _ = art.SpatialSmoothingPyTorch(3, channels_first=True, device_type="cpu").forward(photographs[:5])
    ours = MedianFilter(3).transform(photographs[:5])
    assert torch.equal(ours[..., 1:-1, 1:-1], theirs[..., 1:-1, 1:-1])
    assert not torch.equal(ours, theirs)


@pytest.mark.parametrize("window", WINDOWS)
def test_the_derivative_is_that_of_the_value_taken(window) -> None:
    x = noise(2, 2, 9, 8, dtype=torch.float64).requires_grad_(True)
    assert torch.autograd.gradcheck(MedianFilter(window).transform, x, eps=1e-7)


def test_equal_values_share_the_derivative() -> None:
    x = torch.full((1, 1, 5, 5), 0.5, requires_grad=True)
    weights = noise(1, 1, 5, 5)
    (gradient,) = torch.autograd.grad((MedianFilter(3).transform(x) * weights).sum(), x)
    assert gradient.sum().item() == pytest.approx(weights.sum().item(), rel=1e-6)
    assert (gradient > 0).all()
    assert gradient[0, 0, 2, 2].item() == pytest.approx(weights[0, 0, 1:4, 1:4].mean().item(), rel=1e-5)


def test_salt_and_pepper_vanish() -> None:
    x = torch.full((1, 1, 12, 12), 0.5)
    x[0, 0, 3, 3], x[0, 0, 8, 6] = 0.0, 1.0
    assert torch.equal(MedianFilter(3).transform(x), torch.full_like(x, 0.5))


@pytest.mark.parametrize("window", [2, 3, 5, 7])
def test_finite_differences_bear_the_derivative_out_at_every_window(photographs, window) -> None:
    draws = Draws.of("probe", 0, [b"%d" % image for image in range(len(photographs))])
    passages, _ = trace(Deployment.chain(MedianFilter(window)), Signal(photographs, draws))
    assert slope(passages[0]).error < TOLERANCE / 5
