"""Parameters are checked in one place."""

from __future__ import annotations

import pytest

from bench.errors import BadParameter, UnknownName
from bench.plugins.parameters import Parameter, resolve

LEVELS = Parameter(name="levels", type=int, default=4, minimum=2, maximum=256, help="")
HARDNESS = Parameter(name="hardness", type=float, default=50, minimum=0, help="")
WIRE = Parameter(name="wire", type=str, default="raw", choices=("raw", "coded"), help="")
EXACT = Parameter(name="exact", type=bool, default=True, help="")
FREE = Parameter(name="free", type=float, default=0, help="")
SHARE = Parameter(name="share", type=float, default=0, minimum=0, maximum=1, help="")
ALL = (LEVELS, HARDNESS, WIRE, EXACT)


def test_defaults_have_the_declared_type_so_that_keys_do_not_depend_on_how_they_were_written() -> None:
    values = resolve("x", ALL, {})
    assert dict(values) == {"levels": 4, "hardness": 50.0, "wire": "raw", "exact": True}
    assert type(values["hardness"]) is float


@pytest.mark.parametrize(
    ("parameter", "given", "value"),
    [
        (LEVELS, "8", 8),
        (LEVELS, 8.0, 8),
        (HARDNESS, "1e3", 1000.0),
        (HARDNESS, 3, 3.0),
        (EXACT, "False", False),
        (EXACT, "yes", True),
        (WIRE, "coded", "coded"),
    ],
)
def test_a_value_from_a_command_line_is_converted(parameter: Parameter, given: object, value: object) -> None:
    parsed = parameter.parse("x", given)
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize(
    ("parameter", "given", "expected"),
    [
        (LEVELS, "many", "an integer in [2, 256]"),
        (LEVELS, "1", "an integer in [2, 256]"),
        (LEVELS, "8.5", "an integer in [2, 256]"),
        (LEVELS, True, "an integer in [2, 256]"),
        (HARDNESS, "nan", "a finite number >= 0"),
        (HARDNESS, "inf", "a finite number >= 0"),
        (HARDNESS, "-Infinity", "a finite number >= 0"),
        (HARDNESS, "1e400", "a finite number >= 0"),
        (HARDNESS, float("inf"), "a finite number >= 0"),
        (FREE, "inf", "a finite number"),
        (LEVELS, "inf", "an integer in [2, 256]"),
        (SHARE, "nan", "a number in [0, 1]"),
        (HARDNESS, "-1", "a finite number >= 0"),
        (WIRE, "smoke", "one of raw, coded"),
        (EXACT, "maybe", "true or false"),
    ],
)
def test_a_value_outside_the_schema_is_refused_with_what_is_allowed(
    parameter: Parameter, given: object, expected: str
) -> None:
    with pytest.raises(BadParameter) as caught:
        parameter.parse("defense 'qusec-cq'", given)
    assert str(caught.value) == (
        f"Parameter {parameter.name!r} of defense 'qusec-cq' must be {expected}; got {given!r}."
    )


def test_an_unknown_parameter_proposes_the_nearest() -> None:
    with pytest.raises(UnknownName, match=r"Unknown parameter 'level' of defense 'x'\. Did you mean 'levels'"):
        resolve("defense 'x'", ALL, {"level": 3})
