"""Small whole numbers in whole bits: what a stage sends that leaves fewer than 256 values."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.uint8]


def packed_length(count: int, bits: int) -> int:
    """Return the bytes that ``count`` codes of ``bits`` bits take."""
    return -(-count * bits // 8)


def pack(codes: Codes, bits: int) -> bytes:
    """Return codes, uint8, (n,), below 2^bits, most significant bit first, with zero bits up to a byte."""
    rows = np.unpackbits(codes[:, None], axis=1)[:, 8 - bits :]
    return np.packbits(rows.reshape(-1)).tobytes()


def unpack(payload: bytes, count: int, bits: int) -> Codes:
    """Return the ``count`` codes that ``pack`` made these bytes of.

    Raises
    ------
    ValueError : another number of bytes
    """
    length = packed_length(count, bits)
    if len(payload) != length:
        raise ValueError(f"Payload has {len(payload)} bytes; expected {length}.")
    rows = np.unpackbits(np.frombuffer(payload, np.uint8), count=count * bits).reshape(count, bits)
    padded = np.zeros((count, 8), np.uint8)
    padded[:, 8 - bits :] = rows
    return np.packbits(padded, axis=1)[:, 0]
