"""Reported speeds that are believed, and those that the way gone speaks against."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geofence.speeds import BACK_MOST_S, believe
from tests.tracks import Drawn, circle, visits

A, B = circle("a", 2000), circle("b", 8000)


def believed(t, x, speeds, noise_m=4.0, begins=(0,)):
    """Speeds as they are believed, worked out in parts that begin at these fixes."""
    n = len(t)
    doubts, found = np.zeros((2, n)), np.empty(n)
    columns = [np.asarray(c, dtype=float) for c in (t, x, np.zeros(n), np.full(n, noise_m), speeds)]
    for begin, end in zip(begins, (*begins[1:], n), strict=True):
        first = int(np.searchsorted(columns[0], columns[0][max(begin - 1, 0)] - BACK_MOST_S))
        part = slice(first, end)
        believe(*(c[part] for c in columns), doubts[0, part], doubts[1, part], found[part], begin - first)
    return found


def track(every_s=5.0, mps=10.0, stands_s=300.0, times=4):
    """Seconds, metres and true speed of a van that drives a minute and stands, again and again."""
    t = np.arange(0.0, times * (60.0 + stands_s), every_s)
    into = t % (60.0 + stands_s)
    moving = into < 60.0
    return t, mps * (60.0 * (t // (60.0 + stands_s)) + np.minimum(into, 60.0)), np.where(moving, mps, 0.0)


@pytest.mark.parametrize("every_s", [1.0, 5.0, 20.0, 60.0])
def test_right_speeds_are_believed_always(every_s):
    t, x, speeds = track(every_s)
    noisy = x + np.random.default_rng(0).normal(0, 4.0, len(x))
    assert np.array_equal(believed(t, noisy, speeds), speeds)


def test_no_speed_stays_none():
    t, x, _ = track()
    assert np.all(np.isnan(believed(t, x, np.full(len(t), np.nan))))


@pytest.mark.parametrize("every_s", [1.0, 5.0, 15.0])
def test_a_phone_that_drives_off_without_speed_is_not_believed_any_more(every_s):
    t, x, _ = track(every_s)
    found = believed(t, x, np.zeros(len(t)))
    assert np.all(np.isnan(found[t > 70]))


def test_it_is_believed_again_when_it_tells_right_speeds():
    t, x, speeds = track(times=8)
    found = believed(t, x, np.where(t < 1000, 0.0, speeds))
    assert np.all(np.isnan(found[(t > 70) & (t < 1000)]))
    assert np.array_equal(found[t > 1600], speeds[t > 1600])


def test_speeds_reckoned_from_noise_are_not_believed_once_the_van_has_stood_for_minutes():
    t, x, _ = track(every_s=2.0)
    noisy = x + np.random.default_rng(1).normal(0, 4.0, len(x))
    found = believed(t, noisy, np.abs(np.gradient(noisy, t)))
    assert np.mean(np.isnan(found[t > 360])) > 0.95


def test_a_phone_that_tells_walks_to_and_fro_and_is_silent_when_still_stays_believed():
    """The speeds told before and after a silence were not kept up through it."""
    t, x, speeds = [], [], []
    for visit in range(12):
        begin, at = 400.0 * visit, 600.0 * visit
        ways = [(5.0 * k, at - 600 + 50 * k, 10.0) for k in range(12)]
        for out in range(3):
            ways += [(70.0 + 110 * out + 5 * k, at + 6 * k, 1.3) for k in range(4)]
            ways += [(135.0 + 110 * out + 5 * k, at + 18 - 6 * k, 1.3) for k in range(4)]
        t += [begin + seconds for seconds, _, _ in ways]
        x += [where for _, where, _ in ways]
        speeds += [mps for _, _, mps in ways]
    assert np.array_equal(believed(t, x, speeds), speeds)


def test_positions_thrown_off_while_standing_cast_no_doubt_on_speeds():
    t, x, speeds = track()
    x = x + np.where(np.arange(len(x)) % 7 == 0, 80.0, 0.0)
    assert np.array_equal(believed(t, x, speeds), speeds)


@given(st.integers(0, 1000), st.sets(st.integers(1, 200), max_size=5))
def test_what_is_believed_does_not_depend_on_the_parts_it_is_worked_out_in(seed, cuts):
    random = np.random.default_rng(seed)
    t = np.cumsum(random.choice([1.0, 3.0, 10.0, 40.0], 201))
    x = np.cumsum(random.choice([0.0, 30.0, 200.0], 201))
    speeds = random.choice([0.0, 0.0, 1.0, 8.0, np.nan], 201)
    whole = believed(t, x, speeds)
    assert np.array_equal(believed(t, x, speeds, begins=(0, *sorted(cuts))), whole, equal_nan=True)


@pytest.mark.parametrize("noise_m", [0.0, 5.0])
def test_visits_are_found_though_the_phone_always_reports_to_stand(noise_m):
    drawn = Drawn(noise_m=noise_m, accuracy_m=5.0).stand(60).drive(2000).stand(200)
    drawn = drawn.drive(8000).stand(300).drive(12000)
    pings = [replace(p, speed_mps=0.0) for p in drawn.pings]
    assert [v.customer_id for v in visits(pings, [A, B])] == ["a", "b"]
    for visit, seconds in zip(visits(pings, [A, B]), (200, 300), strict=True):
        assert visit.service_time_s == pytest.approx(seconds, abs=15)
