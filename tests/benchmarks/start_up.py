"""How long the command line takes to answer when nothing is to be computed."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from typing import Any

REPEATS = 7
HEAVY = ("torch", "art", "pandas", "numba", "onnxruntime", "sklearn")


def seconds(*arguments: str) -> float:
    """Return the best of several calls, in seconds: what else the machine does only adds."""
    best = float("inf")
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "BENCH_STORE": folder}
        for _ in range(REPEATS):
            start = time.perf_counter()
            subprocess.run(
                [sys.executable, "-c", "from bench.cli import main; main()", *arguments],
                check=True,
                capture_output=True,
                env=environment,
            )
            best = min(best, time.perf_counter() - start)
    return best


def heavy(*arguments: str) -> list[str]:
    """Return which of the slow libraries a call imports."""
    code = (
        "import sys\nfrom bench.cli import main\n"
        f"sys.argv = ['bench', *{list(arguments)!r}]\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        f"print('HEAVY', *(m for m in {HEAVY!r} if m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return done.stdout.splitlines()[-1].split()[1:]


def figures() -> list[dict[str, Any]]:
    """Return the time of ``bench --help`` and ``bench plugins``, against a bare interpreter, and what they import."""
    start = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", "pass"], check=True)
        start.append(time.perf_counter() - began)
    bare = min(start)
    rows = []
    for arguments in (("--help",), ("plugins",)):
        took = seconds(*arguments)
        name = f"bench {' '.join(arguments)}"
        rows.append(
            {"name": name, "ours": took, "theirs": bare, "ratio": bare / took, "unit": "s", "asked": "<= 0.5 s"}
        )
        count = len(heavy(*arguments))
        rows.append(
            {
                "name": f"{name}: slow libraries imported",
                "ours": count,
                "theirs": None,
                "ratio": None,
                "unit": "libraries",
                "asked": "<= 0 libraries",
            }
        )
    return rows
