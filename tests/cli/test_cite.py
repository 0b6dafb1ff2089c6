from __future__ import annotations

import json

import pytest

from bench.cli import main


def said(capsys, *arguments, code=0):
    with pytest.raises(SystemExit) as ended:
        main(["cite", *arguments])
    assert ended.value.code == code
    return capsys.readouterr()


def test_a_citation_is_printed_plain_and_as_bibtex(capsys):
    told = said(capsys, "pgd-linf").out
    title = "Towards Deep Learning Models Resistant to Adversarial Attacks"
    assert f"  Madry et al., {title}, ICLR 2018, arXiv 1706.06083\n" in told
    assert f"@inproceedings{{pgd-linf,\n  author = {{Madry and others}},\n  title = {{{{{title}}}}},\n" in told
    assert "  booktitle = {ICLR},\n" in told


def test_parameters_of_a_selection_are_passed_over_and_json_has_the_fields(capsys):
    (row,) = json.loads(said(capsys, "qusec-tq[levels=4]", "--json").out)
    assert (row["kind"], row["name"], row["arxiv"], row["year"]) == ("defense", "qusec-tq", "1811.01437", "2019")
    assert row["authors"][0] == "Khalid"


def test_attacks_that_defenses_bring_and_families_are_known(capsys):
    (own,) = json.loads(said(capsys, "qusec-codespace", "--json").out)
    assert (own["kind"], own["name"]) == ("attack", "qusec-codespace")
    family = json.loads(said(capsys, "qusec", "--json").out)
    assert {row["name"] for row in family} == {"qusec-cq", "qusec-tq"}


def test_a_plugin_without_a_source_says_so(capsys):
    assert "It states no source." in said(capsys, "null").out


def test_an_unknown_name_is_told_the_nearest(capsys):
    assert "Did you mean 'superiot'" in said(capsys, "superoit", code=2).err
