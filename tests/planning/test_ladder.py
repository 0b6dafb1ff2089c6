"""Which attacks an audit runs, by what their entries say of themselves."""

from __future__ import annotations

from bench.planning.ladder import AWARE, OWN, ladder, rungs_of_their_own
from bench.plugins.registry import discover


def test_the_ladder_has_the_core_the_controls_and_the_strong_but_not_the_slow():
    registry = discover()
    names = ladder(registry).selection.split(",")
    entries = {name: found.entry for name, found in registry.of("attack").items()}
    core = {name for name, entry in entries.items() if (entry.core or entry.control) and entry.default}
    assert core <= set(names)
    chosen = [entries[name] for name in names]
    assert [e for e in chosen if e.minimum_norm and e.norm == "linf"]
    assert [e for e in chosen if not (e.core or e.control or e.explores or e.wants or e.minimum_norm)]
    assert all(entries[name].default for name in names)
    assert not [n for n in names if entries[n].access == "decision"]
    assert len(names) < len([n for n, e in entries.items() if e.default])


def test_attacks_that_a_defense_brings_or_that_look_at_its_detector_have_rungs_of_their_own():
    registry = discover()
    bringing = next(f.entry for f in registry.of("defense").values() if f.entry.adaptive_attacks)
    rungs = rungs_of_their_own(registry, bringing.name)
    assert {rungs[attack.name] for attack in bringing.adaptive_attacks} == {OWN}
    looking = [f.entry.name for f in registry.of("attack").values() if f.entry.wants]
    assert looking
    assert {rungs[name] for name in looking} == {AWARE}
