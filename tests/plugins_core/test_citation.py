from __future__ import annotations

import re

import pytest

from bench.plugins.citation import cite
from bench.plugins.registry import discover

QUSEC = "Khalid, Ali, Shafique, 'QuSecNets: A Defense, 2nd of 2018', IOLTS 2019, pp. 182-187; arXiv 1811.01437"


@pytest.mark.parametrize(
    ("source", "authors", "title", "year", "arxiv"),
    [
        (QUSEC, ("Khalid", "Ali", "Shafique"), "QuSecNets: A Defense, 2nd of 2018", "2019", "1811.01437"),
        ("Goodfellow et al., ICLR 2015, arXiv 1412.6572", ("Goodfellow", "others"), "", "2015", "1412.6572"),
        ("Croce and Hein, ICML 2020, arXiv 2003.01690", ("Croce", "Hein"), "", "2020", "2003.01690"),
        ("Xiao, Rasul, Vollgraf, Fashion-MNIST, arXiv:1708.07747, 2017", ("Xiao", "Rasul", "Vollgraf"), "Fashion-MNIST",
         "2017", "1708.07747"),
        ("Qiu, Lu, 'Toward', IEEE IoT Journal 8(5):3180-2010, 2021", ("Qiu", "Lu"), "Toward", "2021", ""),
        ("cleverhans v2.1.0, utils_keras.cnn_model", (), "", "", ""),
        ("MLPerf inference rules (early stopping), MLPerf Tiny (median of windows)", (), "", "", ""),
        ("Nobody, arXiv 2003.01690", ("Nobody",), "", "", "2003.01690"),
        ("", (), "", "", ""),
    ],
)  # fmt: skip
def test_a_source_is_taken_apart_as_far_as_it_tells(source, authors, title, year, arxiv):
    found = cite(source)
    assert (found.authors, found.title, found.year, found.arxiv) == (authors, title, year, arxiv)
    assert found.source == source


@pytest.mark.parametrize(
    ("source", "told"),
    [
        (QUSEC, ("inproceedings", "IOLTS", "", "", "182-187")),
        ("Qiu, Lu, 'Toward', IEEE IoT Journal 8(5):3180-3188, 2021; code", ("article", "IEEE IoT Journal", "8", "5",
         "3180-3188")),
        ("Xiao, Yan, 'Defed', IEEE IoT Journal 10(8), 2023, pp. 6-48", ("article", "IEEE IoT Journal", "10", "8",
         "6-48")),
        ("LeCun et al., Gradient-based, Proc. IEEE 86(11), 1998", ("article", "Proc. IEEE", "86", "11", "")),
        ("Igel, Man vs. computer, Neural Networks 32, 2012", ("article", "Neural Networks", "32", "", "")),
        ("Chen et al., EAD, AAAI 2018, arXiv 1709.04114", ("inproceedings", "AAAI", "", "", "")),
        ("Carlini and Wagner, Towards, S&P 2017", ("inproceedings", "S&P", "", "", "")),
        ("Alpaydin, Kaynak, Optical Digits, UCI 1998 (scikit-learn)", ("misc", "", "", "", "")),
        ("Xiao, Rasul, Vollgraf, Fashion-MNIST, arXiv:1708.07747, 2017", ("misc", "", "", "", "")),
        ("Carlini and Wagner, S&P 2017, arXiv 1608.04644", ("misc", "", "", "", "")),
        ("Carlini and Wagner, MagNet, 2017; Tramer et al., On, NeurIPS 2020", ("misc", "", "", "", "")),
    ],
)  # fmt: skip
def test_a_journal_or_a_conference_makes_an_entry_of_its_kind(source, told):
    found = cite(source)
    assert (found.kind, found.venue, found.volume, found.number, found.pages) == told


def test_an_article_has_its_volume_and_pages():
    entry = cite("Qiu, Lu, 'Toward', IEEE IoT Journal 8(5):3180-3188, 2021").bibtex("superiot").splitlines()
    assert entry[0] == "@article{superiot,"
    assert entry[3:8] == [
        "  journal = {IEEE IoT Journal},",
        "  volume = {8},",
        "  number = {5},",
        "  pages = {3180--3188},",
        "  year = {2021},",
    ]


def test_a_doi_ends_before_the_sentence_does():
    assert cite("A et al., 2020, doi 10.1109/JIOT.2022.1234567.").doi == "10.1109/JIOT.2022.1234567"


def test_bibtex_has_what_is_known_and_the_whole_line():
    entry = cite("Carlini and Wagner, S&P 2017, arXiv 1608.04644").bibtex("cw-l2")
    assert entry.splitlines() == [
        "@misc{cw-l2,",
        "  author = {Carlini and Wagner},",
        "  year = {2017},",
        "  eprint = {1608.04644},",
        "  archivePrefix = {arXiv},",
        r"  note = {Carlini and Wagner, S\&P 2017, arXiv 1608.04644},",
        "}",
    ]


def test_what_a_source_says_cannot_leave_its_field():
    entry = cite("A et al., } \\input{x} % 50_%, 2020").bibtex("a")
    assert entry.count("\n  ") == 4
    unescaped = re.sub(r"\\[{}%_&#$]", "", entry.replace(r"\textbackslash{}", ""))
    assert unescaped.count("{") == unescaped.count("}")
    assert "%" not in unescaped


def test_every_first_party_source_that_names_authors_gives_them():
    found = [
        found.entry for kind in ("defense", "attack", "model", "dataset") for found in discover().of(kind).values()
    ]
    told = [cite(entry.source) for entry in found if entry.source]
    assert len(told) > 30
    named = [citation for citation in told if re.search(r"et al\.| and |'", citation.source.split(",")[0])]
    assert named
    assert all(citation.authors for citation in named if "'s" not in citation.source)


def test_every_first_party_attack_of_a_paper_gives_its_title_and_year():
    papers = [cite(found.entry.source) for found in discover().of("attack").values() if "arXiv" in found.entry.source]
    assert len(papers) > 30
    assert [paper.source for paper in papers if not (paper.title and paper.year)] == []


def test_first_party_papers_are_no_miscellany():
    told = [cite(found.entry.source) for kind in ("defense", "attack") for found in discover().of(kind).values()]
    papers = [paper for paper in told if re.search(r"[A-Z&]{3,} 20\d\d|Journal", paper.source.split(";")[0])]
    assert len(papers) > 30
    assert [paper.source for paper in papers if paper.kind == "misc"] == []
