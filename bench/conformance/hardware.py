"""Checks of what cost is measured on."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from bench.conformance.construction import construct
from bench.conformance.result import CheckResult, Failed, perform
from bench.conformance.workbench import held_out, trained_network
from bench.deployment import Capture, Classify, Deployment
from bench.hardware import Measurement, Workload
from bench.hardware.profile import Provenance
from bench.plugins.entries import Hardware
from bench.plugins.parameters import Value

IMAGES = 32
PLACEMENTS = ("device", "server", "tee", "total")


def check_hardware(entry: Hardware, parameters: Mapping[str, Value]) -> list[CheckResult]:
    """Return the results of all checks of a hardware plugin; it measures an undefended network against itself."""
    made: dict[str, Any] = {}

    def constructs(subject: Hardware) -> str:
        made["hardware"] = construct(subject, parameters, ("machine", "measure"))
        return f"{subject.factory} gave a {type(made['hardware']).__name__}."

    def measures(hardware: Any) -> str:
        made["figures"] = _measured(hardware)
        return f"{len(made['figures'])} figures of {len({f.quantity for f in made['figures']})} quantities."

    results = [perform("construction", constructs, entry)]
    if "hardware" in made:
        results += [
            perform("machine", _check_machine, made["hardware"]),
            perform("measurement", measures, made["hardware"]),
        ]
    if "figures" in made:
        results += [
            perform("figures", _check_figures, made["figures"]),
            perform("ratio", _check_ratio, made["figures"]),
        ]
    return results


def _measured(hardware: Any) -> Sequence[Measurement]:
    network = trained_network()
    with tempfile.TemporaryDirectory(prefix="bench-check-") as scratch:
        workload = Workload(
            deployment=Deployment.chain(Capture(), Classify(network)),
            baseline=Deployment.chain(Capture(), Classify(network)),
            images=held_out(IMAGES)[0],
            seed=0,
            scratch=Path(scratch),
        )
        figures = list(hardware.measure(workload, "quick"))
    if not figures or not all(isinstance(figure, Measurement) for figure in figures):
        raise Failed("measure gave no list of Measurement; give one for every figure, also those without a value.")
    return figures


def _check_machine(hardware: Any) -> str:
    first, again = hardware.machine(), hardware.machine()
    try:
        text = json.dumps(dict(first), sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise Failed(f"machine gave what JSON cannot hold: {error}.") from None
    if text != json.dumps(dict(again), sort_keys=True, allow_nan=False):
        raise Failed("Two calls of machine differ; it names the machine, and stands in the key of what was measured.")
    return f"{len(first)} facts, the same in two calls."


def _check_figures(figures: Sequence[Measurement]) -> str:
    for figure in figures:
        name = f"{figure.quantity} {figure.statistic} ({figure.placement})"
        if figure.placement not in PLACEMENTS:
            raise Failed(f"{name}: expected one of {', '.join(PLACEMENTS)} as placement.")
        if figure.provenance not in get_args(Provenance):
            raise Failed(
                f"{name}: provenance {figure.provenance!r}; expected one of {', '.join(get_args(Provenance))}."
            )
        if not figure.source.strip():
            raise Failed(f"{name} has no source; name the formula or the instrument.")
        if figure.value is None and not figure.flags:
            raise Failed(f"{name} has no value and no flag that says why.")
        if figure.value is not None and not math.isfinite(figure.value):
            raise Failed(f"{name} is {figure.value}; give None and a flag where there is no figure.")
        bounds = [bound for bound in (figure.low, figure.value, figure.high) if bound is not None]
        if figure.value is not None and bounds != sorted(bounds):
            raise Failed(f"{name}: {figure.value:g} lies outside its interval {figure.low} to {figure.high}.")
    return "Each has a placement, a provenance, a source, and a value or the reason why not."


def _check_ratio(figures: Sequence[Measurement]) -> str:
    ratios = [f for f in figures if f.quantity == "latency_ratio" and f.value is not None]
    if not ratios:
        raise Failed("There is no latency_ratio to the undefended deployment, the headline of the leaderboard.")
    value = ratios[0].value
    assert value is not None
    if not 0.5 < value < 2.0:
        raise Failed(f"A deployment takes {value:.3g} times its own time; interleave the two in short blocks.")
    return f"A deployment takes {value:.3g} times its own time."
