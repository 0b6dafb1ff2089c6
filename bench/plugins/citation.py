"""What a plugin rests on, as a reference list has it: read from the entry's ``source``.

A source is one line of text. What stands there in a form that can be told apart becomes a field: "A, B, 'Title', ..."
or "A et al., Title, ...", a year, an arXiv number, a DOI, and behind the title a journal with its volume or a
conference that is known here. Nothing is added, and the whole line stays as the note.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

_ARXIV: Final = re.compile(r"arXiv[: ]\s*(\d{4}\.\d{4,5})(?:v\d+)?", re.I)
_DOI: Final = re.compile(r"\b(10\.\d{4,9}/[^\s;,]+[^\s;,.])")
_YEAR: Final = re.compile(r"(?<![\d.:-])((?:19|20)\d\d)(?![\d.-])")
_QUOTED: Final = re.compile(r"^(?P<authors>[^']+?), '(?P<title>.+?)'(?:[,;.]|$)")
_SURNAME: Final = re.compile(r"(?:[A-Z][a-z]+){1,2}(?:-(?:[A-Z][a-z]+)+)?")
_FEW: Final = re.compile(r"(?P<first>\S+) (?:et al\.|and (?P<second>\S+))")
_JOURNAL: Final = re.compile(
    r"(?P<venue>[A-Z][^\d,;]*[a-zA-Z]) (?P<volume>\d{1,3})(?:\((?P<number>\d+)\))?(?::(?P<pages>\d+-\d+))?(?=[,;]|$)"
)
_MEETING: Final = re.compile(r"(?P<venue>[A-Z][A-Za-z&]*(?: Security)?) (?:19|20)\d\d(?=[,;]|$)")
_PAGES: Final = re.compile(r"pp\. (\d+-\d+)")
# A word and a year alone do not tell a conference from a collection, such as "UCI 1998".
_MEETINGS: Final = frozenset({
    "AAAI", "ACSAC", "AISTATS", "AISec", "BMVC", "CCS", "CVPR", "DAC", "DATE", "ECCV", "EuroS&P", "ICASSP",
    "ICCV", "ICIP", "ICLR", "ICML", "IJCAI", "INFOCOM", "IOLTS", "KDD", "MLSys", "NDSS", "NIPS", "NeurIPS",
    "S&P", "SaTML", "USENIX Security", "WACV",
})  # fmt: skip
_SPECIAL: Final = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
_SPECIAL_ALSO: Final = {sign: f"\\{sign}" for sign in "&%#$_{}"}


@dataclass(frozen=True)
class Citation:
    """A source taken apart.

    Attributes
    ----------
    source : the whole line
    authors : surnames in order, "others" last for "et al."; empty where the line does not tell
    title, year, arxiv, doi : "" where the line does not tell
    kind : of BibTeX's entries; "misc" where the line does not tell a journal or a conference
    venue, volume, number, pages : "" where the line does not tell
    """

    source: str
    authors: tuple[str, ...]
    title: str
    year: str
    arxiv: str
    doi: str
    kind: Literal["article", "inproceedings", "misc"] = "misc"
    venue: str = ""
    volume: str = ""
    number: str = ""
    pages: str = ""

    def bibtex(self, key: str) -> str:
        """Return the BibTeX entry: the fields that are known, and the line as its note."""
        fields = {
            "author": " and ".join(_escaped(name) for name in self.authors),
            "title": f"{{{_escaped(self.title)}}}" if self.title else "",
            "journal": _escaped(self.venue) if self.kind == "article" else "",
            "booktitle": _escaped(self.venue) if self.kind == "inproceedings" else "",
            "volume": self.volume,
            "number": self.number,
            "pages": self.pages.replace("-", "--"),
            "year": self.year,
            "eprint": self.arxiv,
            "archivePrefix": "arXiv" if self.arxiv else "",
            "doi": self.doi,
            "note": _escaped(self.source),
        }
        lines = [f"  {name} = {{{value}}}," for name, value in fields.items() if value]
        return "\n".join([f"@{self.kind}{{{key},", *lines, "}"])


def cite(source: str) -> Citation:
    """Return the citation that a source line states."""
    authors, title = _authors_and_title(source)
    arxiv, doi = _ARXIV.search(source), _DOI.search(source)
    # Neither a number nor a title makes a year.
    rest = _ARXIV.sub("", source.replace(title, "", 1) if title else source)
    year = _YEAR.search(rest)
    known = (year[1] if year else "", arxiv[1] if arxiv else "", doi[1] if doi else "")
    # What has no title is no entry of a journal or a conference: BibTeX asks both for one.
    return Citation(source, authors, title, *known, *(_published(source.split(title, 1)[1]) if title else ()))


def _published(after: str) -> tuple[Literal["article", "inproceedings", "misc"], str, str, str, str]:
    """Return the kind of entry, the venue, volume, number and pages that stand behind the title of the first source."""
    text = after.split(";")[0].lstrip("',. ")
    pages = _PAGES.search(text)
    if journal := _JOURNAL.match(text):
        found = journal.groupdict(default="")
        stated = found["pages"] or (pages[1] if pages else "")
        return "article", found["venue"], found["volume"], found["number"], stated
    meeting = _MEETING.match(text)
    if meeting and meeting["venue"] in _MEETINGS:
        return "inproceedings", meeting["venue"], "", "", pages[1] if pages else ""
    return "misc", "", "", "", ""


def _authors_and_title(source: str) -> tuple[tuple[str, ...], str]:
    if quoted := _QUOTED.match(source):
        return tuple(quoted["authors"].split(", ")), quoted["title"]
    segments = source.split(";")[0].split(", ")
    authors: list[str] = []
    if few := _FEW.fullmatch(segments[0]):
        authors, rest = [few["first"], few["second"] or "others"], segments[1:]
    else:
        while len(authors) < len(segments) - 1 and _SURNAME.fullmatch(segments[len(authors)]):
            authors.append(segments[len(authors)])
        rest = segments[len(authors) :] if authors else []
    title = rest[0] if rest and not _YEAR.search(rest[0]) and not _ARXIV.search(rest[0]) else ""
    return tuple(authors), title


def _escaped(text: str) -> str:
    return "".join({**_SPECIAL, **_SPECIAL_ALSO}.get(sign, sign) for sign in text)
