"""Names for results: a digest of all that can change them."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Mapping
from functools import cache
from hashlib import blake2b
from importlib import metadata
from pathlib import Path
from types import MappingProxyType
from typing import Final

from bench.errors import UsageError
from bench.store.code import code_digest

__all__ = ["code_digest", "environment_class", "file_digest", "key", "versions"]

LIBRARIES: Final = (
    "torch",
    "torchvision",
    "adversarial-robustness-toolbox",
    "numpy",
    "scipy",
    "numba",
    "onnxruntime",
    "pillow",
)
_CHOOSE_KERNELS: Final = (
    "ATEN_CPU_CAPABILITY",
    "ONEDNN_MAX_CPU_ISA",
    "DNNL_MAX_CPU_ISA",
    "MKL_ENABLE_INSTRUCTIONS",
    "MKL_CBWR",
)
_CPUINFO: Final = Path("/proc/cpuinfo")


def key(preimage: Mapping[str, object]) -> str:
    """Return the name of what ``preimage`` describes: 32 hexadecimal digits.

    Parameters
    ----------
    preimage : of str, bool, int, finite float, None, and mappings with text keys, lists and tuples of these; the
        order of a mapping does not matter, 1 and 1.0 are two values

    Raises
    ------
    TypeError : anything else, NumPy's numbers too
    ValueError : a float that is not finite
    """
    _check(preimage, "preimage")
    return blake2b(_encoder.encode(preimage).encode(), digest_size=16).hexdigest()


def _check(value: object, where: str) -> None:
    """Refuse what JSON would write but not tell apart: names that are no texts, subclasses of numbers."""
    kind = type(value)
    if kind in _SCALARS:
        return
    if isinstance(value, Mapping):
        for name, part in value.items():
            if type(name) is not str:
                raise TypeError(f"{where} has the name {name!r}; expected a text.")
            if type(part) not in _SCALARS:
                _check(part, name)
    elif kind is list or kind is tuple:
        for part in value:  # type: ignore[attr-defined]
            if type(part) not in _SCALARS:
                _check(part, where)
    else:
        raise TypeError(f"{where!r} holds {kind.__name__}, which has no place in a key: {value!r}")


_encoder: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False, default=dict)


_SCALARS: Final = frozenset({str, bool, int, float, type(None)})


def file_digest(path: str | Path) -> str:
    """Return a digest of a file's bytes: 32 hexadecimal digits.

    Raises
    ------
    UsageError : it cannot be read
    """
    digest = blake2b(digest_size=16)
    try:
        with Path(path).expanduser().open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise UsageError(f"File {str(path)!r} cannot be read: {error.strerror}.") from error
    return digest.hexdigest()


@cache
def versions() -> Mapping[str, str]:
    """Return the versions of the libraries whose code can change a result; "absent" where one is not installed."""
    return MappingProxyType({name: _version(name) for name in LIBRARIES})


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "absent"


@cache
def environment_class() -> str:
    """Return what kind of environment this is: equal classes give equal bits.

    Returns
    -------
    str : such as "x86_64-GenuineIntel-avx512+bf16+amx-float32-py3.11"

    Notes
    -----
    Torch and its mathematics libraries choose their kernels by the instruction set and the maker of the processor, and
    what is computed in bfloat16 where a processor multiplies in it may be in float32 elsewhere. Variables by which a
    user overrides the choice, such as ``ATEN_CPU_CAPABILITY``, are part of the class.
    """
    try:
        text = _CPUINFO.read_text()
    except OSError:
        text = ""
    maker, capability = _processor(text)
    forced = [f"{name}={value}" for name in _CHOOSE_KERNELS if (value := os.environ.get(name))]
    parts = [platform.machine(), maker, capability, *forced, "float32"]
    return "-".join(filter(None, [*parts, f"py{sys.version_info.major}.{sys.version_info.minor}"]))


def _processor(cpuinfo: str) -> tuple[str, str]:
    """Return the maker of the processor and its instruction set, by the rule of torch's own dispatch.

    References
    ----------
    pytorch, ``aten/src/ATen/native/DispatchStub.cpp``: AVX512 needs vl, bw, dq and fma3; AVX2 needs fma3.
    """
    said: dict[str, str] = {}
    for line in cpuinfo.splitlines():
        name, colon, value = line.partition(":")
        if colon:
            said.setdefault(name.strip(), value.strip())
    maker = said.get("vendor_id", said.get("CPU implementer", ""))
    flags = set(said.get("flags", said.get("Features", "")).split())
    reduced = "".join(sorted({name for flag, name in _REDUCED.items() if flag in flags}, reverse=True))
    for capability, needs in _CAPABILITIES:
        if needs <= flags:
            return maker, capability + reduced
    return maker, "default"


_CAPABILITIES: Final = (
    ("avx512", {"avx512f", "avx512vl", "avx512bw", "avx512dq", "fma"}),
    ("avx2", {"avx2", "fma"}),
    ("sve", {"sve"}),
    ("neon", {"asimd"}),
)
_REDUCED: Final = {"avx512_bf16": "+bf16", "amx_bf16": "+amx", "bf16": "+bf16"}
