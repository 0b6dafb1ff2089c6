"""The German traffic signs: images of many sizes, in the folders of their origin, listed by torchvision."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench.data.source import Images, Split
from bench_datasets.reading import missing_data, present, torchvision_datasets
from bench_datasets.scaling import scaled

SIZE = 32


class GTSRB:
    """GTSRB; the whole image, sign and border, scaled to 3x32x32.

    Notes
    -----
    Several training images show one sign, a few frames apart, and pools are divided by image: accuracy on the
    development pool is flattered. The official test set holds other signs.
    """

    def files(self, root: Path) -> Sequence[Path]:
        base = root / "gtsrb"
        (answers,) = present("gtsrb", root, [base / "GT-final_test.csv"])
        training = sorted((base / "GTSRB" / "Training").glob("*/*.ppm"))
        tested = sorted((base / "GTSRB" / "Final_Test" / "Images").glob("*.ppm"))
        if not training:
            raise missing_data("gtsrb", root, base / "GTSRB" / "Training" / "00000" / "*.ppm")
        if not tested:
            raise missing_data("gtsrb", root, base / "GTSRB" / "Final_Test" / "Images" / "*.ppm")
        return (answers, *training, *tested)

    def load(self, root: Path, split: Split) -> Images:
        self.files(root)
        listed = torchvision_datasets().GTSRB(root, split=split)._samples  # its only list of paths; items are decoded
        paths = present("gtsrb", root, (Path(path) for path, _ in listed))
        x = np.stack([scaled(path, SIZE, 3) for path in paths])
        # torchvision counts the training folders that are there; their names are the class numbers, also of a part.
        labels = [
            int(path.parent.name) if split == "train" else label for path, (_, label) in zip(paths, listed, strict=True)
        ]
        return Images(x, np.asarray(labels, dtype=np.int64))

    def download(self, root: Path) -> None:
        for split in ("train", "test"):
            torchvision_datasets().GTSRB(root, split=split, download=True)

    def class_names(self) -> tuple[str, ...]:
        return _NAMES


# The 43 signs in the order of the origin's class numbers.
_NAMES = (
    *(f"speed limit {limit}" for limit in (20, 30, 50, 60, 70, 80)),
    "end of speed limit 80",
    "speed limit 100",
    "speed limit 120",
    "no passing",
    "no passing for lorries",
    "right of way at the next crossing",
    "priority road",
    "yield",
    "stop",
    "no vehicles",
    "no lorries",
    "no entry",
    "general caution",
    "dangerous curve left",
    "dangerous curve right",
    "double curve",
    "bumpy road",
    "slippery road",
    "road narrows on the right",
    "road work",
    "traffic signals",
    "pedestrians",
    "children crossing",
    "bicycles crossing",
    "ice or snow",
    "wild animals crossing",
    "end of all limits",
    "turn right ahead",
    "turn left ahead",
    "ahead only",
    "straight or right",
    "straight or left",
    "keep right",
    "keep left",
    "roundabout",
    "end of no passing",
    "end of no passing for lorries",
)
