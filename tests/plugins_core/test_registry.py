"""Plugins are found, and what is wrong with one harms no other."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from bench.errors import UnknownName, UsageError
from bench.plugins import registry as module
from bench.plugins.containment import contained
from bench.plugins.entries import Attack, Claim, Dataset, Defense, Entry, Gate, NotOffered, Probe, ThreatSpec
from bench.plugins.hookspecs import hookimpl
from bench.plugins.parameters import Parameter
from bench.plugins.registry import discover

HEAD = """
from bench.plugins.entries import Attack, Defense, NotOffered
from bench.plugins.hookspecs import hookimpl
"""
GOOD = HEAD + "@hookimpl\ndef bench_defenses():\n    return [Defense(name='good', factory='good:F', summary='')]\n"


def defense(name: str = "toy", **more: object) -> Defense:
    return Defense(**{"name": name, "factory": "toy:Toy", "summary": "", **more})


def plugin(*entries: object, hook: str = "bench_defenses") -> object:
    return SimpleNamespace(**{hook: hookimpl(lambda: list(entries))}, __name__="planted")


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Return a function that installs a distribution with one module that is its plugin."""
    monkeypatch.syspath_prepend(str(tmp_path))
    names: list[str] = []

    def make(name: str, source: str, distribution: str = "") -> None:
        distribution = distribution or f"dist-{name}"
        (tmp_path / f"planted_{name}.py").write_text(source)
        info = tmp_path / f"{distribution.replace('-', '_')}-1.5.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.5\n")
        (info / "entry_points.txt").write_text(f"[edge_defense_bench]\n{name} = planted_{name}\n")
        names.append(name)
        monkeypatch.setenv("BENCH_PLUGINS", ",".join(names))

    yield make
    for name in names:
        sys.modules.pop(f"planted_{name}", None)


def only_reason(found: module.Registry) -> str:
    assert len(found.broken) == 1, found.broken
    return found.broken[0].reason


def test_an_installed_plugin_is_listed_with_its_origin(install) -> None:
    install("good", GOOD)
    found = discover().of("defense")["good"]
    assert (found.distribution, found.version, found.plugin, found.unavailable) == ("dist-good", "1.5", "good", "")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import no_such_module_at_all", "cannot be imported: ModuleNotFoundError: No module named"),
        ("1 / 0", "cannot be imported: ZeroDivisionError"),
        ("import sys; sys.exit(3)", "cannot be imported: SystemExit: 3"),
        ("import asyncio\nraise asyncio.CancelledError", "cannot be imported: CancelledError"),
        (HEAD + "@hookimpl\ndef bench_defenses():\n    raise KeyboardInterrupt", "failed: KeyboardInterrupt"),
        ("def broken(:", "cannot be imported: SyntaxError"),
        (HEAD + "@hookimpl\ndef bench_defenses():\n    raise RuntimeError('no licence')", "RuntimeError: no licence"),
        (
            HEAD + "@hookimpl\ndef bench_defenses():\n    return 'superiot'",
            "must return a sequence of Defense; got str",
        ),
        (HEAD + "@hookimpl\ndef bench_defenses():\n    return None", "must return a sequence of Defense; got NoneType"),
        (HEAD + "@hookimpl\ndef bench_defenses():\n    return [{'name': 'x'}]", "entries of type Defense; got dict"),
        (HEAD + "@hookimpl\ndef bench_defences():\n    return []", "cannot be registered: PluginValidationError"),
        (HEAD + "@hookimpl\ndef bench_defenses(config):\n    return []", "cannot be registered"),
        (HEAD + "@hookimpl(wrapper=True)\ndef bench_defenses():\n    return (yield)", "is a wrapper"),
        (
            HEAD + "@hookimpl\ndef bench_defenses():\n"
            "    return [Defense(name='x', factory='a:b', summary='', api='99')]",
            "is written for api '99'",
        ),
    ],
)
def test_a_broken_plugin_is_listed_with_its_reason_and_the_others_work(install, source: str, reason: str) -> None:
    install("bad", source)
    install("good", GOOD)
    found = discover()
    assert list(found.of("defense")) == ["good"]
    assert reason in only_reason(found)
    assert (found.broken[0].name, found.broken[0].distribution, found.broken[0].version) == ("bad", "dist-bad", "1.5")


