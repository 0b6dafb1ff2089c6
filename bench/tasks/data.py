"""Read a data set's official test images, and apart from them its labels, into the store."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from bench.data import Images, Source, image_digests
from bench.errors import ContractViolation
from bench.store import Store
from bench.tasks.building import implementation
from bench.tasks.outcome import Outcome


def read_images(spec: Mapping[str, Any], store: Store) -> Outcome:
    """Return the test images with their digests; the meta data says what the data set is."""
    source: Source = implementation(spec["source"])
    root = Path(spec["root"])
    if spec["download"]:
        source.download(root)
    images = _checked(spec, source.load(root, "test"))
    digests = image_digests(images.x)
    training = blake2b(digest_size=16)
    loaded = _checked(spec, source.load(root, "train"))
    for digest in image_digests(loaded.x):
        training.update(digest)
    training.update(loaded.y.astype(np.int64).tobytes())
    return Outcome(
        tensors={"x": images.x, "digests": np.frombuffer(b"".join(digests), dtype=np.uint8).reshape(len(digests), -1)},
        meta={
            "shape": list(images.x.shape[1:]),
            "class_names": list(source.class_names()),
            "count": len(images.x),
            "test_fingerprint": blake2b(
                b"".join(digests) + images.y.astype(np.int64).tobytes(), digest_size=16
            ).hexdigest(),
            "train_fingerprint": training.hexdigest(),
        },
    )


def read_labels(spec: Mapping[str, Any], store: Store) -> Outcome:
    """Return the test labels."""
    source: Source = implementation(spec["source"])
    return Outcome(tensors={"y": source.load(Path(spec["root"]), "test").y.astype(np.int64)})


def _checked(spec: Mapping[str, Any], images: Images) -> Images:
    x, y = images.x, images.y
    if x.dtype != np.uint8 or x.ndim != 4 or y.shape != x.shape[:1] or not len(x):
        raise ContractViolation(
            f"Data set {spec['source']['factory']} gave images {x.dtype} {x.shape} and labels {y.shape}; "
            "expected uint8 (N, C, H, W) and (N,)."
        )
    return images
