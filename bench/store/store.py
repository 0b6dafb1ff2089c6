"""One folder of plain files that holds all that was computed."""

from __future__ import annotations

import logging
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from bench.errors import DamagedObject, MissingObject, UsageError
from bench.store import objects
from bench.store.events import notify, step
from bench.store.files import explained, seal, unseal, write_whole
from bench.store.leases import Lease, Leases
from bench.store.objects import StoredObject
from bench.store.space import Freed, Usage, collect, usage

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

ROOT_VARIABLE: Final = "BENCH_STORE"
FORMAT: Final = "1"
_KEY = re.compile(r"[0-9a-f]{32}")
_PREFIX = re.compile(r"[0-9a-f]{1,32}")
_log = logging.getLogger(__name__)
ReadT = TypeVar("ReadT")


def default_root() -> Path:
    """Return the folder of the store where none is named: ``BENCH_STORE``, else in the user's cache folder."""
    import platformdirs

    named = os.environ.get(ROOT_VARIABLE)
    return Path(named) if named else Path(platformdirs.user_cache_dir("edge-defense-bench", appauthor=False))


class Store:
    """Objects, failures, preimages, records and leases under one root; safe for several processes and machines.

    Parameters
    ----------
    root : made where it is not there
    writable : False for a store that is only read, which may then lie on a read-only disk

    Raises
    ------
    UsageError : the root cannot be written, or was made by another version of this format

    Notes
    -----
    ``objects/ab/<key>.safetensors``, ``failures/ab/<key>.json``, ``preimages/ab/<key>.json``,
    ``records/ab/<run key>.json``, ``leases/<key>.lease``, ``scratch/<key>/``; what was found damaged is in
    ``damaged/``. The first line of each JSON file is the JSON, the second its checksum.
    """

    def __init__(self, root: str | Path, *, writable: bool = True) -> None:
        self.root = Path(root).expanduser().absolute()
        self.leases = Leases(self.root / "leases")
        self._reported: set[Path] = set()
        if writable:
            self._open()
        elif not self.root.is_dir():
            raise UsageError(f"There is no store at {self.root}. Give the folder of one with --store or BENCH_STORE.")

    def _open(self) -> None:
        mark = self.root / "format"
        try:
            with explained(mark):
                self.root.mkdir(parents=True, exist_ok=True)
                if not mark.exists():
                    write_whole(mark, FORMAT.encode() + b"\n", what="format")
                if not os.access(self.root, os.W_OK):
                    raise PermissionError(13, "Permission denied", str(self.root))
            found = mark.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(
                f"The store cannot be opened: {self.root}: {error}. Give another folder with --store or BENCH_STORE."
            ) from error
        if found != FORMAT:
            raise UsageError(
                f"The store {self.root} has format {found!r}; this version reads {FORMAT!r}. Give another folder "
                "with --store or BENCH_STORE."
            )

    # ------------------------------------------------------------------ objects

    def has(self, key: str) -> bool:
        """Return whether there is an object of that key; its content is checked when it is read."""
        return self._object(key).exists()

    def write(self, key: str, tensors: Mapping[str, NDArray[Any]], meta: Mapping[str, Any]) -> None:
        """Store an object, whole or not at all, and forget a failure and the scratch files of the same key.

        Parameters
        ----------
        tensors : arrays of numbers of any shape
        meta : what JSON can hold; NaN and infinity are refused

        Raises
        ------
        StoreFull, UsageError : the disk is full or the folder closed
        """
        write_whole(self._object(key), objects.encode(tensors, meta), what="object")
        with suppress(FileNotFoundError):
            self._text("failures", key).unlink()
        self.clear(key)
        notify("after object")

    def read(self, key: str) -> StoredObject[NDArray[Any]]:
        """Return an object; its arrays own their memory.

        Raises
        ------
        MissingObject : there is none
        DamagedObject : not as it was written; it was moved aside, so that ``has`` is False and it is made again
        """
        return self._read(self._object(key), lambda path: objects.decode(path.read_bytes()))

    def read_torch(self, key: str) -> StoredObject[Tensor]:
        """Return an object as ``read`` does, with torch tensors."""
        return self._read(self._object(key), lambda path: objects.decode_torch(path.read_bytes()))

    def meta(self, key: str) -> dict[str, Any]:
        """Return the description of an object; its tensors are not read. Raises as ``read`` does."""
        return self._read(self._object(key), objects.read_meta)

    # ------------------------------------------------------------------ failures

    def fail(self, key: str, status: str, reason: str, *, trace: str = "", printed: str = "") -> None:
        """Remember that the task of that key ended without an object; ``write`` clears it."""
        write_whole(
            self._text("failures", key),
            seal({"status": status, "reason": reason, "trace": trace, "printed": printed}),
            what="failure",
        )

    def failure(self, key: str) -> dict[str, str] | None:
        """Return ``status`` and ``reason`` of the failed task, None where it did not fail or its object is there."""
        return None if self.has(key) else self._load(self._text("failures", key))

    # ------------------------------------------------------------------ preimages

    def remember(self, key: str, preimage: Mapping[str, Any]) -> None:
        """Keep what a key was made of, for ``bench explain`` and to know what refers to what."""
        path = self._text("preimages", key)
        if not path.exists():
            write_whole(path, seal(preimage), what="preimage", durable=False)

    def preimage(self, key: str) -> dict[str, Any]:
        """Return what a key was made of.

        Parameters
        ----------
        key : or the beginning of one

        Raises
        ------
        UsageError : no such key, or several begin so
        """
        found = self._load(self._text("preimages", self.complete(key)))
        if found is None:
            raise UsageError(f"Nothing is remembered of key {key!r} in {self.root}.")
        return found

    def complete(self, prefix: str) -> str:
        """Return the one key with a preimage, object, failure or record here that begins with ``prefix``.

        Raises
        ------
        UsageError : none, or several
        """
        if not _PREFIX.fullmatch(prefix):
            raise UsageError(f"A key is 32 of the digits 0-9 and a-f, or the first few of them; got {prefix!r}.")
        pattern = f"{prefix[:2]}/{prefix}*" if len(prefix) > 1 else f"{prefix}*/*"
        rooms = ("preimages", "objects", "failures", "records")
        keys = {path.name.partition(".")[0] for room in rooms for path in (self.root / room).glob(pattern)}
        if len(keys) == 1:
            return keys.pop()
        if prefix in keys:
            return prefix
        if not keys:
            raise UsageError(
                f"No key begins with {prefix!r} in {self.root}. `bench plan --cells` and a report's cells.csv name "
                "them; `bench explain --records` takes the records that lie beside that file."
            )
        shown = ", ".join(sorted(keys)[:4]) + (", ..." if len(keys) > 4 else "")
        raise UsageError(f"{len(keys)} keys begin with {prefix!r}: {shown}. Give more digits.")

    # ------------------------------------------------------------------ records

    def put_record(self, record: Mapping[str, Any]) -> None:
        """Store the record of a cell under its ``run_key``, in place of an earlier one."""
        write_whole(self._text("records", str(record["run_key"])), seal(record), what="record")

    def record(self, run_key: str) -> dict[str, Any] | None:
        """Return the record of a cell, None where there is none or it was damaged."""
        return self._load(self._text("records", run_key))

    def records(self) -> list[dict[str, Any]]:
        """Return all records, in the order of their run keys; damaged ones are moved aside and left out."""
        loaded = (self._load(path) for path in sorted(self._texts("records")))
        return [record for record in loaded if record is not None]

    # ------------------------------------------------------------------ work in progress

    def claim(self, key: str) -> Lease | None:
        """Return a lease on the task of that key, or None where a living process has it."""
        return self.leases.claim(_checked(key))

    def scratch(self, key: str) -> Path:
        """Return a folder for files of a task in progress; it goes when its object is written, or by ``clear``."""
        folder = self._scratch(key)
        with explained(folder):
            folder.mkdir(parents=True, exist_ok=True)
        return folder

    def clear(self, key: str) -> None:
        """Remove the folder that ``scratch`` gave, if it is there."""
        shutil.rmtree(self._scratch(key), ignore_errors=True)

    # ------------------------------------------------------------------ space

    def du(self) -> Usage:
        """Return how many files and bytes each kind takes."""
        return usage(self.root)

    def gc(self, *, dry_run: bool = True, grace_s: float = 86_400.0) -> Freed:
        """Remove what no record needs; see ``bench.store.space.collect``."""
        return collect(self.root, self.leases, dry_run=dry_run, grace_s=grace_s)

    # ------------------------------------------------------------------ files

    def _object(self, key: str) -> Path:
        return self.root / "objects" / _checked(key)[:2] / f"{key}.safetensors"

    def _text(self, room: str, key: str) -> Path:
        return self.root / room / _checked(key)[:2] / f"{key}.json"

    def _texts(self, room: str) -> Iterator[Path]:
        return (self.root / room).glob("??/*.json")

    def _scratch(self, key: str) -> Path:
        return self.root / "scratch" / _checked(key)

    def _load(self, path: Path) -> dict[str, Any] | None:
        try:
            return self._read(path, lambda text: unseal(text.read_bytes()))
        except (MissingObject, DamagedObject):
            return None

    def _read(self, path: Path, decode: Callable[[Path], ReadT]) -> ReadT:
        try:
            return decode(path)
        except FileNotFoundError:
            raise MissingObject(f"The store {self.root} has no {path.relative_to(self.root)}.") from None
        except DamagedObject as error:
            where = self._set_aside(path)
            if path not in self._reported:
                self._reported.add(path)
                _log.warning("%s is damaged (%s); %s.", path.relative_to(self.root), error, where)
            raise DamagedObject(f"{path}: {error}; {where}.") from error

    def _set_aside(self, path: Path) -> str:
        """Move a damaged file out of the way and say where it is; in a closed store it stays."""
        room, name = path.relative_to(self.root).parts[0], path.name
        target = self.root / "damaged" / f"{room}-{name}"
        try:
            target.parent.mkdir(exist_ok=True)
            with step("damaged.move"):
                path.replace(target)
        except OSError as error:
            return f"it could not be moved aside ({error.strerror})"
        return f"moved to {target.relative_to(self.root)}, it will be made again"


def _checked(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise ValueError(f"A key is 32 of the digits 0-9 and a-f; got {key!r}.")
    return key
