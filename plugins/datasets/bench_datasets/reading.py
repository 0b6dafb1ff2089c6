"""What the data sets share: torchvision's readers, and errors that say where files were looked for."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType

from bench.errors import MissingData, Unavailable


def torchvision_datasets() -> ModuleType:
    """Return ``torchvision.datasets``; imported here only, since it needs a build that matches torch's.

    Raises
    ------
    Unavailable : torchvision is not installed, or does not load beside this torch
    """
    try:
        import torchvision.datasets
    except (ImportError, RuntimeError, AttributeError, OSError) as error:
        raise Unavailable(
            f"torchvision {_version('torchvision')} does not load beside torch {_version('torch')} "
            f"({' '.join(str(error).split())}). Install both from one index and of one release, "
            "as constraints.txt of this project pins them."
        ) from error
    datasets: ModuleType = torchvision.datasets
    return datasets


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "(not installed)"


def present(name: str, root: Path, files: Iterable[Path]) -> tuple[Path, ...]:
    """Return the files, all of which are there.

    Raises
    ------
    MissingData : one is not
    """
    wanted = tuple(files)
    missing = [file for file in wanted if not file.is_file()]
    if missing:
        raise missing_data(name, root, missing[0])
    return wanted


def missing_data(name: str, root: Path, looked_for: Path) -> MissingData:
    """Return the error that says where a data set was looked for and how to get it."""
    return MissingData(
        f"Data set {name!r} is not in {root}: looked for {looked_for}. "
        "Add --download to fetch it there, or name the folder that holds it with --data-dir (or BENCH_DATA_DIR)."
    )
