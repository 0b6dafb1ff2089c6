"""Divide a data set's official training images into pools that never overlap.

Membership is a function of the image's own bytes, not of its position: equal images always fall into the same
pool, and an image that also stands in the official test set falls into none.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Literal

import numpy as np
from numpy.typing import NDArray

PoolName = Literal["train", "development", "calibration"]
Images = NDArray[np.uint8]
_DIGEST_BYTES = 16


def image_digests(images: Images) -> list[bytes]:
    """Return one digest per image, a function of its shape and its bytes.

    Parameters
    ----------
    images : uint8, (N, C, H, W)

    Returns
    -------
    list of bytes, N entries of 16 bytes
    """
    shape = repr(images.shape[1:]).encode()
    return [blake2b(image.tobytes(), digest_size=_DIGEST_BYTES, person=shape[:16]).digest() for image in images]


def divide(
    train_images: Images, test_images: Images, *, split_seed: int, held_out_share: float = 0.02
) -> dict[PoolName, NDArray[np.int64]]:
    """Return the positions in the official training set that belong to each pool.

    Parameters
    ----------
    train_images, test_images : uint8, (N, C, H, W), the official sets
    split_seed : names the division; it stands on the card of weights trained on it
    held_out_share : expected share of the training images in the development pool, and again in the calibration pool

    Returns
    -------
    dict from pool name to sorted positions, int64
    """
    key = f"pools/{split_seed}".encode()
    tested = set(image_digests(test_images))
    members: dict[PoolName, list[int]] = {"train": [], "development": [], "calibration": []}
    for position, digest in enumerate(image_digests(train_images)):
        if digest in tested:
            continue
        draw = int.from_bytes(blake2b(digest, digest_size=8, key=key).digest(), "big") / 2**64
        pool: PoolName = (
            "development" if draw < held_out_share else "calibration" if draw < 2 * held_out_share else "train"
        )
        members[pool].append(position)
    return {name: np.asarray(positions, dtype=np.int64) for name, positions in members.items()}
