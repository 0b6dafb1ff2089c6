"""The selection grammar."""

from __future__ import annotations

from contextlib import suppress
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import BadParameter, UnknownName, UsageError
from bench.plugins import grammar
from bench.plugins.entries import Attack, Dataset, Defense, Hardware, Settings, ThreatSpec
from bench.plugins.hookspecs import hookimpl
from bench.plugins.parameters import Parameter
from bench.plugins.registry import Registry, discover
from bench.plugins.selection import select

LEVELS = Parameter(name="levels", type=int, default=4, minimum=2, maximum=256, help="")
HARDNESS = Parameter(name="hardness", type=float, default=50.0, help="")
NOTE = Parameter(name="note", type=str, default="", help="")
EXACT = Parameter(name="exact", type=bool, default=False, help="")
PATH = Parameter(name="path", type=str, default="", help="")


def _defense(name: str, **more: object) -> Defense:
    return Defense(**{"name": name, "factory": "toy:Toy", "summary": "", **more})


def _attack(name: str, **more: object) -> Attack:
    return Attack(**{"name": name, "factory": "t:T", "summary": "", "norm": "linf", "access": "gradient", **more})


DEFENSES = [
    _defense("none"),
    _defense("qusec-tq", family="qusec", parameters=(LEVELS, HARDNESS, NOTE, EXACT)),
    _defense("qusec-cq", family="qusec", parameters=(LEVELS,)),
    _defense("superiot"),
    _defense("qusec-lost", family="qusec", parameters=(LEVELS,), requires=("surely-not-installed",)),
]
STEPS = Parameter(name="steps", type=int, default=40, help="")
ATTACKS = [
    _attack("pgd", parameters=(STEPS,), quick=Settings(parameters=(("steps", 10),))),
    _attack("rare", default=False),
    _attack("fgsm"),
]
DATASETS = [
    Dataset(
        name="imagefolder",
        factory="t:T",
        summary="",
        parameters=(NOTE, PATH),
        threats=(ThreatSpec(norm="linf", epsilons=(0.1,)),),
        default_model="x",
    )
]
HARDWARE = [
    Hardware(name="ssh", factory="t:T", summary="", parameters=(Parameter(name="to", type=str, default="", help=""),))
]


@pytest.fixture(scope="module")
def registry() -> Registry:
    hooks = {"defenses": DEFENSES, "attacks": ATTACKS, "datasets": DATASETS, "hardware": HARDWARE}
    plugin = SimpleNamespace(**{f"bench_{hook}": hookimpl(lambda e=e: e) for hook, e in hooks.items()})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCH_PLUGINS", "")
        found = discover(extra=[plugin])
    assert found.broken == []
    return found


def labels(registry: Registry, text: str, kind: str = "defense") -> list[str]:
    return [chosen.label for chosen in select(registry, kind, text).chosen]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("superiot", ["superiot"]),
        ("qusec", ["qusec-tq", "qusec-cq"]),
        ("qusec*", ["qusec-tq", "qusec-cq"]),
        ("*-?q", ["qusec-tq", "qusec-cq"]),
        ("all", ["none", "qusec-tq", "qusec-cq", "superiot"]),
        ("all,-qusec", ["none", "superiot"]),
        ("-qusec-cq,all", ["none", "qusec-tq", "superiot"]),
        ("-qusec*", ["none", "superiot"]),
        ("all,-all", []),
        ("", []),
        ("superiot,none,superiot", ["superiot", "none"]),
        ("qusec-tq[levels=8,hardness=50]", ["qusec-tq[levels=8]"]),
        ("qusec-tq[hardness=7.0,levels=8]", ["qusec-tq[levels=8,hardness=7]"]),
        ("qusec-cq[levels=2|4|8]", ["qusec-cq[levels=2]", "qusec-cq", "qusec-cq[levels=8]"]),
        ("qusec-cq,qusec-cq[levels=4]", ["qusec-cq"]),
        ("qusec[levels=2]", ["qusec-tq[levels=2]", "qusec-cq[levels=2]"]),
        ("qusec-cq[levels=2|4|8],-qusec-cq[levels=2|8]", ["qusec-cq"]),
        (" qusec-cq [ levels = 2 ] , none ", ["qusec-cq[levels=2]", "none"]),
        ("qusec-tq[exact=yes]", ["qusec-tq[exact=true]"]),
        ('qusec-tq[note="a,b]|c"]', ['qusec-tq[note="a,b]|c"]']),
    ],
)
def test_a_selection(registry: Registry, text: str, expected: list[str]) -> None:
    assert labels(registry, text) == expected


def test_values_run_through_a_grid_the_first_parameter_slowest(registry: Registry) -> None:
    assert labels(registry, "qusec-tq[levels=2|3,hardness=1|2]") == [
        "qusec-tq[levels=2,hardness=1]",
        "qusec-tq[levels=2,hardness=2]",
        "qusec-tq[levels=3,hardness=1]",
        "qusec-tq[levels=3,hardness=2]",
    ]


