"""A user's own images in class folders."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path

import numpy as np

from bench.data.source import Images, Split
from bench.errors import MissingData, UsageError
from bench_datasets.scaling import scaled

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".ppm", ".pgm", ".bmp", ".webp", ".tif", ".tiff"})


class ImageFolder:
    """Images in PATH/train/CLASS/ and PATH/test/CLASS/, scaled to one size.

    Parameters
    ----------
    path : the folder; where it is relative, to the working folder
    size : side in pixels that images are scaled to
    channels : 1 grey, 3 colour

    Notes
    -----
    Images are taken in turn from each class, in the order of their names, so that the first N test images hold
    all classes. A class's number is its place among the sorted names of the folders below train/.
    """

    def __init__(self, *, path: str = "", size: int = 32, channels: int = 3) -> None:
        self.path, self.size, self.channels = path, size, channels

    def files(self, root: Path) -> Sequence[Path]:
        self.class_names()
        return tuple(file for split in ("train", "test") for file, _ in self._listed(split))

    def load(self, root: Path, split: Split) -> Images:
        listed = self._listed(split)
        x = np.stack([scaled(file, self.size, self.channels) for file, _ in listed])
        return Images(x, np.asarray([label for _, label in listed], dtype=np.int64))

    def download(self, root: Path) -> None:
        """Raise: there is no origin to fetch from."""
        raise MissingData(
            f"Data set 'imagefolder' cannot be downloaded; put its images into {self._folder()} yourself."
        )

    def class_names(self) -> tuple[str, ...]:
        names = self._subfolders("train")
        unknown = sorted(set(self._subfolders("test")) - set(names))
        if unknown:
            raise UsageError(
                f"Class {unknown[0]!r} of {self._folder() / 'test'} has no folder below {self._folder() / 'train'}. "
                "Training and test folders must have the same classes."
            )
        if len(names) < 2:
            raise UsageError(f"{self._folder() / 'train'} holds {len(names)} class folders; expected at least 2.")
        return names

    def _folder(self) -> Path:
        if not self.path:
            raise UsageError("Data set 'imagefolder' needs a folder: write imagefolder:PATH.")
        return Path(self.path).expanduser().absolute()

    def _subfolders(self, split: Split) -> tuple[str, ...]:
        below = self._folder() / split
        if not below.is_dir():
            raise MissingData(
                f"Data set 'imagefolder': no folder {below}. Expected {self._folder()}/train/CLASS/*.png and "
                f"{self._folder()}/test/CLASS/*.png."
            )
        return tuple(sorted(child.name for child in below.iterdir() if child.is_dir() and child.name[0] != "."))

    def _listed(self, split: Split) -> list[tuple[Path, int]]:
        below = self._folder() / split
        classes = [
            sorted(
                (file, number)
                for file in (below / name).glob("*")
                if file.suffix.lower() in SUFFIXES and file.name[0] != "."
            )
            for number, name in enumerate(self.class_names())
        ]
        listed = [item for round_ in zip_longest(*classes) for item in round_ if item is not None]
        if not listed:
            raise MissingData(
                f"Data set 'imagefolder': no image below {below}. Known kinds: {', '.join(sorted(SUFFIXES))}."
            )
        return listed
