import numpy as np
import pytest
import torch

from bench.deployment import Draws, Signal
from bench_wavelet import denoise, haar


def library(x):
    """Return scikit-image's answer, clipped to [0, 1], of float64 images, (B, C, H, W)."""
    restoration = pytest.importorskip("skimage.restoration")
    settings = {"method": "BayesShrink", "mode": "soft"}
    if x.shape[1] == 1:
        out = np.stack([restoration.denoise_wavelet(image[0], **settings)[None] for image in x])
    else:
        channels_last = x.transpose(0, 2, 3, 1)
        each = [restoration.denoise_wavelet(i, convert2ycbcr=True, channel_axis=-1, **settings) for i in channels_last]
        out = np.stack(each).transpose(0, 3, 1, 2)
    return np.clip(out, 0, 1)


def compiled(x, skip_zeros=True):
    return haar.denoise(x, skip_zeros=skip_zeros)


def tensors(x, skip_zeros=True):
    return denoise.denoise(torch.from_numpy(np.ascontiguousarray(x)), skip_zeros=skip_zeros).numpy()


def noisy(x, seed=0, sigma=0.05):
    return np.clip(x + sigma * np.random.default_rng(seed).standard_normal(x.shape), 0, 1)


@pytest.mark.parametrize("form", [compiled, tensors])
@pytest.mark.parametrize(
    ("channels", "height", "width"), [(3, 32, 32), (1, 32, 32), (1, 28, 28), (3, 29, 31), (1, 9, 8)]
)
def test_noisy_images_come_out_as_in_the_library(tiles, form, channels, height, width) -> None:
    x = noisy(tiles)[:, :channels, :height, :width]
    assert np.abs(form(x) - library(x)).max() < 1e-9
    assert np.abs(form(x.astype(np.float32)) - library(x)).max() < 1e-5


def library_by_planes(x):
    """Return the library's answer with its colour step done value by value.

    The library's noise estimate leaves exact zeros out. On clean images, products in another order make zeros 1e-17 and
    the other way round, which moves whole images by up to 2e-3: its own matrix product so differs with the layout.
    """
    restoration = pytest.importorskip("skimage.restoration")
    color = pytest.importorskip("skimage.color")
    planes = np.empty(x.shape)
    for c, (row, offset) in enumerate(zip(color.colorconv.ycbcr_from_rgb, (16, 128, 128), strict=True)):
        planes[:, c] = row[0] * x[:, 0] + row[1] * x[:, 1] + row[2] * x[:, 2] + offset
    for plane in planes.reshape(-1, *x.shape[2:]):
        low, scale = plane.min(), plane.max() - plane.min()
        plane[:] = restoration.denoise_wavelet((plane - low) / scale, method="BayesShrink", mode="soft") * scale + low
    return np.clip(color.ycbcr2rgb(planes.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2), 0, 1)


@pytest.mark.parametrize("form", [compiled, tensors])
def test_clean_images_come_out_as_in_the_library(tiles, form) -> None:
    grey = np.ascontiguousarray(tiles[:, :1])
    assert np.abs(form(grey) - library(grey)).max() < 1e-9
    assert np.abs(form(tiles) - library_by_planes(tiles)).max() < 1e-9
    whole = np.abs(form(tiles) - library(tiles)).max((1, 2, 3))
    assert np.median(whole) < 1e-9
    assert whole.max() < 5e-3


@pytest.mark.parametrize("form", [compiled, tensors])
def test_large_images_are_split_four_times_as_in_the_library(pictures, form) -> None:
    assert [haar.levels(side, side) for side in (28, 32, 224)] == [1, 2, 4]
    x = noisy(pictures["astronaut224"][None])
    assert np.abs(form(x) - library(x)).max() < 1e-9


@pytest.mark.parametrize("form", [compiled, tensors])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("skip_zeros", [True, False])
def test_images_without_noise_to_see_stay_as_they_are(form, channels, skip_zeros) -> None:
    stripes = np.tile(np.linspace(0.1, 0.9, 32)[:, None], (1, 32))
    x = np.stack([np.full((channels, 32, 32), 0.4), np.stack([stripes] * channels)])
    np.testing.assert_allclose(form(x, skip_zeros), x, atol=1e-6)
    np.testing.assert_allclose(form(x.astype(np.float32), skip_zeros), x, atol=1e-6)


@pytest.mark.parametrize("form", [compiled, tensors])
def test_strokes_on_an_empty_background_survive_where_zeros_are_kept(form) -> None:
    rng = np.random.default_rng(0)
    x = np.zeros((1, 1, 28, 28))
    x[0, 0, 6:22, 13:16] = 0.5 + 0.5 * rng.random((16, 3))
    np.testing.assert_allclose(form(x, skip_zeros=False), x, atol=1e-12)
    assert np.abs(form(x, skip_zeros=True) - x).max() > 0.1
    assert np.abs(form(x, skip_zeros=True) - library(x)).max() < 1e-9


def stage_and_signal(x):
    stage = denoise.WaveletDenoise(x.shape[1:], skip_zeros=True)
    return stage, Signal(torch.from_numpy(x), Draws(tuple(bytes([i]) for i in range(len(x)))))


def test_an_image_alone_is_denoised_as_in_a_batch(tiles) -> None:
    stage, signal = stage_and_signal(noisy(tiles[:8]).astype(np.float32))
    whole = stage(signal).x
    assert torch.equal(stage(signal.replace(signal.x[3:4])).x, whole[3:4])
    assert whole.dtype == torch.float32


def test_values_are_the_compiled_ones_and_the_derivative_is_true(tiles) -> None:
    stage, signal = stage_and_signal(noisy(tiles[:4] * 0.8 + 0.1, sigma=0.02))
    x = signal.x.requires_grad_(True)
    out = stage(signal.replace(x)).x
    with torch.no_grad():
        assert torch.equal(out, stage(signal).x)
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(x.shape, generator=generator, dtype=torch.float64)
    direction = torch.randn(x.shape, generator=generator, dtype=torch.float64)
    (gradient,) = torch.autograd.grad((out * weights).sum(), x)
    step = 1e-7
    with torch.no_grad():
        ahead, behind = (stage(signal.replace(x + s * direction)).x for s in (step, -step))
        measured = ((ahead - behind) * weights).sum() / (2 * step)
    assert (gradient * direction).sum().item() == pytest.approx(measured.item(), rel=1e-4)


@pytest.mark.parametrize("value", [0.0, 0.4])
def test_a_constant_image_has_a_finite_derivative(value) -> None:
    stage, signal = stage_and_signal(np.full((2, 3, 32, 32), value))
    x = signal.x.requires_grad_(True)
    (gradient,) = torch.autograd.grad(stage(signal.replace(x)).x.sum(), x)
    assert torch.isfinite(gradient).all()
