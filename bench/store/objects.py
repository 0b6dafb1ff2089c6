"""Stored objects as bytes: named tensors and a JSON description in the safetensors format, checked when read.

The format's own metadata carries one text, ``bench``: the description and two checksums, one over the tensors (name,
type, shape, bytes) and one over the description. Equal objects have equal bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from bench.errors import DamagedObject
from bench.store.files import parsed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

TensorT = TypeVar("TensorT")

_METADATA: Final = "bench"
_LENGTH_BYTES: Final = 8
_LONGEST_HEADER: Final = 100_000_000  # the format's own limit


@dataclass(frozen=True)
class StoredObject(Generic[TensorT]):
    """What a task left.

    Attributes
    ----------
    tensors : by name; NumPy arrays, or torch tensors from ``Store.read_torch``
    meta : what JSON can hold
    """

    tensors: dict[str, TensorT]
    meta: dict[str, Any]


def encode(tensors: Mapping[str, NDArray[Any]], meta: Mapping[str, Any]) -> bytes:
    """Return an object as the content of a file.

    Raises
    ------
    TypeError, ValueError : a tensor of a type that the format lacks, or a description that JSON cannot hold
    """
    import numpy as np
    from safetensors.numpy import save

    arrays = {name: np.asarray(tensor, order="C") for name, tensor in tensors.items()}
    for name, array in arrays.items():
        if array.dtype.kind not in "biufc":
            raise TypeError(f"Tensor {name!r} must hold numbers; got dtype {array.dtype}.")
    described = json.dumps(meta, sort_keys=True, allow_nan=False, separators=(",", ":"), default=_plain)
    envelope = {"meta": described, "meta_checksum": _digest(described.encode()), "checksum": _of_tensors(arrays)}
    return bytes(save(arrays, metadata={_METADATA: json.dumps(envelope, sort_keys=True)}))


def decode(content: bytes) -> StoredObject[NDArray[Any]]:
    """Return the object in the content of a file.

    Raises
    ------
    DamagedObject : not as it was written
    """
    from safetensors.numpy import load

    header = _header(content[:_LENGTH_BYTES], content[_LENGTH_BYTES:], len(content))
    envelope = _envelope(header)
    try:
        tensors = load(content)
    except Exception as error:
        raise DamagedObject(f"not readable as safetensors: {error}") from error
    if _of_tensors(tensors) != envelope["checksum"]:
        raise DamagedObject("the checksum does not match the tensors")
    return StoredObject(dict(sorted(tensors.items())), _meta(envelope))


def decode_torch(content: bytes) -> StoredObject[Tensor]:
    """Return the object in the content of a file as torch tensors, which own their memory."""
    import torch

    checked = decode(content)
    return StoredObject({name: torch.from_numpy(array) for name, array in checked.tensors.items()}, checked.meta)


def read_meta(path: Path) -> dict[str, Any]:
    """Return the description of the object in a file; the tensors are not read, only that none is cut off.

    Raises
    ------
    DamagedObject : truncated, or the description is not as it was written
    """
    with path.open("rb") as file:
        length = file.read(_LENGTH_BYTES)
        header = _header(length, file.read(min(int.from_bytes(length, "little"), _LONGEST_HEADER)), path.stat().st_size)
    return _meta(_envelope(header))


def _header(length: bytes, rest: bytes, size: int) -> dict[str, Any]:
    """Return the safetensors header, after checking that the file is as long as it says."""
    count = int.from_bytes(length, "little")
    if len(length) < _LENGTH_BYTES or len(rest) < count:
        raise DamagedObject("the file is cut off")
    header = parsed(rest[:count])
    try:
        ends = [0, *(entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__")]
        tensor_bytes = max(ends)
    except (TypeError, KeyError, IndexError) as error:
        raise DamagedObject(f"the header cannot be read: {error}") from error
    if _LENGTH_BYTES + count + tensor_bytes != size:
        raise DamagedObject(f"the file has {size} bytes; its header speaks of {_LENGTH_BYTES + count + tensor_bytes}")
    return header


def _envelope(header: Mapping[str, Any]) -> dict[str, str]:
    try:
        envelope = parsed(header["__metadata__"][_METADATA])
        if _digest(envelope["meta"].encode()) == envelope["meta_checksum"] and isinstance(envelope["checksum"], str):
            return dict(envelope)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DamagedObject(f"the description cannot be read: {error}") from error
    raise DamagedObject("the checksum does not match the description")


def _meta(envelope: Mapping[str, str]) -> dict[str, Any]:
    return parsed(envelope["meta"])


def _of_tensors(tensors: Mapping[str, NDArray[Any]]) -> str:
    """Return a digest of names, types, shapes and bytes."""
    digest = blake2b(digest_size=16)
    for name in sorted(tensors):
        array = tensors[name]
        digest.update(json.dumps([name, array.dtype.newbyteorder("<").str, list(array.shape)]).encode())
        digest.update(_little_endian(array))
    return digest.hexdigest()


def _little_endian(array: NDArray[Any]) -> memoryview | bytes:
    order = array.dtype.byteorder
    flat: NDArray[np.generic] = array.astype(array.dtype.newbyteorder("<"), copy=False) if order == ">" else array
    return flat.tobytes() if flat.size < 1 else flat.reshape(-1).view("u1").data


def _digest(content: bytes) -> str:
    return blake2b(content, digest_size=16).hexdigest()


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"JSON cannot hold {type(value).__name__}: {value!r}")
