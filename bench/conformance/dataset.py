"""Checks of a data set."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bench.conformance.construction import construct
from bench.conformance.result import CheckResult, Failed, NotApplicable, perform
from bench.data import Images, divide, image_digests
from bench.errors import MissingData
from bench.plugins.entries import Dataset
from bench.plugins.parameters import Value


def check_dataset(entry: Dataset, parameters: Mapping[str, Value]) -> list[CheckResult]:
    """Return the results of all checks of a data set; its files are looked for in ``BENCH_DATA_DIR``, else ``data``."""
    results = [perform("threats", _check_threats, entry)]
    root = Path(os.environ.get("BENCH_DATA_DIR") or "data")
    loaded: dict[str, Any] = {}

    def constructs(subject: Dataset) -> str:
        loaded["source"] = construct(subject, parameters, ("files", "load", "download", "class_names"))
        return f"{subject.factory} gave a {type(loaded['source']).__name__}."

    def files(subject: Dataset) -> str:
        try:
            paths = loaded["source"].files(root)
        except MissingData as error:
            raise NotApplicable(f"Not on this machine, so the rest was not checked. {error}") from None
        missing = [path for path in paths if not Path(path).exists()]
        if missing:
            raise Failed(f"files named {missing[0]}, which is not there; raise MissingData instead.")
        if subject.embedded and paths:
            raise Failed(f"It says embedded=True and reads {paths[0]}.")
        loaded["found"] = True
        return f"{len(paths)} files."

    results.append(perform("construction", constructs, entry))
    if "source" in loaded:
        results.append(perform("files", files, entry))
    if "found" in loaded:
        results += [
            perform("images", lambda source: _check_images(source, root, entry), loaded["source"]),
            perform("repeatable", lambda source: _check_repeatable(source, root), loaded["source"]),
            perform("pools", lambda source: _check_pools(source, root, entry), loaded["source"]),
        ]
    return results


def _check_threats(entry: Dataset) -> str:
    if not entry.threats:
        raise Failed("It carries no threat; give at least one ThreatSpec, the headline first.")
    for threat in entry.threats:
        if not threat.epsilons or min(threat.epsilons) <= 0:
            raise Failed(
                f"Threat {threat.norm} has radii {threat.epsilons}; expected positive ones, in pixels of [0, 1]."
            )
        if threat.norm == "linf" and max(threat.epsilons) > 1:
            raise Failed(f"Threat linf has radius {max(threat.epsilons):g}; pixels lie in [0, 1]. Divide by 255?")
    return ", ".join(f"{t.norm} {t.epsilons[0]:g}" for t in entry.threats) + "."


def _check_images(source: Any, root: Path, entry: Dataset) -> str:
    classes = len(source.class_names())
    shapes = set()
    sizes = []
    for split in ("train", "test"):
        images: Images = source.load(root, split)
        if images.x.dtype != np.uint8 or images.x.ndim != 4:
            raise Failed(f"{split} images are {images.x.dtype} {images.x.shape}; expected uint8 (N, C, H, W).")
        if images.y.dtype != np.int64 or images.y.shape != (len(images.x),):
            raise Failed(f"{split} labels are {images.y.dtype} {images.y.shape}; expected int64 ({len(images.x)},).")
        if not len(images.x):
            raise Failed(f"There are no {split} images.")
        if images.y.min() < 0 or images.y.max() >= classes:
            raise Failed(
                f"{split} labels run from {images.y.min()} to {images.y.max()}; class_names gives {classes} names."
            )
        if images.x.shape[1] not in (1, 3):
            raise Failed(f"{split} images have {images.x.shape[1]} channels; expected 1 or 3, before height and width.")
        shapes.add(images.x.shape[1:])
        sizes.append(len(images.x))
    if len(shapes) > 1:
        raise Failed(f"Training and test images differ in shape: {shapes}.")
    shape = shapes.pop()
    if entry.shape is not None and tuple(entry.shape) != shape:
        raise Failed(f"Images are of {shape}; the entry says shape={entry.shape}.")
    return f"{sizes[0]:,} training and {sizes[1]:,} test images of {shape}, {classes} classes."


def _check_repeatable(source: Any, root: Path) -> str:
    first, again = source.load(root, "test"), source.load(root, "test")
    if not (np.array_equal(first.x, again.x) and np.array_equal(first.y, again.y)):
        raise Failed("Two calls gave other test images, or another order; the test set is frozen.")
    return "Two calls give the same test images in the same order."


def _check_pools(source: Any, root: Path, entry: Dataset) -> str:
    train, test = source.load(root, "train"), source.load(root, "test")
    pools = divide(train.x, test.x, split_seed=0, held_out_share=entry.held_out_share)
    empty = [name for name, positions in pools.items() if not len(positions)]
    if empty:
        raise Failed(f"The {empty[0]} pool is empty; raise held_out_share (now {entry.held_out_share:g}).")
    tested = set(image_digests(test.x))
    left_out = len(train.x) - sum(map(len, pools.values()))
    assert not any(d in tested for positions in pools.values() for d in image_digests(train.x[positions]))
    sizes = ", ".join(f"{name} {len(positions):,}" for name, positions in pools.items())
    return f"{sizes}; {left_out} training images left out since they stand in the test set too."
