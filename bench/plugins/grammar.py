"""The selection grammar: from text to items, and from values back to text; knows no plugin.

::

    selection = item *("," item)
    item      = ["-"] name [":" value] ["[" [setting *("," setting)] "]"]
    name      = letters, digits, "-", "_", "."; "*" and "?" make it a pattern
    setting   = parameter "=" value *("|" value)
    value     = text without , | [ ] " and not blank at its ends, or a text in double quotes with JSON's escapes
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Final

from bench.errors import UsageError

_NAME: Final = re.compile(r"[A-Za-z0-9_.*?][A-Za-z0-9_.*?-]*")
_PARAMETER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_BARE: Final = re.compile(r'[^,|\[\]"]+')
_QUOTED: Final = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')
_SPACE: Final = re.compile(r"\s*")


@dataclass(frozen=True)
class Item:
    """One part of a selection.

    Attributes
    ----------
    excluded : it began with "-"
    argument : what followed a colon, as in "imagefolder:PATH"; None where nothing did
    settings : parameter -> the values to run through, in the order given
    position : of its first character in the text, from 1
    """

    name: str
    excluded: bool
    argument: str | None
    settings: dict[str, tuple[str, ...]]
    position: int

    @property
    def is_pattern(self) -> bool:
        return "*" in self.name or "?" in self.name


def parse(text: str) -> list[Item]:
    """Return the items of a selection; an empty text has none.

    Raises
    ------
    UsageError : not in the grammar; says at which character
    """
    return _Reader(text).items() if text.strip() else []


def quote(value: str) -> str:
    """Return ``value`` as the grammar reads it back."""
    bare = _BARE.fullmatch(value) and value == value.strip() and value.isprintable()
    return value if bare else json.dumps(value)


class _Reader:
    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0

    def items(self) -> list[Item]:
        found = [self.item()]
        while self.take(","):
            found.append(self.item())
        if self.at < len(self.text):
            raise self.error("a comma or the end")
        return found

    def item(self) -> Item:
        self.space()
        start = self.at
        excluded = self.take("-")
        name = self.match(_NAME, "a name")
        argument = self.value() if self.take(":") else None
        settings: dict[str, tuple[str, ...]] = {}
        if self.take("[") and not self.take("]"):
            self.setting(settings)
            while self.take(","):
                self.setting(settings)
            if not self.take("]"):
                raise self.error("',' or ']'")
        return Item(name, excluded, argument, settings, start + 1)

    def setting(self, settings: dict[str, tuple[str, ...]]) -> None:
        self.space()
        start = self.at
        parameter = self.match(_PARAMETER, "a parameter")
        if parameter in settings:
            self.at = start
            raise self.error(f"{parameter!r} only once")
        if not self.take("="):
            raise self.error("'='")
        values = [self.value()]
        while self.take("|"):
            values.append(self.value())
        settings[parameter] = tuple(values)

    def value(self) -> str:
        self.space()
        if quoted := _QUOTED.match(self.text, self.at):
            try:
                value = json.loads(quoted.group())
            except ValueError:
                raise self.error("JSON's escapes in the quoted text") from None
            self.at = quoted.end()
            assert isinstance(value, str)
            return value
        return self.match(_BARE, 'a value (in double quotes where it holds one of , | [ ] ")').rstrip()

    def match(self, pattern: re.Pattern[str], expected: str) -> str:
        found = pattern.match(self.text, self.at)
        if found is None:
            raise self.error(expected)
        self.at = found.end()
        return found.group()

    def take(self, mark: str) -> bool:
        """Step over blanks, and over ``mark`` and blanks after it, and return whether it was there."""
        self.space()
        if not self.text.startswith(mark, self.at):
            return False
        self.at += len(mark)
        self.space()
        return True

    def space(self) -> None:
        found = _SPACE.match(self.text, self.at)
        assert found is not None
        self.at = found.end()

    def error(self, expected: str) -> UsageError:
        got = repr(self.text[self.at]) if self.at < len(self.text) else "the end"
        return UsageError(
            f"Selection {self.text!r} cannot be read at character {self.at + 1}: expected {expected}; got {got}."
        )
