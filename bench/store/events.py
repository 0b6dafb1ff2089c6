"""Announce every visible step of the store, so that tests can stop a process exactly there.

A testing aid: with ``BENCH_STORE_LISTENER="module:function"`` the function is called with the name of each event, in
every process that imports the store. Events are "before <step>" and "after <step>", such as "before object.rename".
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from bench.plugins.loading import loaded

Listener = Callable[[str], None]

LISTENER_VARIABLE: Final = "BENCH_STORE_LISTENER"
listeners: list[Listener] = []


def notify(event: str) -> None:
    """Call every listener with the name of what happens."""
    for listener in listeners:
        listener(event)


@contextmanager
def step(name: str) -> Iterator[None]:
    """Announce a step before it and, when it went well, after it."""
    notify(f"before {name}")
    yield
    notify(f"after {name}")


def _install(target: str) -> None:
    listeners.append(loaded(target))


if os.environ.get(LISTENER_VARIABLE):
    _install(os.environ[LISTENER_VARIABLE])
