"""How codes travel: bytes of one image, in the order C, H, W; the server knows levels, shape and coding beforehand.

========= ===================================================================================================
packed    ceil(log2 levels) bits a code, most significant first, zero bits up to a byte
radix     one big-endian number whose digits are the codes in base ``levels``: ceil(n log2(levels) / 8) bytes
deflate   one header byte, then zlib level 9 over the packed bytes; its first bit is 0 where those are smaller
          and are sent as they are
========= ===================================================================================================
"""

from __future__ import annotations

import zlib
from typing import Final

import numpy as np

from bench.deployment.packing import Codes, pack, packed_length, unpack

CODINGS: Final = ("packed", "radix", "deflate")
_AS_PACKED, _DEFLATED = b"\x00", b"\x80"


def encode(codes: Codes, levels: int, coding: str) -> bytes:
    """Return the bytes of one image's codes.

    Parameters
    ----------
    codes : uint8, (n,), below ``levels``
    coding : one of ``CODINGS``
    """
    if coding == "packed":
        return pack(codes, _bits(levels))
    if coding == "radix":
        return _to_radix(codes, levels)
    if coding == "deflate":
        packed = pack(codes, _bits(levels))
        deflated = zlib.compress(packed, 9)
        return _DEFLATED + deflated if len(deflated) < len(packed) else _AS_PACKED + packed
    raise ValueError(f"Unknown coding {coding!r}; expected one of {', '.join(CODINGS)}.")


def decode(payload: bytes, count: int, levels: int, coding: str) -> Codes:
    """Return the ``count`` codes of one image, uint8, (count,).

    Raises
    ------
    ValueError : the payload is not what ``encode`` gives for so many codes
    """
    if coding == "packed":
        codes = unpack(payload, count, _bits(levels))
    elif coding == "radix":
        codes = _from_radix(payload, count, levels)
    elif coding == "deflate":
        codes = unpack(_inflate(payload, packed_length(count, _bits(levels))), count, _bits(levels))
    else:
        raise ValueError(f"Unknown coding {coding!r}; expected one of {', '.join(CODINGS)}.")
    if count and codes.max() >= levels:
        raise ValueError(f"Payload holds code {codes.max()}; expected codes below {levels}.")
    return codes


def _bits(levels: int) -> int:
    return (levels - 1).bit_length()


def _inflate(payload: bytes, length: int) -> bytes:
    header, body = payload[:1], payload[1:]
    if header == _AS_PACKED:
        return body
    if header != _DEFLATED:
        raise ValueError(f"Payload starts with {header!r}; expected {_AS_PACKED!r} or {_DEFLATED!r}.")
    try:
        return zlib.decompressobj().decompress(body, length + 1)  # a bound: no payload unfolds into gigabytes
    except zlib.error as error:
        raise ValueError(f"Payload does not inflate: {error}.") from error


def _radix_length(count: int, levels: int) -> int:
    largest: int = levels**count - 1
    return (largest.bit_length() + 7) // 8


def _to_radix(codes: Codes, levels: int) -> bytes:
    """Join digits two by two, then pairs, and so on: far cheaper than one multiplication a digit."""
    digits, base = [int(code) for code in codes], levels
    while len(digits) > 1:
        if len(digits) % 2:
            digits.insert(0, 0)
        digits = [high * base + low for high, low in zip(digits[::2], digits[1::2], strict=True)]
        base *= base
    return sum(digits).to_bytes(_radix_length(len(codes), levels), "big")


def _from_radix(payload: bytes, count: int, levels: int) -> Codes:
    _expect_length(payload, _radix_length(count, levels))
    number = int.from_bytes(payload, "big")
    if number >= levels**count:
        raise ValueError(f"Payload is no number of {count} digits in base {levels}.")
    bases = [levels]
    while 2 ** len(bases) < count:
        bases.append(bases[-1] ** 2)
    digits = [number]
    for base in reversed(bases):
        digits = [part for digit in digits for part in divmod(digit, base)]
    return np.array(digits[len(digits) - count :], dtype=np.uint8)


def _expect_length(payload: bytes, length: int) -> None:
    if len(payload) != length:
        raise ValueError(f"Payload has {len(payload)} bytes; expected {length}.")
