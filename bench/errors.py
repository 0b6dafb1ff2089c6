"""Everything that the suite raises for a user's mistake or a plugin's fault.

BenchError
├── UsageError (ValueError)          what was asked for cannot be done; exit code 2
│   ├── UnknownName (LookupError)    no plugin, parameter or key of that name; proposes the nearest
│   ├── BadParameter                 a parameter outside its declared schema
│   ├── MissingData                  a data set that is not on this machine
│   └── StoreFull                    no space is left where the store is
├── Unavailable                      a plugin that is known but cannot run here, with the reason
├── PluginFault                      a plugin raised, hung or broke its contract
│   └── ContractViolation            wrong shape, outside the ball or the box, not finite, not as declared
├── MissingObject (LookupError)      the store has no object of that key
├── DamagedObject                    a stored object whose bytes do not match its checksum
├── CodeChanged                      code was changed between the planning of a task and its end
└── TaskTimeout
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from enum import IntEnum

from bench.usual import ours


class ExitCode(IntEnum):
    """What the process says when it ends."""

    DONE = 0  # all asked for is there
    CELLS_FAILED = 1  # the run ended, some cells are errors
    USAGE = 2  # a flag, name, file or folder is wrong; nothing was started
    VERDICT = 3  # a verdict that was asked for (audit, --strict, --fail-if, check) is "no"
    NOTHING = 4  # the selection is empty
    INTERRUPTED = 130  # Ctrl-C


class BenchError(Exception):
    """The root; its text is one or two sentences a user can act on."""


class UsageError(BenchError, ValueError):
    """What was asked for cannot be done."""


class UnknownName(UsageError, LookupError):
    """No such name; the one that is usually meant by it is proposed, or else the nearest known ones.

    Attributes
    ----------
    kind, name : what was looked for, such as "defense" and "superoit"
    """

    def __init__(self, kind: str, name: str, known: Iterable[str], place: str = "") -> None:
        """Make the error; ``place`` says where the name was looked for, such as "of defense 'qusec-tq'"."""
        self.kind, self.name = kind, name
        self.known = sorted(known)
        meant = ours(name, self.known)
        near = [meant] if meant else get_close_matches(name, self.known, n=3, cutoff=0.5)
        hint = (
            f" Did you mean {' or '.join(repr(n) for n in near)}?"
            if near
            else f" Known: {', '.join(self.known) or 'none'}."
        )
        super().__init__(f"Unknown {kind} {name!r}{place and f' {place}'}.{hint}")


class BadParameter(UsageError):
    """A value outside the declared schema of a parameter."""

    def __init__(self, owner: str, parameter: str, expected: str, got: object) -> None:
        self.owner, self.parameter, self.expected, self.got = owner, parameter, expected, got
        super().__init__(f"Parameter {parameter!r} of {owner} must be {expected}; got {got!r}.")


class MissingData(UsageError):
    """A data set that is not on this machine."""


class StoreFull(UsageError):
    """No space is left where the store is."""


class Unavailable(BenchError):
    """A plugin that is known but cannot run here."""


class PluginFault(BenchError):
    """A plugin raised, hung or broke its contract."""


class ContractViolation(PluginFault):
    """A result of the wrong shape, outside the ball or the box, not finite, or not as declared."""


class MissingObject(BenchError, LookupError):
    """The store has no object of that key."""


class DamagedObject(BenchError):
    """A stored object whose bytes do not match its checksum."""


class CodeChanged(BenchError):
    """Code was changed between the planning of a task and its end."""


class TaskTimeout(BenchError):
    """A task that used up its time."""
