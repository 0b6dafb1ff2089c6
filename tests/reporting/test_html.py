from __future__ import annotations

import html
import re
import subprocess
import sys
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bench.reporting
from bench.reporting import charts

VOID = {"meta", "link", "br", "img", "input", "wbr"}


class Reader(HTMLParser):
    """Collects tags and attributes, and checks that what is opened is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, tag
        assert self.open[-1] == tag, (self.open[-3:], tag)
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, sample: list[dict[str, Any]], cache: Path) -> str:
    out = tmp_path_factory.mktemp("out")
    return bench.reporting.write(sample, out, command="bench run --x '<y>'", cache=cache)["html"].read_text()


def test_the_page_is_well_formed_small_and_refers_to_nothing_outside(page: str) -> None:
    reader = Reader(page)
    assert reader.open == []
    assert len(page.encode()) < 3_000_000
    papers = ("https://arxiv.org/abs/", "https://doi.org/")  # to be followed by hand; nothing is loaded from there
    for tag, attributes in reader.tags:
        for name in ("src", "href", "action", "xlink:href", "poster", "data"):
            value = attributes.get(name)
            followed = tag == "a" and name == "href" and value is not None and value.startswith(papers)
            assert value is None or followed or value.startswith(("#", "data:")), (tag, name, value)
    assert not re.search(r"url\((?!['\"]?(#|data:))", page)
    assert "@import" not in page


def test_every_table_has_a_caption_and_every_figure_too(page: str) -> None:
    names = [tag for tag, _ in Reader(page).tags]
    assert names.count("table") == names.count("caption") > 5
    assert names.count("figure") == names.count("figcaption") > 5
    for tag, attributes in Reader(page).tags:
        if tag == "img":
            assert attributes["alt"]
        if tag == "svg":
            assert attributes.get("aria-label") or attributes.get("aria-hidden")


def test_the_page_says_what_matters_in_words(page: str) -> None:
    text = " ".join("".join(Reader(page).texts).split())
    assert "adversarial-training holds best: it keeps" in text
    assert "the undefended model keeps" in text
    assert "Not ranked: median[size=3] (no adaptive attack), jpeg[quality=50] (incomplete)." in text
    assert "Used up 1800 s; raise the limit or lower the budget." in text
    assert "97.0% of the pixels are exactly zero" in text
    assert "torch 2.12.1" in text
    assert "How to read this" in text
    assert "bench run --x '<y>'" in text


def test_names_with_html_are_shown_as_text_everywhere(tmp_path: Path, made: Any, cache: Path) -> None:
    page = bench.reporting.write(made.hostile_records(), tmp_path, command=made.HOSTILE, cache=cache)[
        "html"
    ].read_text()
    reader = Reader(page)
    assert reader.open == []
    assert [tag for tag, _ in reader.tags].count("script") == 1
    assert "b" not in {tag for tag, _ in reader.tags} or "<b>bad" not in page
    assert "<script>alert" not in page
    assert "\x1b" not in page
    assert page.count("&lt;script&gt;alert(") > 20


def test_names_that_close_an_attribute_or_a_style_stay_inside(tmp_path: Path, made: Any, cache: Path) -> None:
    name = "\"' onload=alert(1) --x:{{7*7}}</style>"
    records = [made.clean_record(name, np.ones(9)), made.attack_record(name, "pgd", np.zeros(9))]
    page = bench.reporting.write(records, tmp_path, cache=cache)["html"].read_text()
    assert not [1 for _, attributes in Reader(page).tags if "onload" in attributes]
    assert page.count("</style>") == 1
    assert "49" not in re.findall(r"--x:([^<]*)", page)


def test_development_images_have_no_summary(tmp_path: Path, made: Any, cache: Path) -> None:
    def page(pool: str) -> str:
        records = [made.clean_record("none", np.ones(20)), made.attack_record("none", "pgd", np.zeros(20))]
        chosen = [made.clean_record("none", np.ones(20)), made.attack_record("none", "pgd", np.zeros(20))]
        for record in chosen:
            record["dataset"] = {**record["dataset"], "label": f"mnist ({pool})", "pool": pool}
        written = bench.reporting.write([*records, *chosen], tmp_path / pool, cache=cache)
        return written["html"].read_text()

    assert page("development").count("In short") == 1
    assert "mnist (development)" in page("development")


def test_charts_are_drawn_once(tmp_path: Path, sample: list[dict[str, Any]], cache: Path, page: str) -> None:
    drawn = {path: path.stat().st_mtime_ns for path in cache.glob("*.svg")}
    assert drawn
    again = bench.reporting.write(sample, tmp_path, command="bench run --x '<y>'", cache=cache)["html"].read_text()
    assert {path: path.stat().st_mtime_ns for path in cache.glob("*.svg")} == drawn
    unstamped = [re.sub(r"<dt>This page</dt>.*", "", text) for text in (page, again)]
    assert unstamped[0] == unstamped[1]


def test_a_damaged_cache_is_drawn_again(tmp_path: Path) -> None:
    rows = [{"defense": "none", "level": "clean", "accuracy": 0.5, "order": 0, "text": "t"}]
    whole = charts.Painter(tmp_path).draw(charts.knowledge, rows, "label")
    (file,) = tmp_path.glob("*.svg")
    file.write_text("<svg ")
    assert charts.Painter(tmp_path).draw(charts.knowledge, rows, "label") == whole


def test_a_page_of_nothing_is_a_page(tmp_path: Path) -> None:
    page = bench.reporting.write([], tmp_path)["html"].read_text()
    assert Reader(page).open == []
    assert "No record of a clean or attacked deployment was given." in page


def test_pictures_that_cannot_be_read_are_left_out(tmp_path: Path, made: Any, cache: Path) -> None:
    record = made.attack_record("none", "pgd", np.zeros(9))
    record["pictures"] = [
        {"clean": {}, "adversarial": 3},
        "text",
        {"clean": {"dtype": "uint8", "shape": [9], "data": ""}},
    ]
    page = bench.reporting.write([made.clean_record("none", np.ones(9)), record], tmp_path, cache=cache)["html"]
    assert "What the attacks look like" not in page.read_text()


def test_many_large_pictures_do_not_make_the_page_too_large(tmp_path: Path, made: Any, cache: Path) -> None:
    rng = np.random.default_rng(0)
    noise = made.encode_array(rng.integers(0, 255, (3, 224, 224), dtype=np.uint8))
    records = []
    for number in range(12):
        name = f"d{number}"
        records.append(made.clean_record(name, np.ones(9)))
        for knowledge in ("adaptive", "white-box", "oblivious"):
            record = made.attack_record(name, "pgd", np.zeros(9), knowledge=knowledge)
            picture = {"image": 1, "clean_label": 0, "answer": 1, "true_label": 0}
            record["pictures"] = [picture | dict.fromkeys(("clean", "adversarial", "defended"), noise)]
            records.append(record)
    page = bench.reporting.write(records, tmp_path, cache=cache)["html"]
    assert 500_000 < page.stat().st_size < 3_000_000


def test_importing_the_report_loads_nothing_heavy() -> None:
    heavy = {"torch", "pandas", "altair", "jinja2", "rich", "vl_convert", "scipy"}
    code = f"import bench.reporting, bench.analysis, sys; print(sorted({heavy} & set(sys.modules)))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


def test_radii_that_were_swept_make_a_curve(page: str) -> None:
    (told,) = re.findall(r'aria-label="(Accuracy against epsilon in L∞[^"]*)"', page)
    assert [f"none at {radius}:" in told for radius in ("0.1", "0.2", "0.3", "0.4")] == [True, True, True, False]


def text_of(page: str) -> str:
    return " ".join("".join(Reader(page).texts).split())


def test_what_heads_hint_at_stands_in_the_text_too(page: str) -> None:
    """A finger and a keyboard point at nothing."""
    hints = re.findall(r'<th scope="col" data-kind="[^"]*" data-first="[^"]*" class="[^"]*" title="([^"]*)"', page)
    assert len(set(hints)) > 12
    for hint in hints:
        assert f"<dd>{hint}</dd>" in page, hint


def test_words_in_the_names_of_attacks_are_explained_and_the_glossary_is_named(page: str) -> None:
    told = text_of(page).split("How to read this")[-1]
    for word in ("via learned", "unclamped", "From transfer", "made on", "docs/reference/glossary.md"):
        assert word in told, word
    assert (Path(__file__).parents[2] / "docs" / "reference" / "glossary.md").is_file()


def test_evidence_of_gates_has_a_row_of_its_own_below_each_defense(page: str) -> None:
    board = page.split('<table class="board sortable">')[1].split("</table>")[0]
    heads = board.split("<thead>")[1].split("</thead>")[0].count("data-kind=")
    rows = re.findall(r"<tr data-defense=.*?</tr>", board, re.S)
    assert len(rows) == 14
    for main, more in zip(rows[::2], rows[1::2], strict=True):
        name = re.findall(r'data-defense="([^"]*)"', main)
        assert re.findall(r'data-defense="([^"]*)"', more) == name
        assert ("data-unranked" in main) == ("data-unranked" in more)
        assert "<details" not in main
        assert f'<td colspan="{heads}">' in more
        assert '<details class="gates">' in more


def test_the_strongest_attack_and_what_may_go_undetected_are_whole_sentences(page: str) -> None:
    text = text_of(page)
    assert re.search(r"strongest attack: apgd-dlr \(adaptive\), worst on \d+ % of images", text)
    assert re.search(r"With 4 rows, true differences below about \d+\.\d points may go undetected\.", text)
    assert "most by" not in text
    assert "the data do not separate this row from the others that share these ranks: McNemar" in text


def test_what_cost_was_measured_on_is_said_where_it_stands(page: str) -> None:
    told = "measured on 2 × Intel Xeon; both placements; without transmission time; energy: estimated-tdp"
    assert f"Costs are of one image, {told}: median milliseconds" in text_of(page)
    assert f'title="{told}">cost on cpu</th>' in page


def test_the_page_has_one_figure_of_cost_a_quantity_and_placement(page: str) -> None:
    table = page.split('aria-label="Cost figures"')[1].split("</table>")[0]
    own = [row for row in table.split("<tr ")[1:] if "qusec-cq" in row]
    kinds = [re.findall(r"<td>([^<]*)</td><td>([^<]*)</td>", row)[0] for row in own]
    assert sorted(kinds) == [
        ("energy_mj mean", "total"), ("latency_ms p50", "device"), ("latency_ms p50", "server"),
        ("latency_ratio median", "total"), ("macs total", "total"), ("model_bytes total", "total"),
        ("peak_rss_bytes max", "device"), ("peak_rss_bytes max", "total"), ("uplink_bytes mean", "device"),
    ]  # fmt: skip
    assert all(f'data-group="{kind.split()[0]}"' in table for kind, _ in kinds)


def test_a_defense_has_one_strip_of_pictures(page: str) -> None:
    shown = re.findall(r'<figure data-defense="([^"]*)">', page)
    assert shown
    assert len(shown) == len(set(shown))


def test_claims_and_pictures_are_folded_and_what_they_hold_is_said(page: str) -> None:
    for name in ("claims", "pictures", "figures", "compared"):
        assert re.search(rf'<details class="part">\s*<summary><h2 id="{name}">[^<]+</h2> <span class="soft">\d+ ', page)


def test_every_defense_and_attack_of_the_page_is_described_with_its_source(page: str, sample: Any) -> None:
    part = page.split('<h2 id="compared">')[1].split("</details>")[0]
    text = text_of(f"<details><summary><h2>{part}</details>")
    assert "QuSecNets: Quantization-based Defense Mechanism" in text
    assert '<a href="https://arxiv.org/abs/1811.01437" rel="noreferrer">arxiv.org/abs/1811.01437</a>' in part
    for record in sample:
        assert record["defense"]["label"] in text
        assert record.get("attack", {}).get("label", "") in text
    assert "Not installed here, so without summary and source: it is of edge-defense-bench 0.1.0." in text  # median


def test_counts_of_provenance_are_those_of_the_head(page: str) -> None:
    text = text_of(page)
    head = re.findall(r"(\d+) cells? evaluated, (\d+) failed, (\d+) timed out, (\d+) skipped", text)[0]
    cells = sum(map(int, head))
    assert f"cores 2 {cells} cells" in text
    assert f"edge-defense-bench 0.1.0 {cells} cells" in text
    assert re.search(r"Computed2026-11-21 10:00 UTC to 2026-11-21 10:00 UTC, \d+ min of work", text)


def test_the_policy_of_the_page_lets_its_own_script_run_and_nothing_else(page: str) -> None:
    """A browser hashes what stands between the tags: one character more, and sorting is gone."""
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    (script,) = re.findall(r"<script>(.*?)</script>", page, flags=re.S)
    digest = b64encode(sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in html.unescape(policy)
    assert "default-src 'none'" in html.unescape(policy)


def test_what_a_defense_refuses_of_clean_images_stands_beside_its_name(
    tmp_path: Path, sample: list[dict[str, Any]], cache: Path
) -> None:
    records = [
        record | {"evidence": {"rejected": 0.045}}
        if record["kind"] == "clean" and record["defense"]["label"] == "jpeg[quality=50]"
        else record
        for record in sample
    ]
    text = bench.reporting.write(records, tmp_path, cache=cache)["html"].read_text()
    assert "refuses 4.5 % of clean images" in text
    assert text.count("refuses ") == text.count("refuses 4.5 % of clean images"), "no other defense may refuse"


def test_the_ladder_of_a_setting_is_named_with_what_it_was_given(page: str) -> None:
    assert re.search(r"The ladder: apgd-dlr, fgsm, pgd and square", page)
