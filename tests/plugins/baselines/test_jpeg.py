"""JPEG: the real codec on the wire, and the tensor form behind its surrogates."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from bench.deployment import Signal
from bench.errors import DamagedObject
from bench_baselines.jpeg import FORMS, JpegCodec, JpegCompression
from bench_baselines.jpeg_transform import compress, quantisation_table
from bench_baselines.rounding import cubic_round, soft_round

SHAPES = [(3, 32, 32), (1, 28, 28), (3, 29, 31)]


def half_away(v):
    """Return ``v`` rounded to integers as the codec rounds, halves away from zero."""
    return torch.sign(v) * torch.floor(v.abs() + 0.5)


def pillow(x, quality, subsampling="4:2:0"):
    """Return what Pillow makes of images on the 8-bit grid, (B, C, H, W)."""
    out = []
    for image in (x * 255).round().to(torch.uint8).numpy():
        file = io.BytesIO()
        picture = Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0))
        picture.save(file, "JPEG", quality=quality, subsampling=subsampling)
        values = np.asarray(Image.open(file))
        out.append(values[None] if values.ndim == 2 else values.transpose(2, 0, 1))
    return torch.from_numpy(np.stack(out).astype(np.float32) / np.float32(255))


@pytest.mark.parametrize("quality", [1, 25, 49, 50, 75, 90, 100])
def test_quantisation_tables_are_those_in_pillows_files(quality) -> None:
    file = io.BytesIO()
    Image.new("RGB", (16, 16)).save(file, "JPEG", quality=quality)
    tables = Image.open(file).quantization
    for index, chroma in ((0, False), (1, True)):
        assert quantisation_table(quality, chroma=chroma).flatten().tolist() == list(tables[index])


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("subsampling", ["4:2:0", "4:4:4"])
def test_the_stage_is_pillows_jpeg_to_the_bit(photographs, signal, shape, subsampling) -> None:
    x = photographs[:8, : shape[0], : shape[1], : shape[2]]
    for quality in (10, 75, 95):
        stage = JpegCompression(shape, quality=quality, subsampled=subsampling == "4:2:0")
        assert torch.equal(stage(signal(x)).x, pillow(x, quality, subsampling))


def test_the_stage_is_arts_jpeg_to_the_bit(photographs, signal) -> None:
    art = pytest.importorskip("art.defences.preprocessor")
    for x in (photographs[:6], photographs[:6, :1]):
        # ART cuts off where it converts to bytes; half a level more makes it round.
        given = ((x * 255).round() + 0.5) / 255
        expected, _ = art.JpegCompression((0.0, 1.0), quality=60, channels_first=True)(given.clamp(max=1).numpy())
        stage = JpegCompression(tuple(x.shape[1:]), quality=60)
        np.testing.assert_allclose(stage(signal(x)).x.numpy(), expected, atol=1e-7)


# Largest mean difference in grey levels, largest share of values that differ by more than one level.
@pytest.mark.parametrize("quality", [10, 50, 75, 90, 100])
@pytest.mark.parametrize(("shape", "mean", "share"), [((1, 32, 32), 0.05, 0.01), ((3, 32, 32), 0.2, 0.05)])
def test_the_tensor_form_is_near_pillows(photographs, quality, shape, mean, share) -> None:
    x = photographs[:, : shape[0]]
    for subsampling in ("4:2:0", "4:4:4"):
        ours = compress(x, quality, subsampled=subsampling == "4:2:0", rounding=half_away)
        levels = 255 * (ours - pillow(x, quality, subsampling)).abs()
        assert levels.mean() < mean
        assert (levels > 1.5).float().mean() < share
    # As far as that from the image itself, the tensor form is clearly the codec.
    assert quality == 100 or levels.mean() < (255 * (x - pillow(x, quality))).abs().mean() / 10


@pytest.mark.parametrize("height", [7, 8, 9, 16, 17, 31])
def test_incomplete_blocks_are_filled_as_the_codec_fills_them(photographs, height) -> None:
    x = photographs[:12, :, :height, :13]
    for subsampling in ("4:2:0", "4:4:4"):
        ours = compress(x, 75, subsampled=subsampling == "4:2:0", rounding=half_away)
        assert (255 * (ours - pillow(x, 75, subsampling)).abs()).mean() < 0.2


def test_a_flat_image_comes_back_as_it_was(signal) -> None:
    x = torch.full((1, 3, 16, 16), 102 / 255)
    assert torch.equal(compress(x, 100, subsampled=True, rounding=half_away), x)
    assert torch.equal(JpegCompression((3, 16, 16), quality=100)(signal(x)).x, x)


def test_surrogates_sharpen_towards_the_codec(photographs, signal) -> None:
    x, stage = photographs[:8], JpegCompression((3, 32, 32), quality=50)
    exact = stage(signal(x)).x
    soft = [(stage.surrogates["soft"](signal(x), p).x - exact).abs().mean().item() for p in (0.0, 0.5, 1.0)]
    assert soft[0] > soft[1] > soft[2]
    assert soft[2] < (x - exact).abs().mean() / 2
    assert (stage.surrogates["cubic"](signal(x), 0.0).x - exact).abs().mean() < (x - exact).abs().mean() / 2
    assert torch.equal(stage.surrogates["identity"](signal(x), 0.0).x, x)


@pytest.mark.parametrize("subsampled", [True, False])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_surrogates_derivative_is_that_of_the_transformation_without_its_whole_numbers(
    photographs, subsampled, channels
) -> None:
    """With a linear stand-in for the rounding of coefficients JPEG is linear, but for roundings that average out."""
    x = photographs[:2, :channels, :16, :16] * 0.4 + 0.3
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(x.shape, generator=generator)
    directions = torch.randn(24, *x.shape, generator=generator).sign()

    def through(images):
        return (compress(images, 60, subsampled=subsampled, rounding=lambda v: 0.5 * v) * weights).sum()

    x.requires_grad_(True)
    (gradient,) = torch.autograd.grad(through(x), x)
    predicted = (directions * gradient).flatten(1).sum(1)
    with torch.no_grad():
        measured = torch.stack([(through(x + 0.2 * d) - through(x - 0.2 * d)) / 0.4 for d in directions])
    assert (predicted - measured).norm() < 0.03 * predicted.norm()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("shape", SHAPES)
def test_what_the_server_gets_is_what_the_bytes_say(photographs, signal, shape, form) -> None:
    x = photographs[:4, : shape[0], : shape[1], : shape[2]]
    stage = JpegCompression(shape, wire_format=form)
    assert stage.wire_formats[0] == form
    leaving = stage(signal(x))
    payloads = stage.encode(leaving)
    like = Signal(torch.full_like(x, torch.nan), leaving.draws)
    arrived = stage.decode(payloads, like)
    assert torch.equal(arrived.x, leaving.x)
    assert torch.equal(arrived.x, stage.cross(leaving).x)
    assert not arrived.side
    assert not stage.cross(leaving).side
    if form == "file":
        assert torch.equal(arrived.x[0], pillow(x[:1], 75)[0])
        assert Image.open(io.BytesIO(payloads[0])).format == "JPEG"


def test_the_scan_spares_exactly_what_both_ends_know(photographs, signal) -> None:
    stage = JpegCompression((3, 32, 32))
    leaving = stage(signal(photographs[:5]))
    files, scans = stage.encode(leaving, "file"), stage.encode(leaving, "scan")
    saved = {len(file) - len(scan) for file, scan in zip(files, scans, strict=True)}
    assert saved == {stage.facts["header_bytes"]}
    assert all(scan in file for file, scan in zip(files, scans, strict=True))


def test_what_a_surrogate_leaves_of_the_values_is_put_right_at_the_border(photographs, signal) -> None:
    stage = JpegCompression((3, 32, 32))
    x = photographs[:2].clone().requires_grad_(True)
    exact = stage(signal(x))
    blurred = exact.replace(exact.x + 0.1 * x)
    assert torch.equal(stage.cross(blurred).x, exact.x)
    (gradient,) = torch.autograd.grad(stage.cross(blurred).x.sum(), x)
    assert torch.allclose(gradient, torch.full_like(x, 0.1))


@pytest.mark.parametrize(
    ("payload", "message"), [(b"", "no JPEG file"), (b"\x89PNG\r\n\x1a\n", "no JPEG file"), (None, "expected")]
)
def test_bytes_that_are_no_such_image_are_refused(payload, message) -> None:
    codec = JpegCodec((3, 32, 32), 75, subsampled=True)
    if payload is None:
        payload = JpegCodec((1, 28, 28), 75, subsampled=True).encode(np.zeros((1, 28, 28), np.uint8))
    with pytest.raises(DamagedObject, match=message):
        codec.decode(payload)


def test_a_truncated_file_is_refused(photographs) -> None:
    codec = JpegCodec((3, 32, 32), 75, subsampled=True)
    payload = codec.encode((photographs[0] * 255).round().to(torch.uint8).numpy())
    with pytest.raises(DamagedObject, match="no JPEG file"):
        codec.decode(payload[: len(codec.header) + 20])


def test_the_device_pays_for_colours_and_one_separable_transform_a_sample() -> None:
    assert JpegCompression((1, 28, 28)).macs_declared == 16 * 784
    assert JpegCompression((3, 32, 32)).macs_declared == 1024 * (9 + 16 * 3 // 2)
    assert JpegCompression((3, 32, 32), subsampled=False).macs_declared == 1024 * (9 + 16 * 3)


@pytest.mark.parametrize("hardness", [0.01, 2.0, 12.0, 60.0])
def test_soft_rounding_keeps_integers_and_halves_and_never_falls(hardness) -> None:
    v = torch.linspace(-3, 3, 1201, dtype=torch.float64, requires_grad=True)
    out = soft_round(v, hardness)
    assert torch.allclose(out[::100], v[::100], atol=1e-9)
    (slope,) = torch.autograd.grad(out.sum(), v)
    assert (slope > 0).all() if hardness < 20 else (slope >= 0).all()  # beyond, float64 is at its end
    assert (out - v).abs().max() <= 0.5
    if hardness < 0.1:
        assert torch.allclose(out, v, atol=1e-4)
    if hardness > 50:
        away = (v - v.round()).abs() < 0.4
        assert torch.allclose(out[away], v.round()[away], atol=0.01)


def test_cubic_rounding_is_exact_at_integers_and_flat_there() -> None:
    v = torch.tensor([-1.0, 0.0, 2.0, 0.4], requires_grad=True)
    out = cubic_round(v)
    assert torch.allclose(out, torch.tensor([-1.0, 0.0, 2.0, 0.064]))
    (slope,) = torch.autograd.grad(out.sum(), v)
    assert torch.allclose(slope, torch.tensor([0.0, 0.0, 0.0, 0.48]))
