"""What names this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

_CPUINFO = Path("/proc/cpuinfo")


def machine() -> dict[str, Any]:
    """Return what names this machine in the key of a profile."""
    import os
    import platform

    model = ""
    if _CPUINFO.exists():
        names = [
            line.partition(":")[2].strip()
            for line in _CPUINFO.read_text().splitlines()
            if line.startswith("model name")
        ]
        model = names[0] if names else ""
    return {
        "node": platform.node(),
        "platform": platform.platform(),
        "cpu": model or platform.processor(),
        "cores": os.cpu_count(),
    }


def gradient_precision(asked: str) -> str:
    """Return "fp32" or "bf16": what "auto" means on this machine, anything else as it was asked for.

    Notes
    -----
    bfloat16 gains where the processor has instructions that multiply in it: tiles (AMX), or AVX-512's (BF16).
    Elsewhere it is computed in float32 and rounded: slower.
    """
    if asked != "auto":
        return asked
    flags = processor_flags()
    return "bf16" if {"amx_tile", "amx_bf16"} <= flags or "avx512_bf16" in flags else "fp32"


def processor_flags() -> frozenset[str]:
    """Return what the processor says that it can do, nothing where it does not say."""
    try:
        lines = _CPUINFO.read_text().splitlines()
    except OSError:
        return frozenset()
    return frozenset(next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), ()))
