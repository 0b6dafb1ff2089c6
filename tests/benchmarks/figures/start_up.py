"""How long the command line takes to answer when nothing is to be computed."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time

from ..figure import Figure

REPEATS = 7
HEAVY = ("torch", "art", "pandas", "numba", "onnxruntime", "sklearn")


def figures() -> list[Figure]:
    """Return the time of ``bench --help`` and ``bench plugins``, against a bare interpreter, and what they import."""
    bare = _best([sys.executable, "-c", "pass"])
    rows = []
    for arguments in (("--help",), ("plugins",)):
        name = f"bench {' '.join(arguments)}"
        took = _best([sys.executable, "-c", "from bench.cli import main; main()", *arguments])
        against = f"{name}, against an interpreter that does nothing, best of {REPEATS}, wall time"
        rows.append(Figure(against, "s", took, bare, asked="<= 0.5 s", ratio_of="ours / theirs"))
        count = len(_heavy(*arguments))
        rows.append(Figure(f"{name}: slow libraries imported", "libraries", count, asked="<= 0 libraries"))
    return rows


def _best(command: list[str]) -> float:
    """Return the shortest of several calls, in seconds: what else the machine does only adds."""
    times = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(REPEATS):
            start = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True, env={**os.environ, "BENCH_STORE": folder})
            times.append(time.perf_counter() - start)
    return min(times)


def _heavy(*arguments: str) -> list[str]:
    """Return which of the slow libraries a call imports."""
    code = (
        "import sys\nfrom bench.cli import main\n"
        f"sys.argv = ['bench', *{list(arguments)!r}]\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        f"print('HEAVY', *(m for m in {HEAVY!r} if m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return done.stdout.splitlines()[-1].split()[1:]
