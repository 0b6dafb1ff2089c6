"""Codes on the wire: three hand-made payloads, sizes, round trips, refusals."""

from __future__ import annotations

import math
import os
import zlib
from pathlib import Path

import numpy as np
import pytest

from bench_qusecnets import wire


def _codes(count: int, levels: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, levels, count).astype(np.uint8)


@pytest.mark.parametrize(
    ("codes", "levels", "coding", "payload"),
    [([0, 1, 2, 3], 4, "packed", b"\x1b"), ([1, 0, 1], 2, "packed", b"\xa0"), ([0, 1, 2, 1, 0], 3, "radix", b"\x30")],
)
def test_payloads_are_as_specified(codes, levels, coding, payload) -> None:
    assert wire.encode(np.array(codes, np.uint8), levels, coding) == payload


@pytest.mark.parametrize("coding", wire.CODINGS)
def test_every_number_of_levels_survives_the_round_trip(coding) -> None:
    for levels in range(2, 257):
        codes = _codes(1 + levels % 37, levels, seed=levels)
        codes[-1] = levels - 1
        np.testing.assert_array_equal(
            wire.decode(wire.encode(codes, levels, coding), len(codes), levels, coding), codes
        )


@pytest.mark.parametrize(
    ("levels", "packed", "radix", "colour_packed", "colour_radix"),
    [
        (2, 98, 98, 384, 384),
        (3, 196, 156, 768, 609),
        (4, 196, 196, 768, 768),
        (6, 294, 254, 1152, 993),
        (8, 294, 294, 1152, 1152),
        (16, 392, 392, 1536, 1536),
        (32, 490, 490, 1920, 1920),
        (256, 784, 784, 3072, 3072),
    ],
)
def test_sizes_are_as_specified(levels, packed, radix, colour_packed, colour_radix) -> None:
    for count, sizes in ((784, (packed, radix)), (3072, (colour_packed, colour_radix))):
        codes = _codes(count, levels)
        assert tuple(len(wire.encode(codes, levels, coding)) for coding in ("packed", "radix")) == sizes
        assert sizes == (math.ceil(count * math.ceil(math.log2(levels)) / 8), math.ceil(count * math.log2(levels) / 8))


def test_deflate_sends_the_smaller_form_and_costs_one_header_byte() -> None:
    flat = np.zeros(784, np.uint8)
    assert len(wire.encode(flat, 4, "deflate")) == 1 + len(zlib.compress(bytes(196), 9))
    noise = _codes(784, 4)
    assert wire.encode(noise, 4, "deflate") == b"\x00" + wire.encode(noise, 4, "packed")


@pytest.mark.parametrize(
    ("payload", "count", "levels", "coding", "message"),
    [
        (b"\x00\x00", 4, 4, "packed", "2 bytes; expected 1"),
        (b"\xff", 4, 3, "packed", "code 3; expected codes below 3"),
        (b"\xff", 5, 3, "radix", "no number of 5 digits"),
        (b"", 4, 4, "deflate", "starts with"),
        (b"\x80abc", 4, 4, "deflate", "does not inflate"),
        (b"\x80" + zlib.compress(bytes(10**6)), 4, 4, "deflate", "expected 1"),
        (b"\x00", 4, 4, "huffman", "Unknown coding"),
    ],
)
def test_a_damaged_payload_is_refused(payload, count, levels, coding, message) -> None:
    with pytest.raises(ValueError, match=message):
        wire.decode(payload, count, levels, coding)


@pytest.mark.parametrize(("levels", "mean", "largest"), [(2, 67.3, 84), (4, 86.6, 134), (16, 128.2, 192)])
def test_mnist_test_images_deflate_to_the_published_sizes(levels, mean, largest) -> None:
    path = Path(os.environ.get("BENCH_DATA_DIR", "")) / "MNIST" / "raw" / "t10k-images-idx3-ubyte"
    if not os.environ.get("BENCH_DATA_DIR") or not path.exists():
        pytest.skip(f"needs MNIST below BENCH_DATA_DIR ({path})")
    greys = np.frombuffer(path.read_bytes(), np.uint8, offset=16).reshape(-1, 784).astype(int)
    codes = np.minimum(greys * levels // 255, levels - 1).astype(np.uint8)
    sizes = [len(wire.encode(row, levels, "deflate")) - 1 for row in codes]  # the header is counted apart
    assert np.mean(sizes) == pytest.approx(mean, rel=0.02)  # zlib builds differ
    assert max(sizes) == pytest.approx(largest, rel=0.05)
