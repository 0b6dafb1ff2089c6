from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.analysis.paired import conditional, paired_difference, resampled, tango, timed_difference


def outcomes(gained: int, lost: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    before, after = np.zeros(n), np.zeros(n)
    after[:gained] = 1
    before[gained : gained + lost] = 1
    return before, after


def test_the_score_interval_is_that_of_the_literature() -> None:
    # Fagerland, Lydersen and Laake 2014, table of the airway data of Bentur et al.: (1, 1; 7, 12), Tango's interval.
    assert tango(1, 7, 21) == pytest.approx((-0.517, -0.026), abs=5e-4)


@pytest.mark.parametrize(("gained", "lost", "n"), [(1, 7, 21), (9, 16, 161), (40, 20, 160), (0, 14, 64), (3, 2, 1000)])
def test_the_score_interval_has_the_roots_of_its_quartic(gained: int, lost: int, n: int) -> None:
    """The closed form of Yang, Sun and Hardin 2013, Statistics in Medicine 32, 1336: an independent way to the ends."""
    g, d, s = 1.959963984540054**2, gained - lost, gained + lost
    quartic = [
        n**2 * (n / g + 1) ** 2,
        -n * d * (n / g + 1) * (4 * n / g + 1),
        2 * n * d**2 * (3 * n / g + 2) / g - n**2 * (s / g + 1),
        n * d * (2 * s / g + 1) - d**3 * (4 * n / g + 1) / g,
        d**2 * (d**2 / g - s) / g,
    ]
    roots = np.roots(quartic)
    real = np.sort(roots[np.abs(roots.imag) < 1e-9].real)
    for end in tango(gained, lost, n):
        assert np.min(np.abs(real - end)) < 1e-7


def test_images_that_did_not_change_still_leave_an_interval() -> None:
    z = 1.959963984540054
    assert tango(0, 0, 64) == pytest.approx((-(z**2) / (64 + z**2), z**2 / (64 + z**2)))
    assert conditional(0, 0, 64) == (0.0, 0.0)


def test_the_interval_leaves_nothing_out_exactly_where_the_exact_test_does() -> None:
    narrower = 0
    for n in (20, 64, 1000):
        for gained in range(min(n, 30)):
            for lost in range(min(n - gained, 30)):
                found = paired_difference(*outcomes(gained, lost, n))
                assert found.is_significant == (found.p < 0.05), (gained, lost, n)
                assert found.low <= found.value <= found.high
                low, high = tango(gained, lost, n)
                narrower += (low > 0 or high < 0) and not found.is_significant
    assert narrower, "the score interval alone would disagree with the exact test"


@pytest.mark.parametrize(
    ("n", "lost", "gained"), [(64, 0.1, 0.02), (64, 0.02, 0.02), (300, 0.02, 0.0), (300, 0.3, 0.1)]
)
def test_intervals_of_right_and_wrong_hold_the_truth(n: int, lost: float, gained: float) -> None:
    rng = np.random.default_rng(1)
    drawn = rng.multinomial(n, [gained, lost, 1 - gained - lost], size=1500)
    found = [paired_difference(*outcomes(g, m, n)) for g, m, _ in drawn]
    held = np.mean([d.low <= gained - lost <= d.high for d in found])
    assert held >= 0.94
    if gained == lost:
        assert np.mean([d.is_significant for d in found]) <= 0.05


def drawn_shares(kind: str, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, float]:
    if kind == "two seeds":
        base = (rng.random(n) < 0.5)[:, None]
        both = [base ^ (rng.random((n, 2)) < 0.03) for _ in range(2)]
        return both[0].mean(1), both[1].mean(1), 0.0
    p = np.where(rng.random(n) < 0.5, 0.97, 0.03)
    share = {"only draws": 0.0, "rare": 0.02, "many": 0.2}[kind]
    q = np.where(rng.random(n) < share, 0.03, p)
    return rng.binomial(32, p) / 32, rng.binomial(32, q) / 32, -share * 0.5 * 0.94


@pytest.mark.parametrize("kind", ["only draws", "rare", "many", "two seeds"])
@pytest.mark.parametrize("n", [64, 300])
def test_intervals_of_shares_hold_the_truth_and_noise_is_no_change(kind: str, n: int) -> None:
    rng = np.random.default_rng(2)
    held, alarms, repeats = 0, 0, 300
    for _ in range(repeats):
        before, after, truth = drawn_shares(kind, n, rng)
        found = resampled(after - before, resamples=1000)
        held += found.low - 1e-12 <= truth <= found.high + 1e-12
        alarms += found.is_significant
        assert found.is_significant == (found.p < 0.05)
    assert held / repeats >= 0.92  # nominal 95 %; 300 repeats know it to 2.5 points
    if truth == 0:
        assert alarms / repeats <= 0.05


@given(st.integers(0, 200), st.integers(0, 200), st.integers(1, 2000))
def test_the_other_way_round_every_sign_turns(gained: int, lost: int, rest: int) -> None:
    before, after = outcomes(gained, lost, gained + lost + rest)
    there, back = paired_difference(before, after), paired_difference(after, before)
    assert (there.value, there.p) == (-back.value, back.p)
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low), abs=1e-9)
    assert -1 <= there.low <= there.value <= there.high <= 1


def test_shares_are_resampled_and_outcomes_are_not() -> None:
    rng = np.random.default_rng(0)
    shares = rng.binomial(32, 0.5, 200) / 32
    other = shares[::-1]
    assert paired_difference(shares, other) == resampled(other - shares)
    assert paired_difference(shares, shares - 0.1).is_significant
    assert paired_difference(*outcomes(3, 9, 64)).p == pytest.approx(0.1460, abs=1e-4)  # 2 P(Bin(12, 1/2) <= 3)


def test_times_of_two_runs_differ_only_beyond_their_intervals_and_the_drift() -> None:
    same = timed_difference((1.0, 0.95, 1.05), (1.0, 0.95, 1.05), drift=0.0)
    assert (same.value, same.p) == (0.0, 1.0)
    # by hand: ln 1.2 = .182 against sqrt(ln(1.05)^2 + ln(1.2/1.14)^2) = .071; with a drift of 5 % .120, of 20 % .253
    for drift, moved in ((0.0, True), (0.05, True), (0.2, False)):
        found = timed_difference((1.0, 0.95, 1.05), (1.2, 1.14, 1.26), drift=drift)
        assert found.is_significant is moved
        assert found.is_significant == (found.p < 0.05)
        assert found.value == pytest.approx(0.2)
    assert timed_difference((2.0, 2.0, 2.0), (1.0, 1.0, 1.0), drift=0.0).high == pytest.approx(-1.0)


def test_each_end_of_a_timed_difference_is_of_the_side_that_counts() -> None:
    """Before may have been far faster and after far slower, which makes no slowing down doubtful."""
    slower = timed_difference((1.0, 0.5, 1.01), (1.2, 1.18, 3.0), drift=0.0)
    assert slower.low > 0
    faster = timed_difference((1.2, 1.18, 3.0), (1.0, 0.5, 1.01), drift=0.0)
    assert faster.high < 0
