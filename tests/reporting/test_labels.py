"""Names of attacks in heads."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bench.reporting.labels import rungs, shortened


def test_what_tells_two_attacks_apart_stays() -> None:
    short, shared = shortened(["pgd[steps=10,step=0.1]", "pgd[steps=10,step=0.2] via soft", "fgsm"])
    assert list(short.values()) == ["pgd[step=0.1]", "pgd[step=0.2] via soft", "fgsm"]
    assert shared == {"pgd": "steps=10"}


def test_one_that_was_given_nothing_keeps_the_other_whole() -> None:
    short, shared = shortened(["pgd", "pgd[steps=10]"])
    assert short == {"pgd": "pgd", "pgd[steps=10]": "pgd[steps=10]"}
    assert shared == {}


PARAMETERS = st.lists(st.sampled_from(["a=1", "a=2", "b=1", "c=x"]), unique=True, max_size=3)


@given(
    st.lists(st.tuples(st.sampled_from(["pgd", "mim"]), PARAMETERS, st.sampled_from(["", " via x", " from y[a=1]"])))
)
def test_heads_are_as_distinct_as_labels(attacks: list[tuple[str, list[str], str]]) -> None:
    labels = {f"{name}[{','.join(own)}]{rest}" if own else name + rest for name, own, rest in attacks}
    short, _ = shortened(sorted(labels))
    assert set(short) == labels
    assert len(set(short.values())) == len(labels)


def test_rungs_are_named_once_with_the_images_where_these_are_fewer() -> None:
    def cell(attack: str, samples: int, core: bool = True, status: str = "ok") -> dict[str, Any]:
        return {"attack": attack, "samples": samples, "core": core, "status": status}

    told = rungs(
        [
            cell("pgd[steps=10]", 1000),
            cell("pgd[steps=10] via learned", 1000),
            cell("pgd[steps=10] made on robust[a=1]", 1000),
            cell("square[steps=200]", 128),
            cell("fgsm", 1000, status="failed"),
            cell("evade", 64, core=False),
        ],
        1000,
    )
    assert told == "pgd[steps=10] and square[steps=200] on 128 images"
