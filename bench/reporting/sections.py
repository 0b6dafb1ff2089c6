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
_VOID = frozenset({"area", "br", "col", "hr", "img", "input", "source", "track", "wbr"})
_REFUSED = frozenset({"base", "body", "embed", "form", "frame", "head", "html", "iframe", "link", "main", "meta"})
_REFUSED |= {"noscript", "object", "plaintext", "script", "style", "title", "xmp"}
_LOADS = frozenset({"action", "background", "data", "formaction", "poster", "src", "srcset", "xlink:href"})
_OUTSIDE = re.compile(r"url\(\s*['\"]?\s*(?!#|data:)|@import", re.I)


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
    offline whatever a plugin adds.
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
        if tag in _REFUSED:
            self.fault = self.fault or f"has <{tag}>, which a section may not have."
        for name, value in attrs:
            text = "".join((value or "").split()).lower()
            loads = name in _LOADS or (name == "href" and tag not in {"a", "area"})
            if name.startswith("on") or text.startswith(("javascript:", "vbscript:", "data:text/html")):
                self.fault = self.fault or f"has code in {name!r} of <{tag}>."
            elif (loads and not text.startswith(("#", "data:"))) or _OUTSIDE.search(value or ""):
                self.fault = self.fault or f"loads something from outside in {name!r} of <{tag}>; embed it."
