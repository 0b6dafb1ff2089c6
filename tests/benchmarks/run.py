"""Measure every figure that the suite promises, beside what is asked, and write reports/bench.json: ``make bench``.

Every other file here has ``figures() -> list of dict(name, ours, theirs, ratio, unit, asked)``: what the suite takes,
what it is compared with (None where there is nothing), how many times better it is, and what is asked: ">= 2000" of the
ratio, "<= 0.5 s" of ours in its unit, "" for nothing. Name files to measure only those, and write nothing:
``python tests/benchmarks/run.py start_up``.
"""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
REPORT = HERE.parents[1] / "reports" / "bench.json"
_ASKED = re.compile(r"(>=|<=)\s*([\d.,]+)\s*(.*)")


def figures_of(path: Path) -> Callable[[], list[dict[str, Any]]]:
    """Return the ``figures`` function of a file."""
    spec = importlib.util.spec_from_file_location(f"benchmark_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    measured: Callable[[], list[dict[str, Any]]] = module.figures
    return measured


def verdict(figure: dict[str, Any]) -> str:
    """Return "met", "missed", or "" where nothing is asked."""
    asked = _ASKED.fullmatch(str(figure.get("asked") or "").strip())
    if asked is None:
        return ""
    sign, bound, unit = asked.groups()
    value = figure["ours"] if unit == figure["unit"] else figure["ratio"]
    limit = float(bound.replace(",", ""))
    return "met" if (value >= limit if sign == ">=" else value <= limit) else "missed"


def line(figure: dict[str, Any]) -> str:
    """Return a figure as one line."""

    def number(value: float | None) -> str:
        return "-" if value is None else f"{value:,.4g}"

    asked = f"  asked {figure['asked']}: {verdict(figure)}" if figure.get("asked") else ""
    ratio = "" if figure.get("ratio") is None else f"  ratio {number(figure['ratio'])}"
    return (
        f"{figure['name']}: {number(figure['ours'])} {figure['unit']}  against {number(figure['theirs'])}{ratio}{asked}"
    )


def main(names: list[str]) -> int:
    """Measure, print and write; return 1 where a figure misses what is asked."""
    files = sorted(path for path in HERE.glob("*.py") if path.name != "run.py" and (not names or path.stem in names))
    everything = []
    for path in files:
        for figure in figures_of(path)():
            everything.append({**figure, "file": path.name, "verdict": verdict(figure)})
            print(line(figure), flush=True)
    missed = int(any(figure["verdict"] == "missed" for figure in everything))
    if names:
        return missed
    machine = {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }
    REPORT.parent.mkdir(exist_ok=True)
    written = {"finished": datetime.now(UTC).isoformat(timespec="seconds"), "machine": machine, "figures": everything}
    REPORT.write_text(json.dumps(written, indent=2) + "\n")
    return missed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
