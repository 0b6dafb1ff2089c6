"""What plugins say of what was compared."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bench.plugins.entries import Attack, Defense
from bench.plugins.hookspecs import hookimpl
from bench.plugins.registry import Registry, discover
from bench.reporting import compared

SOURCE = "Alpha, Beta, 'A Title', 2020, doi 10.1000/xyz; Gamma et al., Another, ICLR 2021, arXiv 2101.00001; ours"


@pytest.fixture
def registry() -> Registry:
    own = Attack(name="their-own", factory="a:b", summary="Theirs.", norm="linf", access="gradient")
    entry = Defense(name="shield", factory="a:b", summary="It shields.", source=SOURCE, adaptive_attacks=(own,))
    return discover([SimpleNamespace(bench_defenses=hookimpl(lambda: [entry]))])


def test_a_defense_has_its_summary_and_where_each_source_is_read(made: Any, registry: Registry) -> None:
    (line,) = compared.defenses([made.clean_record("shield[size=3]", np.ones(5))], registry)
    assert (line.labels, line.summary) == (("shield[size=3]",), "It shields.")
    assert [address for _, address in line.sources] == [
        "https://doi.org/10.1000/xyz",
        "https://arxiv.org/abs/2101.00001",
        "",
    ]


def test_an_attack_that_a_defense_brings_is_known_and_has_all_its_names(made: Any, registry: Registry) -> None:
    labels = ("their-own", "their-own[steps=2]", "their-own[steps=2] via soft")
    records = [made.attack_record("shield", "their-own", np.zeros(5)) for _ in labels]
    for record, label in zip(records, labels, strict=True):
        record["attack"]["label"] = label
    (line,) = compared.attacks(records, registry)
    assert line.summary == "Theirs."
    assert line.labels == labels
    assert line.runs == ("their-own", "their-own[steps=2]", "via soft")


def test_what_is_not_installed_is_said_to_be_so(made: Any, registry: Registry) -> None:
    record = made.attack_record("stranger", "odd", np.zeros(5))
    for line in (*compared.defenses([record], registry), *compared.attacks([record], registry)):
        assert line.summary.startswith("Not installed here")
        assert "edge-defense-bench 0.1.0" in line.summary
        assert line.sources == ()


@pytest.mark.parametrize(
    ("defense", "fit", "told"),
    [
        ({"shipped": "f947"}, {"epochs": 3}, "fit shipped with the plugin"),
        ({"shipped": ""}, {"epochs": 3}, "fitted here"),
        ({"shipped": "", "trains": True}, {}, "fitted here"),
        ({"shipped": ""}, {}, "nothing is fitted"),
        ({}, {}, ""),
    ],
)
def test_where_weights_are_from_is_told_if_the_records_do(
    made: Any, registry: Registry, defense: dict[str, Any], fit: dict[str, Any], told: str
) -> None:
    record = made.clean_record("shield", np.ones(5))
    record["defense"] |= defense
    record["notes"] = {"fit": fit}
    assert compared.defenses([record], registry)[0].fit == told
