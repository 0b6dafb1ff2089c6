from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from bench.attack import Batch, Threat
from bench.attack.ball import uniform_in_ball
from bench.deployment import Draws
from bench.plugins.entries import Norm
from bench_art.controls import JpegShift, Noise, Null

from .conftest import MakeSurface, Tiny, draws_for, images

SHAPE = (3, 32, 32)
RADII: dict[Norm, float] = {"linf": 0.1, "l2": 0.5, "l1": 12.0, "l0": 50.0}


def _noise(x: torch.Tensor, threat: Threat, surface_of: MakeSurface) -> torch.Tensor:
    surface = surface_of(Tiny(SHAPE), SHAPE, "decision")
    batch = Batch(x, torch.zeros(len(x), dtype=torch.int64), draws_for(x), 0)
    found = Noise().run(surface, batch, threat).x_adv
    assert surface.queries.forward == 0
    return found


@pytest.mark.parametrize(("norm", "radius"), RADII.items())
def test_noise_lies_in_the_ball_and_the_box_and_is_not_small(
    norm: Norm, radius: float, surface_of: MakeSurface
) -> None:
    x = images(SHAPE, 8)
    threat = Threat(norm=norm, epsilon=radius)
    found = _noise(x, threat, surface_of)
    assert found.dtype == torch.float32
    assert threat.contains(x, found).all()
    assert ((found >= 0) & (found <= 1)).all()
    assert (threat.distance(x, found) > 0.8 * radius).all()


@pytest.mark.parametrize(("norm", "radius"), RADII.items())
def test_noise_of_an_image_is_the_same_alone_and_in_another_batch(
    norm: Norm, radius: float, surface_of: MakeSurface
) -> None:
    x = images(SHAPE, 5)
    threat = Threat(norm=norm, epsilon=radius)
    together = _noise(x, threat, surface_of)
    assert torch.equal(_noise(x[2:3], threat, surface_of), together[2:3])
    assert torch.equal(_noise(x[[4, 2, 0]], threat, surface_of), together[[4, 2, 0]])
    assert not torch.equal(together[0] - x[0], together[1] - x[1])


@pytest.mark.parametrize(("norm", "dimensions"), [("linf", 2), ("l2", 2), ("l1", 2), ("l2", 3), ("l1", 3)])
def test_points_fill_the_ball_uniformly(norm: Norm, dimensions: int) -> None:
    """Of a uniform draw the share within half the radius is 2^-d; checked to four standard errors."""
    count = 2000
    draws = Draws.of("craft", 1, [str(i).encode() for i in range(count)])
    points = torch.from_numpy(uniform_in_ball(draws, (1, 1, dimensions), norm, 3.0))
    distance = Threat(norm=norm, epsilon=3.0).distance(torch.zeros_like(points), points)
    expected = 0.5**dimensions
    error = (expected * (1 - expected) / count) ** 0.5
    assert abs(float((distance < 1.5).double().mean()) - expected) < 4 * error
    assert points.mean(0).abs().max() < 0.15


def test_null_returns_its_input(surface_of: MakeSurface) -> None:
    x = images(SHAPE)
    batch = Batch(x, torch.zeros(len(x), dtype=torch.int64), draws_for(x), 0)
    found = Null().run(surface_of(Tiny(SHAPE), SHAPE), batch, Threat(norm="linf", epsilon=0.1)).x_adv
    assert torch.equal(found, x)
    assert found.data_ptr() != x.data_ptr()


@pytest.mark.parametrize("shape", [SHAPE, (1, 28, 28)])
@pytest.mark.parametrize(("norm", "radius"), RADII.items())
def test_a_jpeg_shift_lies_in_the_ball_and_moves_images(
    norm: Norm, radius: float, shape: tuple[int, int, int], surface_of: MakeSurface
) -> None:
    x = images(shape, 6)
    threat = Threat(norm=norm, epsilon=radius)
    surface = surface_of(Tiny(shape), shape, "decision")
    batch = Batch(x, torch.zeros(len(x), dtype=torch.int64), draws_for(x), 0)
    found = JpegShift().run(surface, batch, threat).x_adv
    assert surface.queries.forward == 0
    assert threat.contains(x, found).all()
    assert ((found >= 0) & (found <= 1)).all()
    assert (threat.distance(x, found) > 0.2 * radius).all()
    assert torch.equal(JpegShift().run(surface, batch, threat).x_adv, found)


def test_a_jpeg_shift_in_a_large_ball_is_what_pillow_reads_back(surface_of: MakeSurface) -> None:
    x = images(SHAPE, 2)
    batch = Batch(x, torch.zeros(2, dtype=torch.int64), draws_for(x), 0)
    coarse, fine = (
        JpegShift(quality=q).run(surface_of(Tiny(SHAPE), SHAPE, "decision"), batch, Threat(norm="linf", epsilon=1.0))
        for q in (5, 100)
    )
    values = (x[0] * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    file = io.BytesIO()
    Image.fromarray(values).save(file, "JPEG", quality=5)
    expected = torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1)
    assert torch.equal((coarse.x_adv[0] * 255).round().to(torch.uint8), expected)
    assert (fine.x_adv - x).square().mean() < (coarse.x_adv - x).square().mean()
