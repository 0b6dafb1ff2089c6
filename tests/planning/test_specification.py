"""What the user asked for, parsed."""

from __future__ import annotations

import pytest

from bench.api import specification
from bench.errors import UsageError


def test_radii_are_numbers_or_fractions():
    assert specification(eps="8/255,0.1").epsilons == (8 / 255, 0.1)
    assert specification(eps=[0.1, 0.2]).epsilons == (0.1, 0.2)
    assert specification(eps="all").epsilons == ("all",)
    assert specification().epsilons == ()


@pytest.mark.parametrize("text", ["1/0", "-0.1", "a", "0.1;0.2", "1/2/3", "nan"])
def test_radii_that_are_none_are_refused(text):
    with pytest.raises(UsageError, match=r"Epsilon"):
        specification(eps=text)


@pytest.mark.parametrize("text", ["1e400", "1e999999999", "1/inf", "1e9/1e-300"])
def test_radii_too_large_for_a_number_are_refused_at_once(text):
    with pytest.raises(UsageError, match=r"Epsilon"):
        specification(eps=text)


def test_norms_and_knowledge_are_checked_with_a_proposal():
    assert specification(norm="linf,l2").norms == ("linf", "l2")
    assert specification(knowledge="all").knowledge == ()
    with pytest.raises(UsageError, match="Did you mean 'white-box'"):
        specification(knowledge="whitebox")


@pytest.mark.parametrize(("given", "seeds"), [("0,1,2", (0, 1, 2)), (3, (3,)), ([1, 1], (1,))])
def test_seeds_are_integers_each_once(given, seeds):
    assert specification(seeds=given).seeds == seeds


@pytest.mark.parametrize(("given", "averaged"), [(5, 5), ("5", 5), ("auto", "auto")])
def test_draws_are_a_number_or_found_for_each_deployment(given, averaged):
    assert specification(eot=given).expectation == averaged


@pytest.mark.parametrize("given", [0, -1, 1.5, "many", "", "Auto", "²"])
def test_draws_that_are_neither_are_refused(given):
    with pytest.raises(UsageError, match=r"eot .* expected an integer >= 1, or auto"):
        specification(eot=given)


def test_a_budget_decides_what_was_left_open():
    assert specification().image_count == 64
    assert specification(budget="standard").image_count == 1000
    assert specification(samples=77).image_count == 77
    assert (specification().expectation, specification(budget="standard").expectation) == (2, 16)
