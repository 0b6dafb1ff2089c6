"""Which of the plugins that are left out as broken a selection may have meant."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from bench.plugins.entries import Attack, Defense
from bench.plugins.hookspecs import hookimpl
from bench.plugins.left_out import left_out
from bench.plugins.registry import Broken, Registry, discover


def _defense(name: str, family: str = "") -> Defense:
    return Defense(name=name, factory="t:T", summary="", family=family)


def _plugin(name: str, **hooks: list[object]) -> object:
    return SimpleNamespace(
        __name__=name, **{f"bench_{hook}": hookimpl(lambda found=found: found) for hook, found in hooks.items()}
    )


@pytest.fixture(scope="module")
def registry() -> Registry:
    first = _plugin("first", defenses=[_defense("blur", "smoothing")])
    second = _plugin("second", defenses=[_defense("blur"), _defense("sharpen")])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCH_PLUGINS", "")
        found = discover(extra=[first, second])
    found.broken.append(Broken("mine", "bench-defense-mine", "0.1", "cannot be imported: ImportError"))
    return found


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("blur", ["second"]),
        ("bl*", ["second"]),
        ("smoothing", ["second"]),  # the family of the one that has the name
        ("all", ["second", "mine"]),
        ("-sharpen", ["second", "mine"]),
        ("all,-blur", ["mine"]),
        ("all,-blur[size=3]", ["second", "mine"]),
        ("mine[size=3]", ["mine"]),
        ("sharpen", []),
        ("none", []),
        ("", []),
    ],
)
def test_what_a_selection_may_have_meant(registry: Registry, text: str, names: list[str]) -> None:
    assert [broken.name for broken in left_out(registry, {"defense": text})] == names


def test_a_name_counts_within_its_kind(registry: Registry) -> None:
    assert left_out(registry, {"attack": "blur"}) == []
    assert [broken.name for broken in left_out(registry, {"attack": "mine", "defense": "mine"})] == ["mine"]


def test_every_refusal_of_a_taken_name_is_understood() -> None:
    attack = Attack(name="step", factory="t:T", summary="", norm="linf", access="gradient")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCH_PLUGINS", "")
        found = discover(extra=[_plugin("one", attacks=[attack]), _plugin("two", attacks=[attack])])
    assert [broken.name for broken in left_out(found, {"attack": "step"})] == ["two"]
