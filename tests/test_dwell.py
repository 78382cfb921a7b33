"""How long a service takes: beliefs beside their definition, and trades of other lengths than usual."""

from math import exp, lgamma, log, pi

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geofence.dwell import (
    OTHER_MEAN,
    OTHER_MEAN_WEIGHT,
    OTHER_TRADE,
    PRIOR_MEAN,
    PRIOR_MEAN_WEIGHT,
    PRIOR_SHAPE,
    PRIOR_VARIANCE,
    any_trade_score,
    dwell_score,
    log_length,
    trades,
    usual_length,
)
from tests.tracks import Drawn, circle, plan, visits

lengths = st.lists(st.floats(30, 7200), max_size=30)


def believed(seconds):
    of = np.array([log_length(s, 1.0) for s in seconds])
    return trades(float(len(of)), float(of.sum()), float((of * of).sum()))


def evidence(seconds, mean, weight):
    """Log density of these lengths under one normal-gamma prior (Murphy 2007, equations 85 to 95)."""
    x = np.log(seconds) - PRIOR_MEAN
    n, shape, rate = len(x), PRIOR_SHAPE, PRIOR_SHAPE * PRIOR_VARIANCE
    after = (
        rate + 0.5 * ((x - x.mean()) ** 2).sum() + 0.5 * weight * n * (x.mean() - mean) ** 2 / (weight + n)
    )
    grown = shape + n / 2
    gammas = lgamma(grown) - lgamma(shape) + shape * log(rate) - grown * log(after)
    return gammas + 0.5 * log(weight / (weight + n)) - 0.5 * n * log(2 * pi)


@given(st.lists(st.floats(10, 7200), min_size=1, max_size=30))
def test_how_likely_another_trade_is_follows_from_all_services_so_far(seconds):
    usual = log(1 - OTHER_TRADE) + evidence(seconds, 0.0, PRIOR_MEAN_WEIGHT)
    other = log(OTHER_TRADE) + evidence(seconds, OTHER_MEAN, OTHER_MEAN_WEIGHT)
    *_, chance = believed(seconds)
    assert chance == pytest.approx(exp(other - np.logaddexp(usual, other)), rel=1e-6)


@given(lengths, st.floats(0.3, 3))
def test_all_lengths_together_have_a_chance_of_one(seconds, need):
    of, at = believed(seconds), np.geomspace(1.0001, 1e9, 4001)
    density = [exp(any_trade_score(of, s, need, 1)) for s in at]
    assert np.trapezoid(density, at) == pytest.approx(1, abs=0.02)


@given(lengths, st.integers(1, 4))
def test_to_last_longer_is_as_likely_as_all_longer_lengths(seconds, customers):
    (of, _, _), from_s = believed(seconds), 300.0
    at = np.geomspace(from_s, 1e9, 4001)
    density = [exp(dwell_score(of, s, 1.0, customers, False)) for s in at]
    longer = exp(dwell_score(of, from_s, 1.0, customers, True))
    assert longer == pytest.approx(np.trapezoid(density, at), abs=0.02)


@pytest.mark.parametrize("seconds", [40.0, 140.0, 1800.0])
def test_three_services_tell_what_is_usual(seconds):
    assert usual_length(believed([seconds] * 3)) == pytest.approx(seconds, rel=0.3)


@pytest.mark.parametrize("minutes", [25, 35, 60])
def test_services_that_all_take_long_are_no_breaks(minutes):
    track, fences = Drawn().stand(30), []
    for n in range(1, 6):
        track.drive(2000 * n).stand(60 * (minutes + 3 * (n % 2)))
        fences.append(circle(f"c{n}", 2000 * n, 10))
    found = visits(track.drive(14000).stand(30), fences, [plan(*(f.customer_id for f in fences))])
    assert [(v.customer_id, v.flags) for v in found] == [(f"c{n}", ()) for n in range(1, 6)]
    for n, v in enumerate(found, 1):
        assert v.service_time_s == pytest.approx(60 * (minutes + 3 * (n % 2)), abs=10)
