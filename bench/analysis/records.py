"""Records as they are read and written: arrays, validation of what strangers wrote, files, merging.

The fields are described in docs/reference/records.md.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import json
import math
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from bench.analysis.generations import merge
from bench.errors import UsageError

Record: TypeAlias = dict[str, Any]
Array: TypeAlias = NDArray[Any]

SCHEMA: Final = 1
KINDS: Final = ("clean", "attack", "certificate", "cost")
STATUSES: Final = ("ok", "failed", "skipped", "timed-out")
KNOWLEDGE: Final = ("oblivious", "black-box", "white-box", "adaptive")  # from the weakest attacker to the strongest
NORMS: Final = ("linf", "l2", "l1", "l0")
OUTCOMES: Final = ("pass", "warn", "fail", "n/a")

_DTYPES: Final = frozenset({"bool", "uint8", "int32", "int64", "float32", "float64"})
# What may be missing or null, but not of another type: owner -> field -> type. "" is the record itself.
_OPTIONAL: Final[Mapping[str, Mapping[str, type]]] = {
    "": {
        **dict.fromkeys(("reason", "budget", "track", "probe"), str),
        **dict.fromkeys(
            ("draws", "aggregates", "evidence", "attack", "threat", "provenance", "hardware", "notes", "views"), dict
        ),
        "samples": int,
        "headline": bool,
        "gates": list,
        "pictures": list,
    },
    "dataset": {"version": str, "fingerprint": str, "pool": str},
    "model": {"version": str, "weights": str, "digest": str},
    "defense": {
        **dict.fromkeys(("family", "distribution", "shipped"), str),
        **dict.fromkeys(("trains", "baseline", "randomised"), bool),
        "published": list,
    },
    "attack": {
        "distribution": str,
        "core": str,
        "way": str,
        "start": str,
        "made_on": str,
        "minimum_norm": bool,
        "control": bool,
    },
    "threat": {"targeted": bool},
    "hardware": {"label": str},
    "provenance": {"versions": dict, "machine": dict, "command": str, "finished": str},
}
_PER_IMAGE: Final = (
    "clean_correct", "selected", "scored", "distance", "attacked", "inside", "fooling", "detector", "detected",
    "certified",
)  # fmt: skip
_COUNTED_IN: Final = {"selected": "select", "scored": "score", "detected": "score"}  # which draws
_OF_MEASUREMENT: Final[Mapping[str, type]] = {"runtime": str, "variant": str, "source": str, "n": int, "flags": list}

_MAX_VALUES: Final = 1 << 24  # of one array; ten times the largest test set in use
_MAX_TEXT: Final = 20_000
_MAX_LINE: Final = 1 << 26
_MAX_UNPACKED: Final = 1 << 28
_MAX_ITEMS: Final = 10_000
_MAX_INTEGER: Final = 1 << 63


def encode_array(array: Array) -> dict[str, object]:
    """Return an array as JSON can hold it: its dtype, its shape and base64 of its zlib-compressed bytes."""
    array = np.asarray(array)
    packed = zlib.compress(array.tobytes(), 6)
    return {"dtype": str(array.dtype), "shape": list(array.shape), "data": base64.b64encode(packed).decode("ascii")}


def decode_array(encoded: Mapping[str, Any]) -> Array:
    """Return the array that ``encode_array`` wrote.

    Raises
    ------
    ValueError : of another form, too large, damaged, or longer than its shape says (nothing is unpacked beyond that)
    """
    if not isinstance(encoded, Mapping) or not {"dtype", "shape", "data"} <= set(encoded):
        raise ValueError("expected an object with dtype, shape and data")
    dtype, shape, data = encoded["dtype"], encoded["shape"], encoded["data"]
    if not isinstance(dtype, str) or dtype not in _DTYPES:
        raise ValueError(f"dtype {str(dtype)[:40]!r}; expected one of {', '.join(sorted(_DTYPES))}")
    if not isinstance(shape, list) or len(shape) > 4 or not all(type(side) is int and side >= 0 for side in shape):
        raise ValueError("shape must be a list of at most four sizes")
    values = math.prod(shape)
    if values > _MAX_VALUES:
        raise ValueError(f"{values} values; expected at most {_MAX_VALUES}")
    if not isinstance(data, str):
        raise ValueError("data must be base64 text")
    expected = values * np.dtype(dtype).itemsize
    try:
        unpacker = zlib.decompressobj()
        raw = unpacker.decompress(base64.b64decode(data, validate=True), expected + 1)
    except (binascii.Error, zlib.error) as error:
        raise ValueError(f"data is damaged ({error})") from None
    if len(raw) != expected or not unpacker.eof:
        raise ValueError(f"data does not hold the {expected} bytes that its shape says")
    return np.frombuffer(raw, dtype=dtype).reshape(shape)


class _InvalidError(Exception):
    """What is wrong with a record, as ``field: complaint``."""


def _need(holder: Mapping[str, Any], name: str, kind: type | tuple[type, ...], path: str = "") -> Any:
    value = holder.get(name)
    where = f"{path}.{name}" if path else name
    if value is None:
        raise _InvalidError(f"{where} is missing")
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise _InvalidError(f"{where} has the wrong type ({type(value).__name__})")
    if isinstance(value, float) and not math.isfinite(value):
        raise _InvalidError(f"{where} is not finite")
    if isinstance(value, int) and abs(value) >= _MAX_INTEGER:
        raise _InvalidError(f"{where} is too large an integer")
    return value


def _choice(holder: Mapping[str, Any], name: str, allowed: Sequence[str], path: str = "") -> str:
    value = _need(holder, name, str, path)
    if value not in allowed:
        where = f"{path}.{name}" if path else name
        raise _InvalidError(f"{where} is {value[:40]!r}; expected one of {', '.join(a or 'nothing' for a in allowed)}")
    return str(value)


def _bounded(value: object, where: str, depth: int = 0) -> None:
    """Refuse what is too long or too deep to be shown; array data is judged by ``decode_array``."""
    if depth > 8:
        raise _InvalidError(f"{where} is nested too deeply")
    if isinstance(value, str):
        if len(value) > _MAX_TEXT:
            raise _InvalidError(f"{where} has {len(value)} characters; expected at most {_MAX_TEXT}")
    elif isinstance(value, dict):
        if len(value) > _MAX_ITEMS:
            raise _InvalidError(f"{where} has {len(value)} entries; expected at most {_MAX_ITEMS}")
        for key, item in value.items():
            if key != "data":
                _bounded(key, where, depth + 1)
                _bounded(item, f"{where}.{key[:60]}", depth + 1)
    elif isinstance(value, list):
        if len(value) > _MAX_ITEMS:
            raise _InvalidError(f"{where} has {len(value)} entries; expected at most {_MAX_ITEMS}")
        for number, item in enumerate(value):
            _bounded(item, f"{where}[{number}]", depth + 1)


def _arrays(record: Mapping[str, Any]) -> None:
    samples = int(record["samples"])
    outcomes = record["outcomes"]
    wanted = {"clean": ["clean_correct"], "certificate": ["certified"]}.get(
        record["kind"], ["selected", "scored", "distance"]
    )
    for name in wanted:
        if name not in outcomes:
            raise _InvalidError(f"outcomes.{name} is missing")
    draws = record.get("draws") or {"select": 1, "score": 1}
    for name in _PER_IMAGE:
        if name in outcomes:
            try:
                array = decode_array(outcomes[name])
            except ValueError as error:
                raise _InvalidError(f"outcomes.{name}: {error}") from None
            if array.shape != (samples,):
                raise _InvalidError(f"outcomes.{name} has shape {array.shape}; expected ({samples},)")
            most = draws[_COUNTED_IN[name]] if name in _COUNTED_IN else math.inf if name == "distance" else 1
            if name != "detector" and not np.all((array >= 0) & (array <= most)):
                raise _InvalidError(f"outcomes.{name} has a value that is none of 0 to {most}")
    for name, view in (record.get("views") or {}).items():
        _view(f"views.{name[:60]}", view, samples)


def _view(where: str, view: Any, samples: int) -> None:
    try:
        array = decode_array(view)
    except ValueError as error:
        raise _InvalidError(f"{where}: {error}") from None
    if array.shape != (samples,) or not np.all((array == 0) | (array == 1)):
        raise _InvalidError(f"{where} is not one of 0 and 1 for each of {samples} images")


def _optional(holder: Mapping[str, Any], fields: Mapping[str, type], path: str) -> None:
    for name, kind in fields.items():
        if holder.get(name) is not None:
            _need(holder, name, kind, path)


def _check(record: Mapping[str, Any]) -> None:
    if record.get("schema") != SCHEMA:
        raise _InvalidError(f"schema is {str(record.get('schema'))[:20]}; this version reads {SCHEMA}")
    _bounded({key: record[key] for key in record if key != "pictures"}, "record")
    kind, status = _choice(record, "kind", KINDS), _choice(record, "status", STATUSES)
    for name in ("cell_id", "run_key"):
        _need(record, name, str)
    _optional(record, _OPTIONAL[""], "")
    for part, fields in _OPTIONAL.items():
        if part and record.get(part) is not None:
            _optional(_need(record, part, dict), fields, part)
    for name, figure in (record.get("aggregates") or {}).items():
        if figure is not None:
            _need(record["aggregates"], name, (int, float), "aggregates")
    for part in ("dataset", "model", "defense"):
        holder = _need(record, part, dict)
        _need(holder, "name", str, part)
        _need(holder, "label", str, part)
    seeds = _need(record, "seeds", dict)
    for name in ("split", "training", "attack"):
        _need(seeds, name, int, "seeds")
    for number, gate in enumerate(record.get("gates") or []):
        if not isinstance(gate, dict):
            raise _InvalidError(f"gates[{number}] is no object")
        _need(gate, "name", str, f"gates[{number}]")
        _choice(gate, "outcome", OUTCOMES, f"gates[{number}]")
        _need(gate, "evidence", str, f"gates[{number}]")
    if kind == "attack":
        attack = _need(record, "attack", dict)
        _need(attack, "name", str, "attack")
        _need(attack, "label", str, "attack")
        _choice(record, "knowledge", KNOWLEDGE)
    if kind in ("attack", "certificate"):
        threat = _need(record, "threat", dict)
        _choice(threat, "norm", NORMS, "threat")
        if _need(threat, "epsilon", (int, float), "threat") < 0:
            raise _InvalidError("threat.epsilon is negative")
        _choice(threat, "domain", ("uint8", "float"), "threat")
    if status != "ok":
        return
    if kind == "cost":
        for number, item in enumerate(_need(record, "measurements", list)):
            path = f"measurements[{number}]"
            if not isinstance(item, dict):
                raise _InvalidError(f"{path} is no object")
            for name in ("quantity", "statistic", "placement", "unit", "provenance"):
                _need(item, name, str, path)
            for name in ("value", "low", "high"):
                if item.get(name) is not None:
                    _need(item, name, (int, float), path)
            _optional(item, _OF_MEASUREMENT, path)
        return
    if not 0 < _need(record, "samples", int) <= _MAX_VALUES:
        raise _InvalidError(f"samples is {record['samples']}; expected 1 to {_MAX_VALUES}")
    draws = record.get("draws") or {"select": 1, "score": 1}
    for name in ("select", "score"):
        if not 1 <= _need(draws, name, int, "draws") <= 255:
            raise _InvalidError(f"draws.{name} is {draws[name]}; expected 1 to 255")
    _need(record, "outcomes", dict)
    _arrays(record)


def validate(record: object, where: str) -> Record:
    """Return a record that somebody else may have written, once it is known to have the form that analysis reads.

    Fields that this version does not know are left alone and never read.

    Parameters
    ----------
    where : names the record in the error, such as "records.jsonl, line 3"

    Raises
    ------
    UsageError : says which field of which record is wrong
    """
    try:
        if not isinstance(record, dict):
            raise _InvalidError("it is no JSON object")
        _check(record)
    except _InvalidError as error:
        raise UsageError(f"{where} is not a valid record: {error}.") from None
    return record


def files(path: Path) -> list[Path]:
    """Return the record files that ``path`` stands for.

    A file is itself; a folder is its ``records.jsonl`` (an output folder) or ``records.jsonl.gz`` (a published one),
    else what is in its ``records`` folder (a store), else the ``.jsonl`` and ``.json`` files that lie in it.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise UsageError(f"No records at {path}: no such file or folder.")
    for name in ("records.jsonl", "records.jsonl.gz"):
        if (path / name).is_file():
            return [path / name]
    inner = path / "records"
    found = inner.rglob("*") if inner.is_dir() else path.iterdir()
    chosen = sorted(file for file in found if file.suffix in {".json", ".jsonl"} and file.is_file())
    if not chosen:
        raise UsageError(
            f"No records in {path}; expected records.jsonl, a store, or .json and .jsonl files of records."
        )
    return chosen


