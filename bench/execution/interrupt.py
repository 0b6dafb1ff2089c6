"""Ctrl-C between two steps of a run, not within one."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def interrupt_held_back() -> Iterator[Callable[[], None]]:
    """Yield a function that raises ``KeyboardInterrupt`` where Ctrl-C was pressed since the block began.

    Notes
    -----
    Python raises wherever it happens to be, which may be a finaliser: there the exception is printed and lost, and the
    run goes on. Pressed a second time, Ctrl-C does what it always does. Left alone outside the main thread, which gets
    no signals, and where somebody else handles them.
    """
    pressed = False

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal pressed
        pressed = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def check() -> None:
        if pressed:
            raise KeyboardInterrupt

    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield check
        return
    signal.signal(signal.SIGINT, note)
    try:
        yield check
        check()
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
