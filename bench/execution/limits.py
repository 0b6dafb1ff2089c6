"""How much of this machine a run may take."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from filelock import FileLock

_CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def memory_bytes() -> int:
    """Return how much memory this process may use: the machine's, or its container's where that is less."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for file in _CGROUP_LIMITS:
        if file.exists() and (text := file.read_text().strip()).isdigit():
            total = min(total, int(text))
    return total


def stopwatch() -> FileLock:
    """Return the lock that is held while something is timed: one at a time on this machine, whatever the store.

    It is of the user by number: a container's may have no name, and ``$USER`` may be another's.
    """
    return FileLock(Path(tempfile.gettempdir()) / f"edge-defense-bench-{os.getuid()}.lock")
