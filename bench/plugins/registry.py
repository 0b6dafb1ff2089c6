"""Find plugins, and contain them: what is wrong with one is written down and harms no other."""

from __future__ import annotations

import importlib
import io
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Final, Literal, TypeGuard, get_args

import pluggy

from bench.errors import UnknownName, UsageError
from bench.plugins import hookspecs
from bench.plugins.distributions import itself, offered, origin, unmet
from bench.plugins.entries import Attack, Dataset, Defense, Entry, Gate, Hardware, Model, NotOffered, ReportSection
from bench.plugins.faults import called, fault_of, words

Kind = Literal["defense", "attack", "model", "dataset", "hardware", "gate", "report-section"]

OWN: Final = ("bench.analysis.gates.own",)  # of the core itself: by the same door, and always there
ONLY_VARIABLE: Final = "BENCH_PLUGINS"
PATIENCE_S: Final = 20.0

_HOOKS: Final[Mapping[str, tuple[Kind, type[Entry]]]] = {
    "bench_defenses": ("defense", Defense),
    "bench_attacks": ("attack", Attack),
    "bench_models": ("model", Model),
    "bench_datasets": ("dataset", Dataset),
    "bench_hardware": ("hardware", Hardware),
    "bench_gates": ("gate", Gate),
    "bench_report_sections": ("report-section", ReportSection),
}
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Found:
    """An entry and where it comes from.

    Attributes
    ----------
    distribution, version : of the installed package; "" for a plugin that was handed over as an object
    unavailable : why it cannot run here, "" where it can
    plugin : name of its entry point
    """

    entry: Entry
    distribution: str = ""
    version: str = ""
    unavailable: str = ""
    plugin: str = ""


@dataclass(frozen=True)
class Broken:
    """A plugin, or a part of one, that is left out.

    Attributes
    ----------
    name : of the entry point
    reason : what is wrong, in words
    """

    name: str
    distribution: str
    version: str
    reason: str


@dataclass
class Registry:
    """All that plugins offer, in a stable order: the suite's own first.

    Attributes
    ----------
    broken : what was left out, with the reason
    not_offered : attacks that a library has and that are not offered, with the reason in ``summary``
    seconds : how long each plugin took to load
    printed : what plugins printed while they were loaded; nothing of it reaches the terminal
    """

    broken: list[Broken] = field(default_factory=list)
    not_offered: list[NotOffered] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    printed: dict[str, str] = field(default_factory=dict)
    _found: dict[Kind, dict[str, Found]] = field(default_factory=lambda: {kind: {} for kind in get_args(Kind)})

    def of(self, kind: Kind) -> Mapping[str, Found]:
        """Return all entries of a kind by name, those that are unavailable here too."""
        return MappingProxyType(self._found[kind])

    def find(self, kind: Kind, name: str) -> Found:
        """Return the entry of that kind and name.

        Raises
        ------
        UnknownName : there is none; proposes the nearest
        UsageError : an attack that is known but not offered, with the reason
        """
        try:
            return self._found[kind][name]
        except KeyError:
            raise self.unknown(kind, name, self._found[kind]) from None

    def unknown(self, kind: Kind, name: str, known: Iterable[str]) -> UsageError:
        """Return the error that says why nothing of that name is there."""
        if kind == "attack":
            for entry in self.not_offered:
                if entry.name == name:
                    return UsageError(f"Attack {name!r} is not offered: {entry.summary}")
        error = UnknownName(kind, name, known)
        if self.broken:
            plugins = ", ".join(dict.fromkeys(b.name for b in self.broken))
            error.args = (f"{error} Left out as broken: {plugins} (`bench plugins` says why).",)
        return error

    def add(self, kind: Kind, found: Found) -> str:
        """Add an entry and return "", or return why it cannot be added."""
        if fault := fault_of(found.entry):
            return f"{called(found.entry)}: {fault}"
        if isinstance(found.entry, NotOffered):
            self.not_offered.append(found.entry)
            return ""
        there = self._found[kind].get(found.entry.name)
        if there is not None:
            by = f"{there.distribution} {there.version}".strip() or there.plugin
            return f"{kind} {found.entry.name!r} is already offered by {by}. Give it another name."
        self._found[kind][found.entry.name] = found
        return ""


