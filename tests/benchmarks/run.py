"""Measure every figure that the suite promises, beside what is asked, and write reports/bench.json: ``make bench``.

Every file of figures/ has ``figures() -> list of Figure``. What one file says is written as soon as it is there, in the
place of what it said before, with when and of which commit. Name files to measure only those:
``PYTHONPATH=tests python -m benchmarks.run start_up``. Exits with 1 where a figure misses what is asked, or where what
is asked was not measured.
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.planning.machine import gradient_precision, machine
from bench.store.files import write_whole

from .figure import Figure

FILES = tuple(sorted(path.stem for path in (Path(__file__).parent / "figures").glob("[a-z]*.py")))
TOP = Path(__file__).parents[2]
REPORT = TOP / "reports" / "bench.json"


def main(names: list[str]) -> int:
    """Measure, print and write; return the exit code."""
    if unknown := set(names) - set(FILES):
        print(f"benchmarks: no {', '.join(sorted(unknown))}; there are {', '.join(FILES)}", file=sys.stderr)
        return 2
    answered = True
    for name in names or FILES:
        measured: list[Figure] = importlib.import_module(f"benchmarks.figures.{name}").figures()
        for figure in measured:
            print(figure.line(), flush=True)
            answered &= figure.answered
        keep(name, measured)
    return int(not answered)


def keep(name: str, measured: Sequence[Figure], report: Path = REPORT) -> None:
    """Write what a file of figures says in the place of what it said before."""
    known: dict[str, Any] = json.loads(report.read_text()) if report.is_file() else {}
    known = {file: told for file, told in known.items() if file in FILES}
    known[name] = {**conditions(), "figures": [figure.as_dict() for figure in measured]}
    report.parent.mkdir(exist_ok=True)
    write_whole(report, (json.dumps(dict(sorted(known.items())), indent=2) + "\n").encode(), what="benchmarks")


def conditions() -> dict[str, Any]:
    """Return when, of which code and on what."""
    told = ["git", "describe", "--always", "--dirty", "--exclude", "*"]
    commit = subprocess.run(told, cwd=TOP, capture_output=True, text=True).stdout.strip()
    this = machine()
    return {
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit or "unknown",
        "processor": this["cpu"],
        "cores": len(os.sched_getaffinity(0)),
        "precision": gradient_precision("auto"),
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "numpy", "adversarial-robustness-toolbox")},
        },
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
