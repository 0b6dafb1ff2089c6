"""What a check says, and how one is run so that it cannot take the others down."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from bench.plugins.place import place

Outcome = Literal["pass", "warn", "fail", "n/a"]
S = TypeVar("S")
Check = Callable[[S], str]


@dataclass(frozen=True)
class CheckResult:
    """The outcome of one check.

    Attributes
    ----------
    name : what was asked, such as "wire round trip"
    evidence : the numbers behind the outcome and, where it is not "pass", what to do; one or two sentences
    """

    name: str
    outcome: Outcome
    evidence: str


class VerdictError(Exception):
    """Ends a check with its outcome; the text is the evidence."""

    outcome: Outcome


class Failed(VerdictError):
    """The contract is broken."""

    outcome = "fail"


class Doubtful(VerdictError):
    """Allowed, but probably not what the author meant."""

    outcome = "warn"


class NotApplicable(VerdictError):
    """There is nothing to check."""

    outcome = "n/a"


def perform(name: str, check: Check[S], subject: S) -> CheckResult:
    """Return the outcome of one check; whatever else it raises is a failure of the plugin, with its line."""
    try:
        return CheckResult(name, "pass", check(subject))
    except VerdictError as verdict:
        return CheckResult(name, verdict.outcome, str(verdict))
    except Exception as error:
        return CheckResult(name, "fail", f"Raised {in_words(error)}.")


def in_words(error: BaseException) -> str:
    """Return an exception as one line, with the place in its author's code, else the one it was raised at."""
    frames = traceback.extract_tb(error.__traceback__)
    text = " ".join(str(error).split()) or "no message"
    where = place(error) or (f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "")
    return f"{type(error).__name__}: {text}" + (f" at {where}" if where else "")
