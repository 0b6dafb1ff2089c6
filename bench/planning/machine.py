"""What names this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def machine() -> dict[str, Any]:
    """Return what names this machine in the key of a profile."""
    import os
    import platform

    model = ""
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        model = names[0] if names else ""
    return {
        "node": platform.node(),
        "platform": platform.platform(),
        "cpu": model or platform.processor(),
        "cores": os.cpu_count(),
    }
