"""What a data set plugin's factory returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Split = Literal["train", "test"]


@dataclass(frozen=True)
class Images:
    """Labelled images in the order of their origin.

    Attributes
    ----------
    x : uint8, (N, C, H, W); pixel v stands for v/255
    y : int64, (N,)
    """

    x: NDArray[np.uint8]
    y: NDArray[np.int64]


class Source(Protocol):
    """A data set on disk; constructed with the entry's parameters as keyword arguments."""

    def files(self, root: Path) -> Sequence[Path]:
        """Return the files it reads, in a fixed order, none for an embedded set; cheap, and without torch.

        Raises
        ------
        MissingData : a file is not there; says where it was looked for and how to get it
        """
        ...

    def load(self, root: Path, split: Split) -> Images:
        """Return the official training or test images."""
        ...

    def download(self, root: Path) -> None:
        """Fetch the files from their origin into ``root``."""
        ...

    def class_names(self) -> tuple[str, ...]:
        """Return one name a class; their number is the number of classes. Called after ``files`` succeeded."""
        ...