def test_all_leaves_out_what_is_off_by_default_and_a_pattern_does_not(registry: Registry) -> None:
    assert labels(registry, "all", "attack") == ["pgd", "fgsm"]
    assert labels(registry, "*", "attack") == ["pgd", "rare", "fgsm"]


def test_a_default_that_a_budget_would_change_stays_in_the_label_and_in_what_was_given(registry: Registry) -> None:
    plain, said = select(registry, "attack", "pgd,pgd[steps=40]").chosen
    assert (plain.label, dict(plain.given), plain.parameters["steps"]) == ("pgd", {}, 40)
    assert (said.label, dict(said.given), said.parameters["steps"]) == ("pgd[steps=40]", {"steps": 40}, 40)


def test_what_follows_a_colon_is_the_path_or_the_first_text(registry: Registry) -> None:
    chosen = select(registry, "dataset", "imagefolder:/data/my photos").chosen[0]
    assert chosen.parameters == {"note": "", "path": "/data/my photos"}
    assert chosen.label == "imagefolder[path=/data/my photos]"
    quoted = select(registry, "dataset", 'imagefolder:"/a,b"[note=x]').chosen[0]
    assert quoted.parameters == {"note": "x", "path": "/a,b"}
    assert select(registry, "hardware", "ssh:pi@board.local").chosen[0].parameters == {"to": "pi@board.local"}


def test_unavailable_entries_are_skipped_with_the_reason_unless_named_outright(registry: Registry) -> None:
    for text in ("all", "qusec", "qusec-l*"):
        (chosen, reason), *more = select(registry, "defense", text).skipped
        assert more == []
        assert chosen.found.entry.name == "qusec-lost"
        assert "surely-not-installed" in reason
    assert select(registry, "defense", "all,-qusec-lost").skipped == []
    with pytest.raises(UsageError, match=r"^Defense 'qusec-lost' cannot run here\. Needs surely-not-installed"):
        select(registry, "defense", "none,qusec-lost")


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("a,,b", "character 3: expected a name; got ','"),
        (",a", "character 1: expected a name; got ','"),
        ("none,", "character 6: expected a name; got the end"),
        ("-", "character 2: expected a name; got the end"),
        ("qusec-cq[levels=2", "character 18: expected ',' or ']'; got the end"),
        ("qusec-cq[levels]", "character 16: expected '='; got ']'"),
        ("qusec-cq[levels=]", "character 17: expected a value"),
        ("qusec-cq[levels=2|]", "character 19: expected a value"),
        ("qusec-cq[levels=2]]", "character 19: expected a comma or the end; got ']'"),
        ("qusec-cq[levels=2,levels=3]", "character 19: expected 'levels' only once"),
        ('qusec-tq[note="open]', "character 15: expected a value"),
        ("none superiot", "character 6: expected a comma or the end; got 's'"),
    ],
)
def test_an_error_of_syntax_says_where(registry: Registry, text: str, at: str) -> None:
    with pytest.raises(UsageError) as caught:
        select(registry, "defense", text)
    assert at in str(caught.value)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("superoit", UnknownName, "Did you mean 'superiot'"),
        ("-superoit", UnknownName, "Did you mean 'superiot'"),
        ("qusek", UnknownName, "'qusec'"),
        ("zz*", UsageError, "No defense matches 'zz*'"),
        ("none[levels=2]", UnknownName, "parameter 'levels' of defense 'none'"),
        ("qusec-cq[levels=1]", BadParameter, "an integer in [2, 256]; got '1'"),
        ("none:x", UsageError, "takes nothing after a colon"),
    ],
)
def test_unknown_names_and_values_are_refused(registry: Registry, text: str, kind: type, words: str) -> None:
    with pytest.raises(kind) as caught:
        select(registry, "defense", text)
    assert words in str(caught.value)


@given(st.text())
def test_what_is_quoted_is_read_back(value: str) -> None:
    (item,) = grammar.parse(f"x[p={grammar.quote(value)}]")
    assert item.settings == {"p": (value,)}


@given(st.text(alphabet='ab-*,|[]=:" \\\t', max_size=30))
def test_any_text_is_read_or_refused_by_a_usage_error(text: str) -> None:
    with suppress(UsageError):
        items = grammar.parse(text)
        assert bool(items) == bool(text.strip())
        assert all(item.name for item in items)


@given(
    levels=st.lists(st.integers(2, 256), min_size=1, max_size=3),
    hardness=st.floats(allow_nan=False, allow_infinity=False),
    note=st.text(),
    exact=st.booleans(),
)
def test_a_label_selects_what_it_names(registry: Registry, levels, hardness, note, exact) -> None:
    text = (
        f"qusec-tq[levels={'|'.join(map(str, levels))},hardness={hardness!r},note={grammar.quote(note)},exact={exact}]"
    )
    first = select(registry, "defense", text).chosen
    again = select(registry, "defense", ",".join(one.label for one in first)).chosen
    assert [c.label for c in again] == [c.label for c in first]
    assert [c.parameters for c in again] == [c.parameters for c in first]
    assert [c.parameters["levels"] for c in first] == list(dict.fromkeys(levels))
    assert {c.parameters["note"] for c in first} == {note}
