"""Write files whole or not at all, and read small texts back only when they are what was written."""

from __future__ import annotations

import errno
import json
import math
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

from bench.errors import DamagedObject, StoreFull, UsageError
from bench.store.events import step

TEMPORARY: Final = ".tmp"
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_CLOSED: Final = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})


def write_whole(path: Path, content: bytes, *, what: str, durable: bool = True) -> None:
    """Put ``content`` at ``path``: a reader, at any moment and after any crash, finds all of it or what was there.

    Parameters
    ----------
    what : names the steps for listeners, such as "object"
    durable : wait until the disk has it; without, a loss of power may lose it (no killed process does), in a few
        milliseconds less

    Raises
    ------
    StoreFull : no space is left; nothing of the half-written file stays
    UsageError : the folder cannot be written
    """
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f"{path.name}.{os.getpid()}-{secrets.token_hex(4)}{TEMPORARY}")
        try:
            with step(f"{what}.write"):
                _write(temporary, content, durable=durable)
            with step(f"{what}.rename"):
                temporary.replace(path)
        except OSError:
            with suppress(OSError):
                temporary.unlink()
            raise
        if durable:
            with step(f"{what}.fsync-folder"):
                sync_folder(path.parent)


def _write(path: Path, content: bytes, *, durable: bool) -> None:
    with path.open("xb") as file:
        file.write(content)
        if durable:
            file.flush()
            os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Bring a folder's list of names to the disk; where a file system cannot, leave it."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals into errors that say what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise StoreFull(
                f"No space is left for {path.parent}: {error.strerror}. Free some (`bench store gc`), or give another "
                "folder with --store or BENCH_STORE; what is stored stays good and is used again."
            ) from error
        if error.errno in _CLOSED:
            raise UsageError(
                f"The store cannot be written: {path.parent}: {error.strerror}. Give a folder that you may write to "
                "with --store or BENCH_STORE."
            ) from error
        raise


def seal(value: Mapping[str, Any]) -> bytes:
    """Return a JSON object as one line, and under it the checksum of that line.

    Raises
    ------
    TypeError, ValueError : something that JSON cannot hold; NaN and infinity are such
    """
    line = json.dumps(value, allow_nan=False, separators=(",", ":"), default=_plain).encode()
    return line + b"\n" + _checksum(line) + b"\n"


def unseal(content: bytes) -> dict[str, Any]:
    """Return the JSON object that was sealed.

    Raises
    ------
    DamagedObject : not as it was written
    """
    line, _, rest = content.partition(b"\n")
    if rest != _checksum(line) + b"\n":
        raise DamagedObject("the checksum does not match the text")
    return parsed(line)


def parsed(text: str | bytes) -> dict[str, Any]:
    """Return the JSON object that a text is, of finite numbers alone.

    Raises
    ------
    DamagedObject : it is none; whoever wrote a file may have made its checksum fit
    """
    try:
        value = json.loads(text, parse_float=_finite, parse_constant=_finite)
    except (ValueError, RecursionError) as error:
        raise DamagedObject(f"the text is no JSON: {str(error)[:200]}") from error
    if not isinstance(value, dict):
        raise DamagedObject(f"the text is no JSON object; got {type(value).__name__}")
    return value


def _finite(number: str) -> float:
    """Return a number of a text; NaN and infinity, which JSON does not have, would pass through sums unseen."""
    value = float(number)
    if not math.isfinite(value):
        raise ValueError(f"{number[:40]} is no finite number")
    return value


def _checksum(line: bytes) -> bytes:
    return blake2b(line, digest_size=16).hexdigest().encode()


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"JSON cannot hold {type(value).__name__}: {value!r}")
