"""What a running task says of itself; the process that runs it decides where that goes."""

from __future__ import annotations

from collections.abc import Callable

_listener: list[Callable[[float, str], None]] = []


def listen(listener: Callable[[float, str], None]) -> None:
    """Send later reports of this process to ``listener``."""
    _listener[:] = [listener]


def report(share: float, text: str) -> None:
    """Say that ``share`` of the task is done, in [0, 1], and one line of text."""
    for listener in _listener:
        listener(share, text)
