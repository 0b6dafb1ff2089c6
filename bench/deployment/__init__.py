"""Deployments: stages, where they run, what crosses between them."""

from bench.deployment.defense import Defense, FitContext, FitResult, Pool
from bench.deployment.deployment import INPUT, Deployment, Join, Node
from bench.deployment.draws import Draws
from bench.deployment.signal import Signal
from bench.deployment.stage import Capture, Classify, Placement, Stage, Surrogate
from bench.deployment.staircase import with_slope

__all__ = [
    "INPUT",
    "Capture",
    "Classify",
    "Defense",
    "Deployment",
    "Draws",
    "FitContext",
    "FitResult",
    "Join",
    "Node",
    "Placement",
    "Pool",
    "Signal",
    "Stage",
    "Surrogate",
    "with_slope",
]
