"""Sections that plugins add to the page; what is wrong with one is shown in its place and harms no other."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import TYPE_CHECKING

from markupsafe import Markup

from bench.plugins.containment import built, contained
from bench.plugins.registry import Found
from bench.reporting import wording

if TYPE_CHECKING:
    import pandas as pd

PATIENCE_S = 20.0
LARGEST = 500_000  # characters; the whole page stays below 3 MB
_VOID = frozenset({"br", "col", "hr", "img", "wbr"})
# What tables, prose and drawings are made of. Not what browsers read in ways of their own (textarea, template), what
# runs or moves (script, animate), and what stands for the page (style, base).
_PROSE = """
    a abbr b blockquote caption cite code colgroup dd del details dfn div dl dt em figcaption figure h2 h3 h4 h5 h6 i
    ins kbd li mark ol p pre q s samp section small span strong sub summary sup table tbody td tfoot th thead time tr u
    ul var
"""
_DRAWING = """
    circle clippath defs desc ellipse g image line lineargradient marker mask path pattern polygon polyline
    radialgradient rect stop svg symbol text textpath tspan use
"""
_TAGS = _VOID.union(re.findall(r"\w+", _PROSE + _DRAWING))
_LOADS = frozenset({"href", "src", "xlink:href"})
_REFUSED = frozenset({"action", "background", "data", "formaction", "ping", "poster", "srcdoc", "srcset"})
_LINKS = ("#", "http://", "https://", "mailto:")
_PICTURE = re.compile(r"data:image/(png|jpeg|gif|webp);")
_FETCHES = re.compile(r"\\|/\*|@import|image-set|expression|url\(\s*['\"]?\s*(?!#|data:image/)", re.I)
_STRAYS = re.compile(r"position\s*:", re.I)


@dataclass(frozen=True)
class Section:
    """A section as the page shows it.

    Attributes
    ----------
    html : safe; empty where there is ``fault``, the reason why there is none
    source : distribution and version that it comes from
    """

    name: str
    title: str
    summary: str
    source: str
    html: Markup
    fault: str


def installed() -> list[Found]:
    """Return the sections of all installed plugins."""
    from bench.plugins.registry import discover

    return list(discover().of("report-section").values())


def render(found: Iterable[Found], board: pd.DataFrame, cells: pd.DataFrame) -> list[Section]:
    """Return each section's HTML, or why there is none; each gets its own copies of the frames."""
    sections = []
    for item in found:
        entry = item.entry
        html, fault = ("", item.unavailable) if item.unavailable else _rendered(item, board.copy(), cells.copy())
        sections.append(
            Section(
                name=entry.name,
                title=entry.name.replace("-", " ").capitalize(),
                summary=entry.summary,
                source=f"{item.distribution} {item.version}".strip(),
                html=Markup(html),  # checked below; who wrote it is code that the user installed
                fault=wording.plain(fault),
            )
        )
    return sections


def _rendered(item: Found, board: pd.DataFrame, cells: pd.DataFrame) -> tuple[str, str]:
    """Return HTML and "", or "" and why there is none."""
    html, fault = contained(lambda: built(item)(board, cells), patience_s=PATIENCE_S)
    if fault:
        return "", fault
    if not isinstance(html, str):
        return "", f"render gave {type(html).__name__}; expected a str of HTML."
    return ("", fault) if (fault := unsafe(html)) else (str(html), "")


def unsafe(html: str) -> str:
    """Return why HTML cannot stand in the page, "" where it can.

    What is opened must be closed, nothing may run, and nothing may be loaded from anywhere: the page stays readable
    offline whatever a plugin adds. Only elements that are known are taken, since browsers read others in ways that this
    reader does not; the page's own policy (``Content-Security-Policy``) stands behind it.
    """
    if len(html) > LARGEST:
        return f"has {len(html):,} characters; at most {LARGEST:,} fit."
    if re.search(r"<[^>]*$", html):
        return "ends inside a tag."
    reader = _Reader()
    reader.feed(html)
    reader.close()
    if not reader.fault and reader.open:
        return f"leaves <{reader.open[-1]}> open."
    return reader.fault


class _Reader(HTMLParser):
    """Finds the first fault of a piece of HTML."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fault = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._check(tag, attrs)
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._check(tag, attrs)
        # Outside SVG a browser does not see the slash: <div/> stays open.
        if tag not in _VOID and "svg" not in self.open and tag != "svg":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in _VOID:
            return
        if not self.open or self.open[-1] != tag:
            self.fault = self.fault or f"closes <{tag}>, which is not the element open there."
        else:
            self.open.pop()

    def handle_decl(self, decl: str) -> None:
        self.fault = self.fault or f"has <!{decl[:20]}>, which belongs to the page."

    def unknown_decl(self, data: str) -> None:
        self.handle_decl(data)

    def handle_comment(self, data: str) -> None:
        self.fault = self.fault or "has a comment; browsers disagree on where some end."

    def _check(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _TAGS:
            self.fault = self.fault or f"has <{tag}>, which a section may not have."
        for name, value in attrs:
            self.fault = self.fault or _fault(tag, name, value or "")


def _fault(tag: str, name: str, value: str) -> str:
    """Return what is wrong with an attribute, "" where nothing is."""
    text = "".join(value.split()).lower()
    if name.startswith("on") or text.startswith(("javascript:", "vbscript:", "data:text/")):
        return f"has code in {name!r} of <{tag}>."
    links = name == "href" and tag == "a"
    sound = text.startswith(_LINKS) if links else text.startswith("#") or _PICTURE.match(text)
    if name in _REFUSED or (name in _LOADS and not sound):
        return f"loads something from outside in {name!r} of <{tag}>; embed it as a picture (data:image/png)."
    if _FETCHES.search(value) if name == "style" else re.search(r"url\(\s*['\"]?\s*(?!#)", value, re.I):
        return f"may load something from outside in {name!r} of <{tag}>; embed it."
    return f"leaves its place by {name!r} of <{tag}>." if name == "style" and _STRAYS.search(value) else ""