def discover(extra: Sequence[object] = ()) -> Registry:
    """Load every installed plugin and return what they offer.

    Parameters
    ----------
    extra : plugins that are not installed: modules or objects with hook implementations

    Notes
    -----
    With the environment variable ``BENCH_PLUGINS=a,b`` only the entry points of these names are loaded. A plugin that
    has not answered after 20 s is left out; it is not killed, since it runs in this process.
    """
    registry = Registry()
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    only = _only()
    for module in OWN:
        _load(registry, manager, module, itself(), partial(importlib.import_module, module))
    for point in offered(hookspecs.PROJECT):
        if only is None or point.name in only:
            _load(registry, manager, point.name, origin(point), point.load)
    for plugin in extra:
        name = str(getattr(plugin, "__name__", type(plugin).__name__))
        _load(registry, manager, name, ("", ""), partial(_itself, plugin))
    return registry


def _itself(plugin: object) -> object:
    return plugin


def _only() -> frozenset[str] | None:
    names = os.environ.get(ONLY_VARIABLE)
    return None if names is None else frozenset(n.strip() for n in names.split(","))


Answers = list[tuple[str, object]]


def _load(
    registry: Registry, manager: pluggy.PluginManager, name: str, source: tuple[str, str], load: Callable[[], object]
) -> None:
    """Load one plugin and add what it offers; write down what is wrong with it."""

    def broken(reason: str) -> None:
        registry.broken.append(Broken(name, *source, reason))
        _log.info("Plugin %s: %s", name, reason)

    answers: Answers = []
    faults: list[str] = []
    output = io.StringIO()
    thread = threading.Thread(
        target=_ask, args=(manager, f"{source[0]}:{name}", load, answers, faults), daemon=True, name=f"load {name}"
    )
    began = time.perf_counter()
    with redirect_stdout(output), redirect_stderr(output):
        thread.start()
        thread.join(PATIENCE_S)
    registry.seconds[name] = time.perf_counter() - began
    if output.getvalue():
        registry.printed[name] = output.getvalue()
    if thread.is_alive():
        broken(f"did not load within {PATIENCE_S:g} s; left out.")
        return
    for fault in faults:
        broken(fault)
    for hook, answer in answers:
        kind, expected = _HOOKS[hook]
        if not isinstance(answer, list):
            broken(f"{hook} must return a sequence of {expected.__name__}; got {type(answer).__name__}.")
            continue
        for entry in answer:
            allowed = (expected, NotOffered) if hook == "bench_attacks" else (expected,)
            if not isinstance(entry, allowed):
                broken(f"{hook} must return entries of type {expected.__name__}; got {type(entry).__name__}.")
                continue
            try:
                missing = next(filter(None, map(unmet, entry.requires)), "")
                refusal = registry.add(kind, Found(entry, *source, missing, name))
            except Exception as error:  # fields are not checked by Python: anything may stand in them
                refusal = f"{called(entry)} cannot be read: {words(error)}"
            if refusal:
                broken(refusal)


def _ask(
    manager: pluggy.PluginManager, name: str, load: Callable[[], object], answers: Answers, faults: list[str]
) -> None:
    """Import a plugin and call its hooks; runs in a thread of its own, so that one that hangs holds up nobody.

    Whatever it raises is its own: nobody's Ctrl-C reaches this thread.
    """
    try:
        plugin = load()
    except BaseException as error:
        faults.append(f"cannot be imported: {words(error)}")
        return
    try:
        manager.register(plugin, name)
        manager.check_pending()
    except BaseException as error:
        manager.unregister(name=name)
        faults.append(f"cannot be registered: {words(error)}")
        return
    for hook in _HOOKS:
        for implementation in getattr(manager.hook, hook).get_hookimpls():
            if implementation.plugin is not plugin:
                continue
            if implementation.wrapper or implementation.hookwrapper:
                faults.append(f"{hook} is a wrapper, which would change other plugins' entries; ignored.")
                continue
            try:
                answer = implementation.function()
                answers.append((hook, list(answer) if _is_sequence(answer) else answer))
            except BaseException as error:
                faults.append(f"{hook} failed: {words(error)}")


def _is_sequence(answer: object) -> TypeGuard[Iterable[object]]:
    return isinstance(answer, Iterable) and not isinstance(answer, (str, bytes, Mapping))
