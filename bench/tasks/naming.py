"""What an attack on a block of images is called where it draws."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b


def names_of(attack: str, seed: int, digests: Sequence[bytes]) -> tuple[bytes, int]:
    """Return what names an attack on a block to its surface, and the seed of generators that it brings itself.

    Parameters
    ----------
    digests : of the block's images
    """
    block = blake2b(b"".join(digests), digest_size=8).digest()
    own = blake2b(f"{attack}/{seed}".encode() + block, digest_size=4).digest()
    return attack.encode() + block, int.from_bytes(own, "little")
