"""Whether the parameters of Constant Quantization go together; imported while a run is planned."""

from __future__ import annotations

from collections.abc import Mapping

from bench.errors import BadParameter
from bench.plugins.entries import Shape
from bench.plugins.parameters import Value


def check(parameters: Mapping[str, Value], shape: Shape | None) -> None:
    """Refuse rounding thresholds in the reference form, which has one more at 1."""
    refuse_thresholds(str(parameters["thresholds"]), str(parameters["form"]))


def refuse_thresholds(thresholds: str, form: str) -> None:
    """Raise BadParameter where thresholds do not exist in a form."""
    if thresholds == "rounding" and form == "reference":
        raise BadParameter("defense 'qusec-cq'", "thresholds", "uniform where form=reference", thresholds)
