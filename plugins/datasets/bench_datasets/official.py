"""Data sets of one size, in the files of their origin, read by torchvision."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from bench.data.source import Images, Split
from bench.errors import MissingData
from bench_datasets.reading import present, torchvision_datasets

SPLITS: tuple[Split, Split] = ("train", "test")


class _Official:
    """A data set whose reader, file names and classes are constants.

    Attributes
    ----------
    name : as users type it
    reader : the class in ``torchvision.datasets``
    paths : files below the root
    classes : their names
    """

    name: ClassVar[str]
    reader: ClassVar[str]
    paths: ClassVar[tuple[str, ...]]
    classes: ClassVar[tuple[str, ...]]

    def files(self, root: Path) -> Sequence[Path]:
        return present(self.name, root, (root / path for path in self.paths))

    def load(self, root: Path, split: Split) -> Images:
        self.files(root)
        try:
            return self._read(root, split)
        except (RuntimeError, ValueError, EOFError, AssertionError) as error:  # what torchvision's readers raise
            raise MissingData(
                f"Data set {self.name!r} in {root} is damaged: {error}. Remove its files and add --download."
            ) from error

    def _read(self, root: Path, split: Split) -> Images:
        """Return the images by torchvision's reader of this data set: what each subclass writes."""
        raise NotImplementedError

    def download(self, root: Path) -> None:
        for split in SPLITS:
            self._open(root, split, download=True)

    def _open(self, root: Path, split: Split, *, download: bool = False):  # type: ignore[no-untyped-def]  # untyped there
        return getattr(torchvision_datasets(), self.reader)(root, train=split == "train", download=download)

    def class_names(self) -> tuple[str, ...]:
        return self.classes


class MNIST(_Official):
    """MNIST, 1x28x28."""

    name = "mnist"
    reader = "MNIST"
    paths = tuple(
        f"MNIST/raw/{part}-{kind}" for part in ("train", "t10k") for kind in ("images-idx3-ubyte", "labels-idx1-ubyte")
    )
    classes = tuple("0123456789")

    def _read(self, root: Path, split: Split) -> Images:
        opened = self._open(root, split)
        return Images(opened.data.numpy()[:, None], opened.targets.numpy().astype(np.int64))


class FashionMNIST(MNIST):
    """Fashion-MNIST: the files of MNIST with other pictures."""

    name = "fashion-mnist"
    reader = "FashionMNIST"
    paths = tuple(path.replace("MNIST/", "FashionMNIST/") for path in MNIST.paths)
    classes = (
        "T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
    )  # fmt: skip


class CIFAR10(_Official):
    """CIFAR-10, 3x32x32."""

    name = "cifar10"
    reader = "CIFAR10"
    paths = tuple(
        f"cifar-10-batches-py/{file}"
        for file in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch", "batches.meta")
    )
    classes = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

    def _read(self, root: Path, split: Split) -> Images:
        opened = self._open(root, split)
        x = np.ascontiguousarray(opened.data.transpose(0, 3, 1, 2))
        return Images(x, np.asarray(opened.targets, dtype=np.int64))


class SVHN(_Official):
    """SVHN's cropped digits, 3x32x32; the origin's label 10 is the digit 0."""

    name = "svhn"
    reader = "SVHN"
    paths = ("train_32x32.mat", "test_32x32.mat")
    classes = tuple("0123456789")

    def _open(self, root: Path, split: Split, *, download: bool = False):  # type: ignore[no-untyped-def]  # untyped there
        return torchvision_datasets().SVHN(root, split=split, download=download)

    def _read(self, root: Path, split: Split) -> Images:
        opened = self._open(root, split)
        return Images(np.ascontiguousarray(opened.data), opened.labels.astype(np.int64))
