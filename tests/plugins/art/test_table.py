from __future__ import annotations

import inspect
import subprocess
import sys
from importlib import import_module

import pytest

from bench.plugins.entries import Attack, NotOffered
from bench.plugins.parameters import resolve
from bench_art.plugin import bench_attacks
from bench_art.row import OURS, Row
from bench_art.table import ROWS

OFFERED = [entry for entry in bench_attacks() if isinstance(entry, Attack)]
WITHHELD = [entry for entry in bench_attacks() if isinstance(entry, NotOffered)]
# The survey's verdicts A and B, one name a norm.
EXPECTED = {
    "fgsm", "fgsm-l2", "bim", "pgd-linf", "pgd-l2", "mim", "mim-l2", "apgd-ce", "apgd-ce-l2", "apgd-dlr", "apgd-dlr-l2",
    "apgd-targeted", "apgd-targeted-l2", "autoattack-art", "autoattack-art-l2", "cw-l2", "cw-linf", "ead", "deepfool",
    "jsma", "spatial", "uap", "uap-l2", "uap-fgsm", "uap-fgsm-l2", "patch", "square-linf", "square-l2", "simba-dct",
    "simba-px", "boundary", "hopskipjump-l2", "hopskipjump-linf", "sign-opt",
}  # fmt: skip


def test_listing_imports_neither_torch_nor_art() -> None:
    code = "import sys, bench_art.plugin as p; p.bench_attacks(); print({'torch', 'art', 'numpy'} & set(sys.modules))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "set()"


def test_what_runs_out_of_queries_takes_images_one_by_one_and_has_no_ball() -> None:
    """What it has found by then is the nearest of one image's queries, wherever that lies."""
    limited = [row for row in ROWS if any(parameter.name == "queries" for parameter in row.parameters)]
    assert len(limited) == 4
    assert all(row.alone and row.minimum_norm for row in limited)


def test_every_attack_of_verdict_a_or_b_is_offered_and_every_other_has_a_reason() -> None:
    assert {entry.name for entry in OFFERED if not entry.control} == EXPECTED
    names = [entry.name for entry in bench_attacks()]
    assert len(names) == len(set(names))
    assert all(entry.summary.startswith("Not offered: ") and len(entry.summary) > 20 for entry in WITHHELD)
    assert {"acg", "pgd-l1", "zoo", "geoda-l2", "brendel-bethge", "laser", "patch-np"} <= {e.name for e in WITHHELD}


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_ladder_has_its_rungs(norm: str) -> None:
    assert {entry.core for entry in OFFERED if entry.norm == norm} >= {"fgsm", "pgd-ce", "apgd-dlr", "square"}


@pytest.mark.parametrize("entry", OFFERED, ids=lambda entry: entry.name)
def test_budgets_are_within_the_declared_parameters(entry: Attack) -> None:
    for budget in ("quick", "standard"):
        settings = entry.settings(budget)
        resolve(entry.name, entry.parameters, dict(settings.parameters))
        assert settings.block >= 1
        assert settings.timeout_s > settings.seconds
    assert not entry.standard.parameters, "standard is the entry's own defaults"
    assert all(parameter.parse(entry.name, parameter.default) == parameter.default for parameter in entry.parameters)


@pytest.mark.parametrize("entry", OFFERED, ids=lambda entry: entry.name)
def test_factories_make_the_attack_they_name(entry: Attack) -> None:
    module, _, attribute = entry.factory.partition(":")
    made = getattr(import_module(module), attribute)()
    assert entry.control or made.row.name == entry.name


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_parameter_reaches_art(row: Row) -> None:
    """ART swallows nothing: a misspelt argument would raise; one that only we read must be one of ours."""
    module, _, name = row.art.partition(":")
    known = set(inspect.signature(getattr(import_module(module), name).__init__).parameters)
    if row.procedure == "ensemble":
        return  # its parameters go to the injected attacks
    given = {p.name for p in row.parameters} - OURS | {n for n, _ in row.arguments} | {n for n, _ in row.relative}
    assert given <= known
    factors = {factor for _, factor in row.relative if isinstance(factor, str)}
    assert factors <= {p.name for p in row.parameters}
