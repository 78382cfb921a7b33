"""Totals of routes: errors cancel as far as they are independent, and intervals hold."""

import numpy as np
import pandas as pd
import pytest

from models.totals import RouteCalibration


def days(routes: int, shared_sd_s: float, seed: int) -> tuple[pd.Series, np.ndarray, np.ndarray, np.ndarray]:
    """Routes of 20 stops of 300 s with an error of 60 s each, and one that all stops of a route share."""
    rng = np.random.default_rng(seed)
    names = pd.Series(np.repeat([f"r{i}" for i in range(routes)], 20))
    expected = np.full(20 * routes, 300.0)
    actual = expected + rng.normal(0, 60, len(expected)) + np.repeat(rng.normal(0, shared_sd_s, routes), 20)
    return names, actual, expected, np.full(len(expected), float(np.hypot(60, shared_sd_s)))


def test_independent_errors_cancel() -> None:
    names, actual, expected, sd = days(400, 0.0, 1)
    calibration = RouteCalibration.of(names, actual, expected, sd)
    totals = calibration.totals(names, expected, sd)
    assert calibration.correlation == pytest.approx(0.0, abs=0.02)
    assert totals.expected_s[0] == 6000.0
    assert totals.sd_s[0] == pytest.approx(60 * np.sqrt(20), rel=0.15)


def test_errors_that_stops_share_do_not_cancel() -> None:
    names, actual, expected, sd = days(400, 60.0, 2)
    calibration = RouteCalibration.of(names, actual, expected, sd)
    assert calibration.correlation == pytest.approx(0.5, abs=0.05)
    assert calibration.totals(names, expected, sd).sd_s[0] == pytest.approx(
        np.hypot(60 * 20, 60 * 20**0.5), rel=0.1
    )


@pytest.mark.parametrize("shared_sd_s", [0.0, 40.0])
def test_the_stated_share_of_new_routes_lies_within_the_interval(shared_sd_s: float) -> None:
    calibration = RouteCalibration.of(*days(600, shared_sd_s, 3))
    names, actual, expected, sd = days(2_000, shared_sd_s, 4)
    totals = calibration.totals(names, expected, sd)
    found = pd.Series(actual).groupby(names).sum().loc[totals.route_ids].to_numpy()
    for level in (0.1, 0.9):
        assert np.mean(found <= calibration.quantile(totals, level)) == pytest.approx(level, abs=0.04)


def test_few_routes_use_the_normal_distribution() -> None:
    calibration = RouteCalibration.of(*days(10, 0.0, 5))
    assert calibration.scores == ()
    totals = calibration.totals(pd.Series(["a"]), np.array([600.0]), np.array([100.0]))
    assert calibration.quantile(totals, 0.9)[0] == pytest.approx(600 + 1.2816 * 100, abs=0.1)


def test_without_knowledge_errors_are_taken_to_add_up() -> None:
    totals = RouteCalibration().totals(pd.Series(["a"] * 4), np.full(4, 300.0), np.full(4, 50.0))
    assert (totals.sd_s[0], totals.stops[0]) == (200.0, 4.0)


def test_stops_without_a_route_are_left_out() -> None:
    names, actual, expected, sd = days(50, 0.0, 6)
    names[::20] = None
    assert RouteCalibration.of(names, actual, expected, sd).correlation < 0.1