def test_a_plugin_that_hangs_is_left_out_and_the_others_work(install, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE_S", 0.2)
    install("bad", "import time; time.sleep(5)")
    install("good", GOOD)
    found = discover()
    assert list(found.of("defense")) == ["good"]
    assert "did not load within 0.2 s" in only_reason(found)
    assert found.seconds["bad"] >= 0.2 > found.seconds["good"]


def test_what_a_plugin_prints_does_not_reach_the_terminal(install, capsys: pytest.CaptureFixture[str]) -> None:
    install("good", "import sys\nprint('BUY'); print('NOW', file=sys.stderr)\n" + GOOD)
    assert discover().printed == {"good": "BUY\nNOW\n"}
    assert capsys.readouterr() == ("", "")


def test_two_plugins_of_one_name_from_two_distributions_both_load(install, tmp_path: Path) -> None:
    install("good", GOOD)
    info = tmp_path / "second-2.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: second\nVersion: 2.0\n")
    (info / "entry_points.txt").write_text("[edge_defense_bench]\ngood = planted_second\n")
    (tmp_path / "planted_second.py").write_text(GOOD.replace("'good'", "'other'"))
    assert list(discover().of("defense")) == ["good", "other"]


def test_a_name_is_taken_once_and_never_from_the_suite() -> None:
    found = discover(extra=[plugin(defense("none"), defense("mine"))])
    assert found.of("defense")["none"].distribution == "edge-defense-bench"
    assert "mine" in found.of("defense")
    assert any("'none' is already offered by edge-defense-bench" in b.reason for b in found.broken)


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (defense("Upper"), "is no name"),
        (defense("a b"), "is no name"),
        (defense("all"), "is no name"),
        (defense(family="x*"), "is no name"),
        (defense(factory="nowhere"), "factory must be 'package.module:callable'"),
        (defense(check="nowhere"), "check must be 'package.module:callable'; got 'nowhere'"),
        (defense(parameters=(Parameter(name="n", type=int, default=9, maximum=5, help=""),)), "default is outside"),
        (defense(parameters=(Parameter(name="n", type=int, default=1, help=""),) * 2), "declared twice"),
        (defense(parameters=None), "cannot be read"),
        (defense(requires=("not a requirement !!",)), "cannot be read"),
    ],
)
def test_an_entry_that_cannot_be_used_is_left_out(monkeypatch, entry: Defense, reason: str) -> None:
    monkeypatch.setenv("BENCH_PLUGINS", "")
    found = discover(extra=[plugin(entry, defense("fine"))])
    assert list(found.of("defense")) == ["fine"]
    assert reason in only_reason(found)


HOOKS = {Attack: "bench_attacks", Dataset: "bench_datasets", Defense: "bench_defenses", Gate: "bench_gates"}


def attack(**more: object) -> Attack:
    return Attack(**{"name": "a", "factory": "a:b", "summary": "", "norm": "linf", "access": "score", **more})


