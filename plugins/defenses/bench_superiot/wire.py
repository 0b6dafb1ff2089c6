"""What the device sends: kept values at 8 bit, and what the server needs to place them.

================  ==============================================================================================
form              bytes of an image with P pixels, C channels, N windows of n pixels, K dropped, D = N K
================  ==============================================================================================
``seed``          16 + (P - D) C: header, seed, kept values
``raw``           P C: as many as the whole image; the room of dropped pixels holds the seed, then zeros
``bitmask``       8 + ceil(P / 8) + (P - D) C: header, one bit a pixel, kept values
``combi``         8 + ceil(N ceil(log2 binom(n, K)) / 8) + (P - D) C: header, rank of each window's subset, kept values
``coded``         16 + deflate: as ``seed``; each kept value minus that of the pixel before, zlib level 9 (ours)
================  ==============================================================================================

A value is its pixel's channels one after the other; pixels are in row-major order; numbers are little-endian.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bench.errors import DamagedObject
from bench_superiot.forms import FORMS, SEED_BYTES, forms
from bench_superiot.masks import random_mask
from bench_superiot.windows import Mask, Windows

_VERSION: Final = 1
_HEADER_BYTES: Final = 8


@dataclass(frozen=True)
class Wire:
    """Both ends of the uplink for images of one shape.

    Attributes
    ----------
    regular : the positions are known beforehand; the seed is sent all the same and not used
    """

    windows: Windows
    regular: bool = False

    @property
    def forms(self) -> tuple[str, ...]:
        """Forms that these images can be sent in: ``raw`` needs dropped pixels enough to hold the seed."""
        return forms(self.windows.room)

    def encode(self, values: NDArray[np.uint8], mask: Mask, seed: int, form: str) -> bytes:
        """Return what is sent of one image.

        Parameters
        ----------
        values : uint8, (C, H, W)
        mask : bool, (H, W), the dropped pixels
        seed : that the mask was drawn from
        """
        kept = np.ascontiguousarray(values[:, ~mask].T)  # (P - D, C)
        seeded = seed.to_bytes(SEED_BYTES, "little")
        if form == "raw":
            body = kept.tobytes() + seeded
            return body.ljust(values.size, b"\0")
        if form == "seed":
            return self._header(form) + seeded + kept.tobytes()
        if form == "coded":
            differences = np.diff(kept, axis=0, prepend=np.zeros_like(kept[:1]))
            return self._header(form) + seeded + zlib.compress(differences.tobytes(), 9)
        if form == "bitmask":
            return self._header(form) + np.packbits(mask).tobytes() + kept.tobytes()
        return self._header(form) + self._ranks(mask) + kept.tobytes()

    def decode(self, payload: bytes, form: str) -> tuple[NDArray[np.uint8], Mask]:
        """Return the values, uint8, (C, H, W), 0 where dropped, and the mask, bool, (H, W).

        Raises
        ------
        DamagedObject : the bytes are not such an image's
        """
        try:
            return self._decoded(payload, form)
        except (ValueError, zlib.error) as error:
            raise DamagedObject(
                f"A payload of {len(payload)} bytes is no SUPER-IOT image in form {form!r}: {error}."
            ) from None

    def _decoded(self, payload: bytes, form: str) -> tuple[NDArray[np.uint8], Mask]:
        size = self.windows.kept * self.windows.channels
        if form == "raw":
            mask = self.drawn(int.from_bytes(payload[size : size + SEED_BYTES], "little"))
            return self._placed(payload[:size], mask), mask
        if payload[:_HEADER_BYTES] != self._header(form):
            raise ValueError("its header names another shape, window, ratio, form or version")
        body = payload[_HEADER_BYTES:]
        if form in ("seed", "coded"):
            mask = self.drawn(int.from_bytes(body[:SEED_BYTES], "little"))
            body = body[SEED_BYTES:]
            if form == "coded":
                body = self._summed(zlib.decompress(body))
            return self._placed(body, mask), mask
        if form == "bitmask":
            pixels = self.windows.height * self.windows.width
            bits = np.unpackbits(np.frombuffer(body[: -(-pixels // 8)], dtype=np.uint8), count=pixels)
            mask = bits.astype(bool).reshape(self.windows.height, self.windows.width)
            if not np.array_equal(mask, self.windows.mask(self.windows.positions(mask))):
                raise ValueError("its mask does not drop the same number of pixels in every window")
            return self._placed(body[-(-pixels // 8) :], mask), mask
        mask = self._ranked(body[: self._rank_bytes])
        return self._placed(body[self._rank_bytes :], mask), mask

    def drawn(self, seed: int) -> Mask:
        """Return the mask that both ends compute from a seed, bool, (H, W)."""
        windows = self.windows
        return windows.mask(windows.regular_positions()) if self.regular else random_mask(windows, seed)

    def _header(self, form: str) -> bytes:
        """Return 8 bytes: version and form, channels, height and width (12 bit each), window, dropped, pattern."""
        w = self.windows
        sides = (w.height | w.width << 12).to_bytes(3, "little")
        kind = _VERSION << 4 | FORMS.index(form)
        return (
            bytes([kind, w.channels]) + sides + bytes([w.size]) + (w.dropped | self.regular << 15).to_bytes(2, "little")
        )

    def _placed(self, kept: bytes, mask: Mask) -> NDArray[np.uint8]:
        values = np.zeros((self.windows.channels, *mask.shape), dtype=np.uint8)
        values[:, ~mask] = np.frombuffer(kept, dtype=np.uint8).reshape(-1, self.windows.channels).T
        return values

    def _summed(self, differences: bytes) -> bytes:
        rows = np.frombuffer(differences, dtype=np.uint8).reshape(-1, self.windows.channels)
        return np.cumsum(rows, axis=0, dtype=np.uint8).tobytes()

    @property
    def _rank_bits(self) -> int:
        return (math.comb(self.windows.pixels, self.windows.dropped) - 1).bit_length()

    @property
    def _rank_bytes(self) -> int:
        return -(-self.windows.count * self._rank_bits // 8)

    def _ranks(self, mask: Mask) -> bytes:
        """Return the rank of each window's subset in the combinatorial number system, packed."""
        packed = 0
        for i, positions in enumerate(self.windows.positions(mask).tolist()):
            rank = sum(math.comb(position, k + 1) for k, position in enumerate(positions))
            packed |= rank << i * self._rank_bits
        return packed.to_bytes(self._rank_bytes, "little")

    def _ranked(self, ranks: bytes) -> Mask:
        packed = int.from_bytes(ranks, "little")
        rows = []
        for i in range(self.windows.count):
            rank = packed >> i * self._rank_bits & (1 << self._rank_bits) - 1
            if rank >= math.comb(self.windows.pixels, self.windows.dropped):
                raise ValueError(f"window {i} has no subset of rank {rank}")
            positions, position = [], self.windows.pixels - 1
            for k in range(self.windows.dropped, 0, -1):
                while math.comb(position, k) > rank:
                    position -= 1
                rank -= math.comb(position, k)
                positions.append(position)
            rows.append(positions[::-1])
        shape = (self.windows.count, self.windows.dropped)
        return self.windows.mask(np.array(rows, dtype=np.int64).reshape(shape))
