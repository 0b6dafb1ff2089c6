"""Checks that the author of a plugin runs on it: what it declares, measured instead of believed."""

from bench.conformance.result import CheckResult, Outcome
from bench.conformance.suite import check_selection, run_checks

__all__ = ["CheckResult", "Outcome", "check_selection", "run_checks"]
