"""Quantiles that hold on services nobody has seen."""

import numpy as np
import pytest

from models.calibration import Calibration


def errors(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Log errors whose size varies from stop to stop, and the scales predicted for them (off by half)."""
    rng = np.random.default_rng(seed)
    sizes = rng.uniform(0.1, 0.5, n)
    return sizes * rng.standard_t(4, n) + 0.03, sizes * 1.5


@pytest.mark.parametrize("level", [0.1, 0.5, 0.9, 0.97])
def test_the_stated_share_of_new_services_stays_below_a_quantile(level: float) -> None:
    calibration = Calibration.of(*errors(4_000, 1))
    fresh, scales = errors(20_000, 2)
    assert np.mean(fresh <= calibration.log_quantile(level, scales)) == pytest.approx(level, abs=0.012)


def test_coverage_holds_for_easy_and_hard_stops_alike() -> None:
    calibration = Calibration.of(*errors(4_000, 1))
    fresh, scales = errors(20_000, 2)
    for stops in (scales < 0.3, scales > 0.6):
        bound = calibration.log_quantile(0.9, scales[stops])
        assert np.mean(fresh[stops] <= bound) == pytest.approx(0.9, abs=0.015)


def test_few_scores_give_a_more_careful_bound() -> None:
    scores = np.arange(1.0, 11.0)
    ones = np.ones(10)
    few, many = Calibration.of(scores, ones), Calibration.of(np.repeat(scores, 100), np.repeat(ones, 100))
    assert few.log_quantile(0.9, ones[:1])[0] == pytest.approx(9.91)  # the 0.99 quantile
    assert many.log_quantile(0.9, ones[:1])[0] < 9.5


def test_the_mean_lies_above_the_median_of_skewed_services() -> None:
    rng = np.random.default_rng(3)
    calibration = Calibration.of(rng.normal(0, 0.4, 20_000), np.full(20_000, 0.4))
    assert calibration.mean_factor(np.array([0.4]))[0] == pytest.approx(np.exp(0.4**2 / 2), abs=0.01)
    assert calibration.relative_sd(np.array([0.4]))[0] == pytest.approx(0.45, abs=0.03)  # without the tails
