"""What the store takes on the disk, and what of it nobody needs."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.errors import UsageError
from bench.store.files import TEMPORARY
from bench.store.leases import Leases

ROOMS: Final = ("objects", "records", "preimages", "failures", "scratch", "damaged", "leases")
_KEY = re.compile(rb"[0-9a-f]{32}")


@dataclass(frozen=True)
class Usage:
    """Files and bytes of each room of a store.

    Attributes
    ----------
    rooms : name -> (files, bytes)
    """

    rooms: dict[str, tuple[int, int]]

    @property
    def total_bytes(self) -> int:
        return sum(size for _, size in self.rooms.values())


@dataclass(frozen=True)
class Freed:
    """What a collection removed, or would.

    Attributes
    ----------
    paths : files, and folders of scratch files
    bytes : their sizes together
    """

    paths: tuple[Path, ...]
    bytes: int


def usage(root: Path) -> Usage:
    """Return how many files and bytes each room takes."""
    rooms = {}
    for room in ROOMS:
        sizes = [_size(path) for path in _files(root / room)]
        rooms[room] = (len(sizes), sum(sizes))
    return Usage(rooms)


def collect(root: Path, leases: Leases, *, dry_run: bool, grace_s: float) -> Freed:
    """Remove what no record needs, and return what it was.

    An object is needed when a record names its key anywhere in its text, or in the preimage of a key that it names,
    and so on through all preimages. Also removed: preimages, failures and scratch files of keys that are not
    needed, failures that were overcome, what was set aside as damaged, what killed processes left half-written, and
    dead leases. Records stay.

    Parameters
    ----------
    dry_run : only say what would go
    grace_s : what is younger than this stays

    Raises
    ------
    UsageError : a run is in progress, what it has made so far stands in no record yet
    """
    for path in (root / "leases").glob("*.lease"):
        if holder := leases.holder(path.name.partition(".")[0]):
            raise UsageError(
                f"A run is using the store {root} (process {holder.get('pid')} on {holder.get('host')}); no record "
                "names yet what it has made. Collect when it has ended."
            )
    needed = _needed(root)
    youngest = time.time() - grace_s
    going: list[Path] = []
    made = {path.name.partition(".")[0] for path in (root / "objects").glob("??/*.safetensors")}
    for room, keep in (("objects", needed), ("preimages", needed), ("failures", needed - made)):
        for path in _files(root / room):
            if path.name.partition(".")[0] not in keep or path.suffix == TEMPORARY:
                going.append(path)
    going += _files(root / "damaged")
    going += [path for room in ("records", "leases") for path in _files(root / room) if path.suffix == TEMPORARY]
    going += root.glob(f"*{TEMPORARY}")
    if (root / "scratch").is_dir():
        going += (root / "scratch").iterdir()
    going = sorted(p for p in going if _changed(p) < youngest and leases.holder(p.name.partition(".")[0]) is None)
    freed = sum(_size(file) for path in going for file in ([path] if path.is_file() else _files(path)))
    if not dry_run:
        for path in going:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        leases.remove_dead()
    return Freed(tuple(going), freed)


def _needed(root: Path) -> set[str]:
    """Return the keys that records lead to."""
    found: set[str] = set()
    waiting = {key for path in (root / "records").glob("??/*.json") for key in _keys_in(path)}
    while waiting:
        found |= waiting
        waiting = {k for key in waiting for k in _keys_in(root / "preimages" / key[:2] / f"{key}.json")} - found
    return found


def _keys_in(path: Path) -> set[str]:
    try:
        return {key.decode() for key in _KEY.findall(path.read_bytes())}
    except OSError:
        return set()


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _changed(path: Path) -> float:
    """Return when a file, or the newest file of a folder, was last changed."""
    try:
        return max([path.stat().st_mtime, *(p.stat().st_mtime for p in path.rglob("*"))])
    except OSError:
        return time.time()
