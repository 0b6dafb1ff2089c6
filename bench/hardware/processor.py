"""What the processor says that it can do, and how much of it is ours."""

from __future__ import annotations

import os
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")


def multiplies_in_bfloat16() -> bool:
    """Return whether there are instructions that multiply in bfloat16: tiles (AMX), or AVX-512's (BF16).

    Elsewhere it is computed in float32 and rounded: slower than float32.
    """
    flags = processor_flags()
    return {"amx_tile", "amx_bf16"} <= flags or "avx512_bf16" in flags


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor_flags() -> frozenset[str]:
    """Return the processor's flags as Linux lists them, nothing where it does not say."""
    try:
        lines = _CPUINFO.read_text().splitlines()
    except OSError:
        return frozenset()
    return frozenset(next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), ()))
