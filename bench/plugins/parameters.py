"""Parameters of plugins: declared as data, checked in one place, printed the same everywhere."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from bench.errors import BadParameter, UnknownName

Value = bool | int | float | str


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One setting of a plugin.

    Attributes
    ----------
    type : bool, int, float or str; a value from a command line is converted to it
    default : used where nothing is said
    minimum, maximum : inclusive bounds of numbers
    choices : the only values allowed, where not empty
    help : one line, with the source of the default
    fits : of a defense: its ``fit`` depends on this one. Where not, ``fit`` is called on an object that has the
        default in its place, and what it learned serves all values
    """

    name: str
    type: type[bool] | type[int] | type[float] | type[str]
    default: Value
    help: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[Value, ...] = ()
    fits: bool = True

    def expected(self) -> str:
        """Return what is allowed, in words."""
        if self.choices:
            return "one of " + ", ".join(str(c) for c in self.choices)
        within = self.minimum is not None and self.maximum is not None
        number = "a number" if within else "a finite number"
        noun = {bool: "true or false", int: "an integer", float: number, str: "a text"}[self.type]
        if self.minimum is not None and self.maximum is not None:
            return f"{noun} in [{self.minimum:g}, {self.maximum:g}]"
        if self.minimum is not None:
            return f"{noun} >= {self.minimum:g}"
        return f"{noun} <= {self.maximum:g}" if self.maximum is not None else noun

    def parse(self, owner: str, given: object) -> Value:
        """Return ``given`` as a value of this parameter.

        Raises
        ------
        BadParameter : of the wrong type, not finite, outside the bounds, or not one of the choices
        """
        value = self._convert(given)
        outside = (
            isinstance(value, (int, float))
            and not isinstance(value, bool)
            and (
                (self.minimum is not None and value < self.minimum)
                or (self.maximum is not None and value > self.maximum)
            )
        )
        infinite = isinstance(value, float) and not math.isfinite(value)  # a key holds no such value
        if value is None or infinite or outside or (self.choices and value not in self.choices):
            raise BadParameter(owner, self.name, self.expected(), given)
        return value

    def _convert(self, given: object) -> Value | None:
        if self.type is bool:
            if isinstance(given, bool):
                return given
            return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}.get(
                str(given).lower()
            )
        if isinstance(given, bool):
            return None
        if self.type is str:
            return given if isinstance(given, str) else str(given)
        try:
            number = float(given)  # type: ignore[arg-type]
            if self.type is int:
                return (
                    int(str(given)) if not isinstance(given, float) else (int(number) if number.is_integer() else None)
                )
            return number
        except (TypeError, ValueError):
            return None


def resolve(owner: str, declared: Sequence[Parameter], given: Mapping[str, object]) -> Mapping[str, Value]:
    """Return every declared parameter with its value: what was given, else the default.

    Raises
    ------
    UnknownName : a name that is not declared
    BadParameter : a value outside its schema
    """
    known = {p.name: p for p in declared}
    for name in given:
        if name not in known:
            raise UnknownName("parameter", name, known, f"of {owner}")
    return MappingProxyType({n: p.parse(owner, given.get(n, p.default)) for n, p in known.items()})