def load(paths: Path | str | Iterable[Path | str]) -> list[Record]:
    """Return the records of files and folders, validated and merged.

    Raises
    ------
    UsageError : names the file and the line that cannot be used
    """
    many = [paths] if isinstance(paths, str | Path) else list(paths)
    records: list[Record] = []
    for file in (file for path in many for file in files(Path(path))):
        in_lines = ".jsonl" in file.suffixes
        content = _content(file)
        lines = content.split(b"\n") if in_lines else [content]
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            where = f"{file}, line {number}," if in_lines else str(file)
            if len(line) > _MAX_LINE:
                raise UsageError(f"{where} is too long: {len(line)} bytes; expected at most {_MAX_LINE}.")
            try:
                value = json.loads(line, parse_float=_finite, parse_constant=_finite)
            except (ValueError, RecursionError) as error:
                raise UsageError(f"{where} is not JSON: {str(error)[:200]}.") from None
            records.append(validate(value, where))
    return merge(records)


def _finite(number: str) -> float:
    """Return a number of a line; NaN and infinity, which JSON does not have, would pass through sums unseen."""
    value = float(number)
    if not math.isfinite(value):
        raise ValueError(f"{number[:40]} is no finite number")
    return value


def _content(file: Path) -> bytes:
    """Return what a file holds, unpacked where its name ends in ``.gz``; a few bytes must not become gigabytes."""
    try:
        if file.suffix != ".gz":
            return file.read_bytes()
        with gzip.open(file) as packed:
            content = packed.read(_MAX_UNPACKED + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UsageError(f"{file} cannot be unpacked: {error}. The file may be cut off; copy it again.") from None
    except OSError as error:
        raise UsageError(f"Cannot read {file}: {error.strerror}.") from None
    if len(content) > _MAX_UNPACKED:
        raise UsageError(
            f"{file} unpacks to more than {_MAX_UNPACKED >> 20} MiB; expected less. Unpack it yourself if you trust it."
        )
    return content


def outcome(record: Record, name: str) -> Array:
    """Return one of the outcome arrays of a record."""
    return decode_array(record["outcomes"][name])


def per_image(record: Record, name: str) -> float:
    """Return how many evaluations, "forward" or "gradient", an attack asked for each image; NaN where it is not known.

    Blocks are attacked whole: an attack on the first images of a block has asked about all of it. Older records do not
    say how many images these are, and are taken to hold no others.
    """
    told = record.get("aggregates") or {}
    images, count = told.get("images") or record.get("samples"), told.get(name)
    return float(count) / images if images and isinstance(count, int | float) else math.nan
