"""Draws depend on who asks and for which image, and on nothing else."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.deployment import Draws

images = st.lists(st.binary(min_size=1, max_size=16), min_size=1, max_size=6, unique=True)


@given(images, st.integers(0, 2**31), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=40)
def test_draws_do_not_depend_on_the_batch(names, seed, random) -> None:
    together = Draws.of("craft", seed, names).uniform("stage", 3)
    order = list(range(len(names)))
    random.shuffle(order)
    shuffled = Draws.of("craft", seed, [names[i] for i in order]).uniform("stage", 3)
    assert np.array_equal(shuffled, together[order])
    for row, name in enumerate(names):
        assert np.array_equal(Draws.of("craft", seed, [name]).uniform("stage", 3)[0], together[row])


def test_every_part_of_the_name_of_a_stream_matters() -> None:
    base = Draws.of("craft", 0, [b"image"])
    others = [
        Draws.of("score", 0, [b"image"]),
        Draws.of("craft", 1, [b"image"]),
        Draws.of("craft", 0, [b"another"]),
        Draws.of("craft", 0, [b"image"], 1),
        base.spawn("label"),
    ]
    values = [float(d.uniform("stage", 1)[0, 0]) for d in (base, *others)] + [float(base.uniform("other", 1)[0, 0])]
    assert len(set(values)) == len(values)


def test_a_slice_of_draws_is_the_draws_of_a_slice() -> None:
    draws = Draws.of("select", 4, [b"a", b"b", b"c"])
    assert np.array_equal(draws[1:].seeds("s"), draws.seeds("s")[1:])
    assert np.array_equal(draws[np.array([2, 0])].normal("s", 2), draws.normal("s", 2)[[2, 0]])
    assert len(draws[:2]) == 2


def test_uniform_and_normal_numbers_have_their_moments() -> None:
    draws = Draws.of("probe", 0, [f"{i}".encode() for i in range(200)])
    uniform, normal = draws.uniform("u", 50), draws.normal("n", 50)
    assert uniform.min() >= 0
    assert uniform.max() < 1
    assert abs(uniform.mean() - 0.5) < 0.01
    assert abs(normal.mean()) < 0.03
    assert abs(normal.std() - 1) < 0.03
