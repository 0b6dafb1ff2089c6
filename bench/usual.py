"""What other tools call our verbs and flags: no likeness of letters leads from ``--workers`` to ``--jobs``."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Final

_VERBS: Final[Mapping[str, str]] = {
    "list": "plugins", "ls": "plugins", "show": "plugins", "search": "plugins",
    "compare": "diff", "html": "report", "merge": "report", "view": "report", "bibtex": "cite", "citation": "cite",
    "why": "explain", "inspect": "explain", "clean": "store", "gc": "store", "prune": "store", "cache": "store",
    "train": "fit", "create": "new", "init": "new", "scaffold": "new", "test": "check", "validate": "check",
    "resume": "run", "evaluate": "run", "bench": "run", "dry-run": "plan", "attack": "audit",
}  # fmt: skip
_FLAGS: Final[Mapping[str, str]] = {
    "workers": "jobs", "num-workers": "jobs", "n-workers": "jobs", "n-jobs": "jobs", "num-jobs": "jobs",
    "threads": "jobs", "processes": "jobs", "parallel": "jobs", "j": "jobs",
    "epsilon": "eps", "epsilons": "eps", "radius": "eps", "radii": "eps", "e": "eps",
    "images": "samples", "num-samples": "samples", "n-samples": "samples", "limit": "samples", "n": "samples",
    "output": "out", "output-dir": "out", "outdir": "out", "o": "out",
    "cache": "store", "cache-dir": "store", "db": "store", "data": "data-dir", "data-root": "data-dir",
    "device": "hardware", "dtype": "precision", "threat": "norm", "attacker": "knowledge", "force": "retry",
}  # fmt: skip


def ours(word: str, known: Container[str]) -> str:
    """Return the name here of what ``word`` usually means, "" where none of ``known`` is it."""
    plain = word.strip("-").replace("_", "-").lower()
    return next((name for table in (_VERBS, _FLAGS) if (name := table.get(plain, "")) and name in known), "")
