"""The hooks a plugin may implement. Each is called once, when plugins are listed, and must be cheap: no torch.

Register by the entry-point group ``edge_defense_bench``; the value is the module that holds the implementations.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pluggy

from bench.plugins.entries import Attack, Dataset, Defense, Gate, Hardware, Model, NotOffered, ReportSection

PROJECT: Final = "edge_defense_bench"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def bench_defenses() -> Sequence[Defense]:
    """Return the defenses that this plugin offers."""
    raise NotImplementedError  # a specification; never called


@hookspec
def bench_attacks() -> Sequence[Attack | NotOffered]:
    """Return the attacks that this plugin offers, and those it knows but does not offer, with the reason."""
    raise NotImplementedError


@hookspec
def bench_models() -> Sequence[Model]:
    """Return the classifiers that this plugin offers."""
    raise NotImplementedError


@hookspec
def bench_datasets() -> Sequence[Dataset]:
    """Return the data sets that this plugin offers."""
    raise NotImplementedError


@hookspec
def bench_hardware() -> Sequence[Hardware]:
    """Return the machines that this plugin can measure cost on."""
    raise NotImplementedError


@hookspec
def bench_gates() -> Sequence[Gate]:
    """Return checks that decide whether a number is ranked."""
    raise NotImplementedError


@hookspec
def bench_report_sections() -> Sequence[ReportSection]:
    """Return sections to add to the HTML report."""
    raise NotImplementedError
