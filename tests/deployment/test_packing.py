from __future__ import annotations

import numpy as np
import pytest

from bench.deployment.packing import pack, packed_length, unpack


@pytest.mark.parametrize(
    ("codes", "bits", "payload"),
    [([0, 1, 2, 3], 2, b"\x1b"), ([1, 0, 1], 1, b"\xa0"), ([5, 2], 3, b"\xa8"), ([255, 1], 8, b"\xff\x01")],
)
def test_codes_stand_with_their_most_significant_bit_first(codes, bits, payload) -> None:
    assert pack(np.array(codes, np.uint8), bits) == payload


@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize("count", [1, 7, 8, 784])
def test_codes_of_every_width_survive(bits, count) -> None:
    codes = np.random.default_rng(bits).integers(0, 2**bits, count).astype(np.uint8)
    payload = pack(codes, bits)
    assert len(payload) == packed_length(count, bits) == -(-count * bits // 8)
    np.testing.assert_array_equal(unpack(payload, count, bits), codes)


def test_a_payload_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="2 bytes; expected 1"):
        unpack(b"\x00\x00", 4, 2)
