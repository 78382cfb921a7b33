"""A slow drive before or after standing is no part of it; a driver's walk is."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geofence.motion import DRIVE, STAND
from geofence.searching import standing_part
from tests.tracks import Drawn, circle, visits, wandering

EACH_S = 5.0


def standing(places, noise_m=3.0, speed_mps=np.nan, each_s=EACH_S, seed=0):
    """First and last row that stands of rows at these places east (m), and the states noted."""
    n = len(places)
    states = np.full(n, STAND, np.uint8)
    rows = wandering(places, noise_m, speed_mps, seed)
    found = standing_part(each_s * np.arange(n), *rows, states, 0, n - 1)
    return (*found, states)


def way(*corners, mps=2.6, each_s=EACH_S):
    """Places on the way from corner to corner, at a steady pace."""
    places = [float(corners[0])]
    for to in corners[1:]:
        steps = max(1, round(abs(to - places[-1]) / (mps * each_s)))
        places += np.linspace(places[-1], to, steps + 1)[1:].tolist()
    return places


def test_going_up_and_down_the_street_in_search_of_a_place_is_no_standing():
    search = way(0, 60, -50, 0)
    first, last, states = standing([*search, *[0.0] * 30])
    assert first == pytest.approx(len(search) - 1, abs=2)
    assert last == len(search) + 29
    assert (states[:first] == DRIVE).all()
    assert (states[first:] == STAND).all()


def test_creeping_off_afterwards_is_none_either():
    off = way(0, 70, -40, 30)
    first, last, states = standing([*[0.0] * 30, *off])
    assert first == 0
    assert last == pytest.approx(30, abs=2)
    assert (states[last + 1 :] == DRIVE).all()


def test_rows_that_only_creep_do_not_stand_at_all():
    creep = way(0, 60, -60, 60, 0)
    first, last, states = standing(creep)
    assert (first, last) == (len(creep), len(creep) - 1)
    assert (states == DRIVE).all()


@pytest.mark.parametrize("pace_mps", [1.0, 1.3, 1.6])
@pytest.mark.parametrize("door_m", [20, 40])
def test_a_driver_who_walks_at_once_stands_from_the_beginning(pace_mps, door_m):
    walk = way(0, door_m, 0, mps=pace_mps)
    places = [*walk, 0.0, *way(0, door_m, mps=pace_mps), *[float(door_m)] * 20, *way(door_m, 0, mps=pace_mps)]
    first, last, _ = standing(places)
    assert (first, last) == (0, len(places) - 1)


def test_reported_speeds_tell_a_search_from_rest_where_places_do_not():
    places, noise_m = way(0, 30, -25, 30, 0, mps=2.0), 9.0
    rows = [*places, *[0.0] * 30]
    without, _, _ = standing(rows, noise_m)
    told, _, _ = standing(rows, noise_m, [2.2] * len(places) + [0.0] * 30)
    assert without < told
    assert told == pytest.approx(len(places), abs=2)


@given(st.integers(0, 10**6), st.floats(2.0, 12.0), st.floats(2.0, 15.0))
@settings(max_examples=60)
def test_a_van_at_rest_stands_however_noisy_and_sparse_its_fixes(seed, noise_m, each_s):
    first, last, _ = standing([0.0] * 40, noise_m, each_s=each_s, seed=seed)
    assert (first, last) == (0, 39)


def test_the_search_is_told_as_such_and_service_begins_after_it():
    track = Drawn(every_s=4, noise_m=2.0).stand(30).drive(1000)
    for turn in (1060, 950, 1055, 960, 1000):
        track.drive(turn, mps=2.8)
    came_ms = track.now_ms
    track.stand(15).walk(1020, 15, 120).stand(15)
    (record,) = visits(track.drive(4000).stand(30).pings, [circle("a", 1010, 10)])
    assert record.arrived_ms == pytest.approx(came_ms, abs=12_000)
    assert record.service_time_s == pytest.approx(150, abs=15)
    assert record.parking_search_s > 60
