"""What names this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.hardware.processor import multiplies_in_bfloat16

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
    """Return "fp32" or "bf16": what "auto" means on this machine, anything else as it was asked for."""
    if asked != "auto":
        return asked
    return "bf16" if multiplies_in_bfloat16() else "fp32"
