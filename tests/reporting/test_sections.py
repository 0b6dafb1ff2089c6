"""Sections of plugins: shown where they are sound, named with their reason where they are not."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import bench.reporting
from bench.analysis import cells, leaderboard
from bench.plugins.entries import ReportSection
from bench.plugins.hookspecs import hookimpl
from bench.plugins.parameters import Parameter
from bench.plugins.registry import Found, discover
from bench.reporting import sections

CODE = """
import sys, time
def good(size=2):
    def render(board, cells):
        print("what a plugin prints")
        board.pop("setting")
        return f"<p id='mine'>{size} times <b>{len(cells)}</b> cells<br></p>"
    return render
def raises(): return lambda board, cells: 1 / 0
def leaves(): return lambda board, cells: sys.exit(3)
def hangs(): return lambda board, cells: time.sleep(5)
def number(): return lambda board, cells: 7
def unclosed(): return lambda board, cells: "<div><p>x</p>"
"""


def found(name: str, **more: Any) -> Found:
    entry = ReportSection(name=name, factory=f"their_sections:{name}", summary=f"About <{name}>.", **more)
    return Found(entry, "their-package", "1.2")


@pytest.fixture(autouse=True)
def theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "their_sections.py").write_text(CODE)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(sections, "PATIENCE_S", 0.5)


def test_a_section_stands_in_the_page_and_a_broken_one_with_its_reason(
    tmp_path: Path, sample: list[dict[str, Any]], cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    size = Parameter(name="size", type=int, default=3, help="")
    names = ("raises", "leaves", "hangs", "number", "unclosed", "missing")
    offered = [found("good", parameters=(size,)), *map(found, names)]
    monkeypatch.setattr(sections, "installed", lambda: offered)
    written = bench.reporting.write(sample, tmp_path / "out", cache=cache)
    page = written["html"].read_text()
    assert f"<p id='mine'>3 times <b>{len(sample)}</b> cells<br></p>" in page
    assert "About &lt;good&gt;." in page
    assert "Added by their-package 1.2." in page
    for name, reason in {
        "raises": "ZeroDivisionError: division by zero",
        "leaves": "SystemExit: 3",
        "hangs": "gave nothing within 0.5 s.",
        "number": "render gave int; expected a str of HTML.",
        "unclosed": "leaves &lt;div&gt; open.",
        "missing": "AttributeError: module &#39;their_sections&#39; has no attribute &#39;missing&#39;",
    }.items():
        part = page.split(f'<h2 id="added-{name}">')[1].split("</section>")[0]
        assert f"This section could not be made: {reason}" in part, name
    assert "How to read this" in page
    assert "what a plugin prints" not in capsys.readouterr().out
    assert len(written["leaderboard.csv"].read_text().splitlines()) == len(leaderboard(sample)) + 1


def test_sections_of_plugins_are_found_by_their_hook(sample: list[dict[str, Any]]) -> None:
    plugin = SimpleNamespace(bench_report_sections=hookimpl(lambda: [found("good").entry]))
    offered = discover([plugin]).of("report-section").values()
    (section,) = sections.render(offered, leaderboard(sample), cells(sample))
    assert "2 times" in section.html
    assert section.fault == ""


def test_a_section_whose_requirements_are_not_met_says_so(sample: list[dict[str, Any]]) -> None:
    item = Found(found("good").entry, unavailable="needs plotly, which is not installed")
    (section,) = sections.render([item], leaderboard(sample), cells(sample))
    assert section.fault == "needs plotly, which is not installed"
    assert section.html == ""


@pytest.mark.parametrize(
    "html",
    [
        "",
        "a &amp; b",
        "<table><tr><td data-v='1'>1</td></tr></table>",
        '<svg viewBox="0 0 1 1"><path d="M0 0"/><use href="#p"/></svg>',
        '<img src="data:image/png;base64,AA==" alt="">',
        '<a href="https://example.org/paper">paper</a>',
        '<p style="background: url(data:image/png;base64,AA==)">x</p>',
        '<svg><path fill="url(#p)" style="stroke: url(#p)"/></svg>',
    ],
)
def test_sound_html_is_taken(html: str) -> None:
    assert sections.unsafe(html) == ""


@pytest.mark.parametrize(
    "html",
    [
        "<p>",
        "</section>",
        "<b><i>x</b></i>",
        "<div/>",
        "<script>alert(1)</script>",
        "<style>b { color: red }</style>",
        '<p onclick="alert(1)">x</p>',
        '<a href="java\nscript:alert(1)">x</a>',
        '<a href="data:text/html,x">x</a>',
        '<img src="https://example.org/x.png">',
        '<img srcset="//example.org/x.png 2x">',
        '<svg><image href="https://example.org/x.svg"/></svg>',
        "<p style=\"background: url( 'http://example.org/x.png')\">x</p>",
        "<iframe></iframe>",
        '<form action="#"></form>',
        "<!doctype html>",
        "<img src='#' alt=",
        "<!-- x --!> -->",
        '<textarea><b title="</textarea><img src=x:1 onerror=alert(1)>">x</b></textarea>',
        "<noembed></noembed>",
        "<template></template>",
        '<svg><animate attributeName="href" values="javascript:alert(1)"/></svg>',
        '<p style="background:u\\72l(http://example.org/x.png)">x</p>',
        "<p style=\"background:image-set('http://example.org/x.png' 1x)\">x</p>",
        '<p style="background:url(/**/http://example.org)">x</p>',
        '<p style="position:fixed">x</p>',
        '<a href="#" ping="https://example.org">x</a>',
        '<a href="file:///etc/passwd">x</a>',
        '<svg><image href="data:image/svg+xml;base64,AA=="/></svg>',
        '<svg><path fill="url(https://example.org/x#y)"/></svg>',
        "x" * (sections.LARGEST + 1),
    ],
)
def test_html_that_runs_loads_or_breaks_out_is_refused(html: str) -> None:
    assert sections.unsafe(html)
