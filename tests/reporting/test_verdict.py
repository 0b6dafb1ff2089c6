"""The verdict page: words, tables, hostile text."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
from rich.console import Console

from bench.analysis.audit import audit
from bench.reporting import verdict
from bench.reporting.audit import parts
from bench.reporting.sections import unsafe


def text_of(audited) -> str:
    console = Console(file=io.StringIO(), width=120)
    verdict.show(audited, console)
    return console.file.getvalue()


def test_the_page_says_word_count_interval_and_claim(sample, tmp_path, cache):
    found = audit(sample, "qusec-cq[levels=2]", source="Author 2020")
    files = verdict.write(found, sample, tmp_path, command="bench audit x", cache=cache)
    for text in (files["audit.md"].read_text(), text_of(found)):
        assert "of them were broken by the worst attack on each" in text
        assert "fgsm at ε 0.1: 96.3 % (levels=2, white-box attacker, figure 5)" in text
        assert "Source: Author 2020." in text
        assert "adaptive, the usual way" in text
        assert "1.06× the undefended model (1.03–1.10)" in text
    assert "bench audit x" in files["audit.md"].read_text()
    assert "levels=2" in text_of(found).split("Accuracy against epsilon")[1].split("What broke")[0]


def test_the_figures_of_an_incomplete_audit_are_said_to_be_unreliable(sample):
    for name, part in (("jpeg[quality=50]", 0), ("qusec-cq[levels=2]", 0)):
        told = parts(audit(sample, name))[part]
        assert ("not to be relied upon" in " ".join(told.sentences)) == (told.verdict == "incomplete")


def test_broken_says_how_much_is_left_and_is_red_where_nothing_is(sample):
    for name, mark in (("adversarial-training", "warn"), ("none", "fail")):
        found = audit(sample, name)
        told, left = parts(found)[0], found.settings[0].line["robust_accuracy"]
        assert (told.verdict, told.mark) == (f"broken, {100 * left:.1f} % left", mark)


def test_the_words_that_promise_too_much_are_never_used(sample, tmp_path, cache):
    for name in ("none", "adversarial-training", "superiot[window=3]"):
        files = verdict.write(audit(sample, name), sample, tmp_path / name[:4], cache=cache)
        text = files["audit.md"].read_text().lower()
        assert "secure" not in text
        assert "verified" not in text
        assert "robust" not in text.replace("robust accuracy", "")


def test_text_of_strangers_neither_runs_nor_breaks_the_page(made, tmp_path, cache):
    records = made.hostile_records()
    found = audit(records, made.HOSTILE, source=made.HOSTILE, left_out=[made.HOSTILE])
    assert found.settings
    files = verdict.write(found, records, tmp_path, command=made.HOSTILE, cache=cache)
    page = files["audit.html"].read_text()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    for text in (page, files["audit.md"].read_text(), text_of(found)):
        assert "\x1b" not in text
    assert "<script" not in files["audit.md"].read_text()


def test_the_page_loads_nothing_and_draws_a_curve_once_a_norm(sample, tmp_path, cache):
    found = audit(sample, "qusec-cq[levels=2]")
    page = verdict.write(found, sample, tmp_path, cache=cache)["audit.html"].read_text()
    main = re.sub(
        r"<svg.*?</svg>", "", page.split("<main>")[1].split("</main>")[0], flags=re.S
    )  # a chart has a <title>
    assert unsafe(main) == ""  # all is closed, nothing runs, nothing comes from outside
    assert "src=" not in page
    assert "url(" not in page
    assert page.count("Accuracy against the size of the perturbation.") == len({s.line["norm"] for s in found.settings})


def test_json_is_whole_and_has_no_number_that_others_refuse(sample):
    told = json.loads(verdict.as_json(audit(sample, "median[size=3]")), parse_constant=pytest.fail)
    assert told["defense"] == "median[size=3]"
    assert told["settings"][0]["verdict"] == "incomplete"
    assert told["settings"][0]["rungs"][0]["share"]["n"] == 300


def test_every_image_is_in_the_records_that_lie_beside_it(sample, tmp_path: Path, cache):
    files = verdict.write(audit(sample, "none"), sample, tmp_path, cache=cache)
    assert len(files["records.jsonl"].read_text().splitlines()) == len(sample)
