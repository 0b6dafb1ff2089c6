import pytest

from bench.errors import UnknownName, UsageError
from bench.hardware.energy import (
    co2e_mg,
    counter_difference_uj,
    declared_j,
    integral_j,
    intensities,
    intensity,
    net_j,
    over_windows,
)

TIMES, WATTS = (0, 1, 2, 3, 4), (2, 4, 4, 4, 2)


def test_the_integral_is_clipped_to_the_window_by_interpolation():
    assert integral_j(TIMES, WATTS, 0.5, 3.5) == pytest.approx(11.5)
    assert integral_j(TIMES, WATTS, 0.0, 4.0) == pytest.approx(14.0)


@pytest.mark.parametrize(("times", "window"), [(TIMES, (3.0, 4.5)), ((0, 1, 1, 3, 4), (0.0, 4.0)), (TIMES, (2.0, 2.0))])
def test_a_window_outside_the_samples_is_refused(times, window):
    with pytest.raises(UsageError):
        integral_j(times, WATTS, *window)


def test_a_rapl_counter_that_wraps_once():
    assert counter_difference_uj(262_143_328_000, 150_000, 262_143_328_850) == 150_850
    assert counter_difference_uj(1000, 4000, 262_143_328_850) == 3000


def test_declared_watts():
    assert declared_j(8.0 / 2, 1.5) == pytest.approx(6.0)  # 8 W for two threads


def test_the_median_window_with_its_range():
    summary = over_windows([5.0, 1.0, 3.0, 2.0, 4.0])
    assert (summary.value, summary.low, summary.high, summary.n) == (3.0, 1.0, 5.0, 5)


def test_energy_above_idle_is_null_where_idle_noise_swallows_it():
    assert net_j(30.0, 10.0, 100, (2.0, 2.0), 0.01).value == pytest.approx(0.1)
    assert net_j(19.0, 10.0, 100, (2.0, 2.0), 0.01).value is None
    swallowed = net_j(20.1, 10.0, 100, (2.0, 2.0), 0.1)
    assert swallowed.value is None
    assert swallowed.flags == ("below_idle_noise",)
    assert net_j(40.0, 10.0, 100, (2.0, 2.3), 0.01).flags == ("idle_drift",)


def test_carbon_dioxide_of_one_joule_at_the_world_mix():
    assert co2e_mg(1.0) == pytest.approx(0.131944, abs=5e-7)


@pytest.mark.parametrize(
    ("country", "grams"),
    [("FRA", 56.039), ("swe", 40.695), ("gbr", 237.589), ("usa", 369.473), ("deu", 380.950), ("jpn", 485.392),
     ("chn", 582.317), ("pol", 661.926), ("world", 475.0)],
)  # fmt: skip
def test_the_shipped_table(country, grams):
    assert intensity(country).grams_per_kwh == grams
    assert intensity(country).year == 2023


def test_an_unknown_country_is_refused_and_not_replaced():
    with pytest.raises(UnknownName, match="deu"):
        co2e_mg(1.0, "deuu")
    assert len(intensities()) == 9
