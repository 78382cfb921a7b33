"""When one customer's part of a standing ended and the next one's began."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geofence.walk import (
    LENGTH_LOG_SD,
    MOMENTS,
    Turns,
    Walk,
    _change,
    looks_of,
    one_by_one,
    turns_of,
)

chances = st.lists(st.floats(0.001, 1.0), min_size=MOMENTS, max_size=MOMENTS).map(np.array)


@given(chances)
def test_a_change_is_as_likely_before_its_estimate_as_after(chances):
    chances = chances / chances.sum()
    at, low, high = _change(chances)
    edges = np.arange(MOMENTS + 1) - 0.5  # each moment stands for the time about it
    median = np.interp(0.5, np.concatenate(([0.0], np.cumsum(chances))), edges)
    assert at == pytest.approx(min(max(median, 0.0), MOMENTS - 1.0) / (MOMENTS - 1), abs=1e-9)
    assert 0.0 <= low <= at <= high <= 1.0


def test_a_few_unlikely_moments_far_away_do_not_draw_the_estimate():
    chances = np.zeros(MOMENTS)
    chances[4], chances[20] = 0.8, 0.2
    assert _change(chances)[0] == pytest.approx(4 / (MOMENTS - 1), abs=0.02)


def standing(places, each_s=10.0, noise_m=6.0):
    """The walk of a standing with fixes at these places east (m)."""
    x = np.asarray(places, dtype=float)
    t = each_s * np.arange(len(x))
    return Walk(t, x, np.zeros(len(x)), (float(x[0]), 0.0), noise_m, t[0], t[-1], each_s)


def test_where_the_van_was_perhaps_moved_a_change_is_likelier():
    walk = standing([0.0, 1.0, -1.0, 0.0, 1.0, -1.0] * 4 + [15.0, 14.0, 16.0, 15.0, 14.0, 16.0] * 2)
    moved = turns_of(walk, looks_of(walk)).moved
    assert int(np.argmax(moved)) == pytest.approx(23.5 / 35 * (MOMENTS - 1), abs=1)
    assert moved.max() > 2.0
    assert (np.delete(moved, int(np.argmax(moved))) < 1.0).all()


def test_a_van_that_keeps_its_place_says_nothing_of_changes():
    walk = standing([0.0, 1.0, -1.0] * 12)
    assert (turns_of(walk, looks_of(walk)).moved == 1.0).all()


def test_a_standing_of_no_length_may_hold_a_move_all_the_same():
    walk = standing([0.0, 0.0, 40.0, 40.0], each_s=0.0, noise_m=2.0)
    moved = turns_of(walk, looks_of(walk)).moved
    assert np.isfinite(moved).all()


def test_a_move_makes_two_services_likelier_but_does_not_time_them():
    gains, even = np.zeros((2, MOMENTS)), np.ones(MOMENTS)
    weight, share = np.linspace(0.0, 4.0, MOMENTS), np.array([0.5, 0.5])
    moved = np.full(MOMENTS, 0.6)
    moved[MOMENTS // 2] = 8.0

    def split(moves):
        changes = np.zeros((2, 3))
        ratio, _ = one_by_one(gains, Turns(weight, even, moves), share, np.full(2, LENGTH_LOG_SD), changes)
        return ratio, changes[0, 0]

    (plain, at), (with_move, then) = split(even), split(moved)
    assert plain == pytest.approx(0.0, abs=1e-9)
    assert with_move > 0.2
    assert at == then == pytest.approx(0.5, abs=0.02)
