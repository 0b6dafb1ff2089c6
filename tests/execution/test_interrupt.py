"""Ctrl-C is heard between two steps."""

from __future__ import annotations

import signal
import threading

import pytest

from bench.execution.interrupt import interrupt_held_back


@pytest.fixture(autouse=True)
def usual():
    """The handler that Python installs, also where the tests were started in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def press() -> None:
    signal.raise_signal(signal.SIGINT)


def test_it_is_raised_when_asked_for_and_not_before() -> None:
    finished = []

    def steps() -> None:
        with interrupt_held_back() as check:
            check()
            press()
            finished.append("step")
            check()
            finished.append("next step")

    with pytest.raises(KeyboardInterrupt):
        steps()
    assert finished == ["step"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_one_in_the_last_step_is_not_lost() -> None:
    with pytest.raises(KeyboardInterrupt), interrupt_held_back():
        press()


def test_a_finaliser_does_not_swallow_it() -> None:
    class Finalised:
        def __del__(self) -> None:
            press()

    with pytest.raises(KeyboardInterrupt), interrupt_held_back():
        Finalised()


def test_the_second_time_it_is_raised_at_once() -> None:
    finished = []

    def steps() -> None:
        with interrupt_held_back():
            press()
            finished.append("first")
            press()
            finished.append("second")

    with pytest.raises(KeyboardInterrupt):
        steps()
    assert finished == ["first"]


def test_who_handles_it_otherwise_goes_on_doing_so() -> None:
    heard: list[int] = []

    def own(number: int, frame: object) -> None:
        heard.append(number)

    signal.signal(signal.SIGINT, own)
    with interrupt_held_back() as check:
        press()
        check()
    assert heard == [signal.SIGINT]
    assert signal.getsignal(signal.SIGINT) is own


def test_it_is_left_alone_outside_the_main_thread() -> None:
    during = []

    def work() -> None:
        with interrupt_held_back() as check:
            during.append(signal.getsignal(signal.SIGINT))
            check()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert during == [signal.default_int_handler]
