"""Read the images that a run attacks, and apart from them their labels, into the store."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bench.data import Images, Source, divide, fingerprint, image_digests
from bench.errors import ContractViolation, UsageError
from bench.store import Store
from bench.tasks.building import implementation
from bench.tasks.outcome import Outcome


def read_images(spec: Mapping[str, Any], store: Store) -> Outcome:
    """Return the images that are attacked, with their digests; the meta data says what the data set is."""
    source: Source = implementation(spec["source"])
    root = Path(spec["root"])
    if spec["download"]:
        source.download(root)
    tested, training = _checked(spec, source.load(root, "test")), _checked(spec, source.load(root, "train"))
    images = _attacked(spec, tested, training)
    digests = image_digests(images.x)
    return Outcome(
        tensors={"x": images.x, "digests": np.frombuffer(b"".join(digests), dtype=np.uint8).reshape(len(digests), -1)},
        meta={
            "shape": list(images.x.shape[1:]),
            "class_names": list(source.class_names()),
            "count": len(images.x),
            "fingerprint": fingerprint(images),
            "test_fingerprint": fingerprint(tested),
            "train_fingerprint": fingerprint(training),
        },
    )


def read_labels(spec: Mapping[str, Any], store: Store) -> Outcome:
    """Return the labels of the images that are attacked."""
    source: Source = implementation(spec["source"])
    root = Path(spec["root"])
    images = _attacked(spec, source.load(root, "test"), source.load(root, "train"))
    return Outcome(tensors={"y": images.y.astype(np.int64)})


def _attacked(spec: Mapping[str, Any], tested: Images, training: Images) -> Images:
    """Return the official test images, or the training images of the pool that ``spec`` names."""
    if "pool" not in spec:
        return tested
    pools = divide(training.x, tested.x, split_seed=spec["split_seed"], held_out_share=spec["held_out_share"])
    members = pools[spec["pool"]]
    if not len(members):
        raise UsageError(
            f"Data set {spec['source']['factory']} has no image in its {spec['pool']} pool: of its training images, "
            f"{spec['held_out_share']:.0%} are meant to fall into it."
        )
    return Images(training.x[members], training.y[members])


def _checked(spec: Mapping[str, Any], images: Images) -> Images:
    x, y = images.x, images.y
    if x.dtype != np.uint8 or x.ndim != 4 or y.shape != x.shape[:1] or not len(x):
        raise ContractViolation(
            f"Data set {spec['source']['factory']} gave images {x.dtype} {x.shape} and labels {y.shape}; "
            "expected uint8 (N, C, H, W) and (N,)."
        )
    return images
