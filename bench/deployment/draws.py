"""Randomness of a deployment: one independent stream an image, whatever batch it stands in.

A stream is named by (domain, seed, image, draw) and by the name under which a stage asks. Nothing of that can be read
back from a ``Draws``: a stage can draw, and cannot tell which image it sees.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Domain = Literal["craft", "select", "score", "probe", "profile"]


@dataclass(frozen=True)
class Draws:
    """The streams of one batch.

    Attributes
    ----------
    keys : 16 bytes an image, opaque
    """

    keys: tuple[bytes, ...]

    @classmethod
    def of(cls, domain: Domain, seed: int, images: Sequence[bytes], draw: int = 0) -> Draws:
        """Return the streams of draw number ``draw`` for images named by their digests."""
        prefix = f"{domain}/{seed}/{draw}/".encode()
        return cls(tuple(blake2b(prefix + image, digest_size=16).digest() for image in images))

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, rows: slice | Sequence[int] | NDArray[np.int64]) -> Draws:
        if isinstance(rows, slice):
            return Draws(self.keys[rows])
        return Draws(tuple(self.keys[int(row)] for row in rows))

    def spawn(self, label: str) -> Draws:
        """Return other, independent streams of the same images."""
        suffix = label.encode()
        return Draws(tuple(blake2b(key + suffix, digest_size=16).digest() for key in self.keys))

    def seeds(self, name: str) -> NDArray[np.uint64]:
        """Return one 64-bit seed an image, uint64, (B,): what a device would draw and could send."""
        return np.array([int.from_bytes(k[:8], "little") for k in self.spawn(name).keys], dtype=np.uint64)

    def uniform(self, name: str, *shape: int) -> NDArray[np.float64]:
        """Return uniform numbers in [0, 1), float64, (B, *shape)."""
        return np.stack([generator.random(shape) for generator in self._generators(name)])

    def normal(self, name: str, *shape: int) -> NDArray[np.float64]:
        """Return standard normal numbers, float64, (B, *shape)."""
        return np.stack([generator.standard_normal(shape) for generator in self._generators(name)])

    def _generators(self, name: str) -> list[np.random.Generator]:
        return [np.random.Generator(np.random.Philox(key=int.from_bytes(k, "little"))) for k in self.spawn(name).keys]
