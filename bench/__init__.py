"""Compare defenses of neural networks on edge devices: security under adaptive attack and cost, side by side."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.analysis import leaderboard
    from bench.api import audit, diff, plan, report, run
    from bench.deployment import Deployment, Stage
    from bench.plugins.entries import Attack, Dataset, Defense, Hardware, Model
    from bench.plugins.hookspecs import hookimpl

_WHERE = {
    "Attack": "bench.plugins.entries",
    "Dataset": "bench.plugins.entries",
    "Defense": "bench.plugins.entries",
    "Deployment": "bench.deployment",
    "Hardware": "bench.plugins.entries",
    "Model": "bench.plugins.entries",
    "Stage": "bench.deployment",
    "audit": "bench.api",
    "diff": "bench.api",
    "hookimpl": "bench.plugins.hookspecs",
    "leaderboard": "bench.analysis",
    "plan": "bench.api",
    "report": "bench.api",
    "run": "bench.api",
}
__all__ = [
    "Attack",
    "Dataset",
    "Defense",
    "Deployment",
    "Hardware",
    "Model",
    "Stage",
    "audit",
    "diff",
    "hookimpl",
    "leaderboard",
    "plan",
    "report",
    "run",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("edge-defense-bench")
    if name in _WHERE:
        return getattr(import_module(_WHERE[name]), name)
    raise AttributeError(f"module 'bench' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