def dataset(*threats: object) -> Dataset:
    return Dataset(name="d", factory="a:b", summary="", default_model="m", threats=threats)


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (attack(access="gradients"), "access must be one of 'gradient', 'score', 'decision', 'none'; got 'gradients'."),
        (attack(norm="Linf"), "norm must be one of 'linf', 'l2', 'l1', 'l0', ''; got 'Linf'."),
        (attack(wants="tiles"), "wants must be one of '', 'views', 'detector'; got 'tiles'."),
        (attack(preload=(sys,)), "preload must be names of modules; got (<module"),
        (attack(preload="torch"), "preload must be names of modules; got 'torch'."),
        (defense(track="both"), "track must be one of 'evasion', 'protection'; got 'both'."),
        (defense(published=(Claim(text="", knowledge="all"),)), "knowledge must be one of 'oblivious', 'black-box'"),
        (defense(adaptive_attacks=(attack(access="scores"),)), "adaptive attack 'a': access must be one of"),
        (dataset(), "threats names none; give one at least"),
        (dataset("linf"), "threats holds 'linf', which is no ThreatSpec."),
        (dataset(ThreatSpec(norm="l3", epsilons=(1.0,))), "norm must be one of 'linf', 'l2', 'l1', 'l0'; got 'l3'."),
        (dataset(ThreatSpec(norm="l2", epsilons=())), "epsilons of the threat 'l2' must be radii, one at least"),
        (dataset(ThreatSpec(norm="l2", epsilons=("8/255",))), "must be radii, one at least; got ('8/255',)."),
        (
            Gate(name="g", factory="a:b", summary="", probes=(Probe(core="fgsm", level="grey-box"),)),
            "level must be one of 'oblivious', 'black-box', 'white-box', 'adaptive'; got 'grey-box'.",
        ),
    ],
)
def test_a_word_that_no_list_has_leaves_an_entry_out(monkeypatch, entry: Entry, reason: str) -> None:
    monkeypatch.setenv("BENCH_PLUGINS", "")
    found = discover(extra=[plugin(entry, hook=HOOKS[type(entry)])])
    assert reason in only_reason(found)


@pytest.mark.parametrize("error", [KeyboardInterrupt, GeneratorExit, SystemExit(3)])
def test_whatever_a_plugin_raises_in_this_process_is_told(error) -> None:
    def work() -> None:
        raise error

    given, fault = contained(work)
    assert given is None
    assert fault.startswith(type(error()).__name__ if isinstance(error, type) else "SystemExit: 3")


def test_an_unmet_requirement_makes_an_entry_unavailable_with_what_to_install(monkeypatch) -> None:
    monkeypatch.setenv("BENCH_PLUGINS", "")
    entries = [
        defense("absent", requires=("surely-not-installed>=1",)),
        defense("old", requires=("pluggy>=999",)),
        defense("met", requires=("pluggy>=1",)),
        defense("elsewhere", requires=("surely-not-installed; sys_platform == 'amiga'",)),
    ]
    found = discover(extra=[plugin(*entries)]).of("defense")
    assert "pip install 'surely-not-installed>=1'" in found["absent"].unavailable
    assert "Needs pluggy>=999; found 1." in found["old"].unavailable
    assert found["met"].unavailable == found["elsewhere"].unavailable == ""


def test_an_unknown_name_proposes_the_nearest_and_names_broken_plugins(monkeypatch) -> None:
    monkeypatch.setenv("BENCH_PLUGINS", "")
    found = discover(extra=[plugin(defense("superiot"), "no entry")])
    with pytest.raises(UnknownName, match=r"Did you mean 'superiot'\? Left out as broken: planted") as caught:
        found.find("defense", "superoit")
    assert caught.value.kind == "defense"


def test_an_attack_that_is_not_offered_says_why(monkeypatch) -> None:
    monkeypatch.setenv("BENCH_PLUGINS", "")
    entries = [
        NotOffered(name="virtual", summary="needs a camera"),
        Attack(name="real", factory="a:b", summary="", norm="linf", access="gradient"),
    ]
    found = discover(extra=[plugin(*entries, hook="bench_attacks")])
    assert list(found.of("attack")) == ["real"]
    assert [e.name for e in found.not_offered] == ["virtual"]
    with pytest.raises(UsageError, match="'virtual' is not offered: needs a camera"):
        found.find("attack", "virtual")


def test_listing_imports_no_slow_library() -> None:
    code = """
import json, sys
from bench.plugins.registry import discover
from bench.plugins.selection import select
found = discover()
slow = [m for m in ("torch", "art", "pandas", "numpy", "scipy") if m in sys.modules]
print(json.dumps([slow, list(found.of("defense"))]))
"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    slow, names = json.loads(out)
    assert slow == []
    assert "none" in names
