"""Call a plugin's code in this process so that it can raise, print or hang without harm to anybody else."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

from bench.plugins.loading import loaded
from bench.plugins.registry import Found

PATIENCE_S = 10.0


def built(found: Found) -> Any:
    """Return what an entry's factory gives for the entry's own parameters."""
    return loaded(found.entry.factory)(**{p.name: p.default for p in found.entry.parameters})


def contained(work: Callable[[], Any], *, patience_s: float = PATIENCE_S) -> tuple[Any, str]:
    """Return what ``work`` gives and "", or None and why there is nothing.

    Notes
    -----
    It runs in a thread of its own: one that hangs is left behind and holds up nobody.
    """
    answers: list[Any] = []
    faults: list[str] = []

    def ask() -> None:
        try:
            answers.append(work())
        except BaseException as error:  # what it raises is its own: nobody's Ctrl-C reaches this thread
            faults.append(f"{type(error).__name__}: {' '.join(str(error).split())}".rstrip(": "))

    thread = threading.Thread(target=ask, daemon=True)
    output = io.StringIO()
    with redirect_stdout(output), redirect_stderr(output):
        thread.start()
        thread.join(patience_s)
    if thread.is_alive():
        return None, f"gave nothing within {patience_s:g} s."
    return (None, faults[0]) if faults else (answers[0], "")
