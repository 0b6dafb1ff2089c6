from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.data import divide, image_digests
from bench_datasets.digits import Digits


def _pool_digests(train, test, **options):
    positions = divide(train, test, **options)
    return {name: set(image_digests(train[where])) for name, where in positions.items()}


def _coarse(count: int, seed: int) -> np.ndarray:
    """Return images of 1x2x2 with two grey values: of 16 that there are, so most occur often."""
    return np.random.default_rng(seed).integers(0, 2, (count, 1, 2, 2), dtype=np.uint8)


@pytest.mark.parametrize("split_seed", [0, 1, 7])
def test_no_image_of_the_digits_is_in_two_pools_or_in_a_pool_and_the_test_set(split_seed):
    source = Digits()
    train, test = source.load(Path(), "train").x, source.load(Path(), "test").x
    pools = _pool_digests(train, test, split_seed=split_seed, held_out_share=0.1)
    tested = set(image_digests(test))
    assert all(pools.values())
    for name, digests in pools.items():
        assert not digests & tested, name
    for first, second in combinations(pools, 2):
        assert not pools[first] & pools[second], (first, second)
    assert len(pools["development"]) == pytest.approx(141, abs=40)
    assert len(pools["calibration"]) == pytest.approx(141, abs=40)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), split_seed=st.integers(0, 1000))
def test_equal_images_land_in_one_pool_and_images_of_the_test_set_in_none(seed, split_seed):
    train, test = _coarse(200, seed), _coarse(3, seed + 1)
    pools = _pool_digests(train, test, split_seed=split_seed, held_out_share=0.3)
    for first, second in combinations(pools, 2):
        assert not pools[first] & pools[second]
    assert not set().union(*pools.values()) & set(image_digests(test))
    positions = divide(train, test, split_seed=split_seed, held_out_share=0.3)
    tested = set(image_digests(test))
    kept = [i for i, digest in enumerate(image_digests(train)) if digest not in tested]
    assert sorted(np.concatenate(list(positions.values())).tolist()) == kept


def test_another_split_seed_gives_other_pools_and_the_same_seed_the_same():
    source = Digits()
    train, test = source.load(Path(), "train").x, source.load(Path(), "test").x
    pools = [divide(train, test, split_seed=seed, held_out_share=0.1) for seed in (0, 0, 1)]
    for name in pools[0]:
        assert np.array_equal(pools[0][name], pools[1][name])
        assert not np.array_equal(pools[0][name], pools[2][name])
    shared = np.intersect1d(pools[0]["development"], pools[2]["development"])
    assert len(shared) < 0.3 * len(pools[0]["development"])


def test_a_pool_does_not_depend_on_the_order_of_the_images():
    train = np.random.default_rng(0).integers(0, 256, (300, 1, 4, 4), dtype=np.uint8)
    order = np.random.default_rng(1).permutation(300)
    none = train[:0]
    assert _pool_digests(train, none, split_seed=3) == _pool_digests(train[order], none, split_seed=3)


def test_images_of_the_same_bytes_and_another_shape_have_another_digest():
    flat = np.arange(16, dtype=np.uint8)
    assert image_digests(flat.reshape(1, 1, 4, 4)) != image_digests(flat.reshape(1, 1, 2, 8))
