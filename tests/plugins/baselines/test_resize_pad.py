from __future__ import annotations

import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from bench.deployment import FitResult
from bench.errors import UsageError
from bench_baselines.resize_pad import RandomResizePad, ResizePad

SHAPES = [(3, 32, 32), (1, 28, 28), (3, 30, 41)]


def expected(x, numbers, sizes, mode):
    """Return images resized by torch and padded one by one, from the numbers drawn."""
    out = []
    for image, (size, up, left) in zip(x, numbers, strict=True):
        height, width = image.shape[1:]
        h = sizes[int(size * len(sizes))]
        w = round(h * width / height)
        small = F.interpolate(image[None], (h, w), mode=mode)
        top, before = int(up * (height - h + 1)), int(left * (width - w + 1))
        out.append(F.pad(small, (before, width - w - before, top, height - h - top))[0])
    return torch.stack(out)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
@pytest.mark.parametrize("smallest", [0.9, 0.5])
def test_images_are_torchs_interpolation_padded_with_zeros(signal, shape, mode, smallest) -> None:
    x = torch.rand(12, *shape, generator=torch.Generator().manual_seed(0))
    stage, given = ResizePad(shape, smallest=smallest, interpolation=mode), signal(x)
    reference = expected(x, given.draws.uniform("resize", 3), stage.sizes, mode)
    ours = stage(given).x
    if mode == "nearest":
        assert torch.equal(ours, reference)
    else:
        torch.testing.assert_close(ours, reference, rtol=0, atol=1e-5)


def test_sizes_keep_the_authors_proportions() -> None:
    # 299 to 330 of 331 pixels.
    assert list(ResizePad((3, 32, 32), smallest=299 / 331, interpolation="nearest").sizes) == [29, 30, 31]
    assert list(ResizePad((1, 28, 28), smallest=0.9, interpolation="nearest").sizes) == [25, 26, 27]
    full = ResizePad((3, 331, 331), smallest=299 / 331, interpolation="nearest")
    assert (full.sizes.start, full.sizes.stop) == (299, 331)


def test_every_size_and_place_comes_about_as_often(signal) -> None:
    x = torch.ones(3000, 1, 10, 10)
    out = ResizePad((1, 10, 10), smallest=0.8, interpolation="nearest")(signal(x, names=range(3000))).x[:, 0]
    heights, widths = (out.amax(3 - axis).sum(1) for axis in (1, 2))
    assert torch.equal(heights, widths)
    counts = np.bincount(heights.int().numpy(), minlength=11)
    assert counts[8] + counts[9] == 3000
    assert counts[8] / 3000 == pytest.approx(0.5, abs=0.03)
    tops = out[heights == 8].amax(2).argmax(1)
    np.testing.assert_allclose(np.bincount(tops.numpy(), minlength=3) / len(tops), 1 / 3, atol=0.05)


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
def test_the_derivative_is_that_of_the_interpolation(signal, mode) -> None:
    x = torch.rand(3, 2, 9, 11, generator=torch.Generator().manual_seed(1), dtype=torch.float64).requires_grad_(True)
    stage = ResizePad((2, 9, 11), smallest=0.6, interpolation=mode)
    assert torch.autograd.gradcheck(lambda images: stage(signal(images)).x, x)


@pytest.mark.parametrize("side", [2, 8, 28, 224, 299])
def test_the_share_that_is_proposed_is_accepted(side) -> None:
    with pytest.raises(UsageError) as refusal:
        RandomResizePad(smallest=1.0).deploy(nn.Identity(), FitResult(), (3, side, side))
    proposed = re.search(r"smallest of at most (.*)\.$", str(refusal.value))
    assert proposed is not None
    RandomResizePad(smallest=float(proposed[1])).deploy(nn.Identity(), FitResult(), (3, side, side))


def test_an_image_of_one_row_cannot_be_shrunk() -> None:
    with pytest.raises(UsageError, match="one row"):
        RandomResizePad().deploy(nn.Identity(), FitResult(), (1, 1, 9))
