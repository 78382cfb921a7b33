"""Whether a van was moved within a stand: only where the driver comes back to another place than he left."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geofence.moving import LEAST_M, _find_away, first_move
from geofence.rows import PLACE_S
from tests.tracks import wandering

EACH_S = 5.0


def moved_after(places, noise_m=2.0, speed_mps=np.nan, each_s=EACH_S, seed=0):
    """The last row before the first move of rows at these places east (m), or the last of all."""
    n = len(places)
    return first_move(each_s * np.arange(n), *wandering(places, noise_m, speed_mps, seed), 0, n - 1)


def test_two_places_far_apart_beside_the_noise_are_a_move():
    assert moved_after([0] * 20 + [30] * 20) == 19
    assert moved_after([0] * 20 + [3] * 20) == 39


def test_the_first_of_several_moves_is_found():
    assert moved_after([0] * 20 + [35] * 20 + [80] * 20) == 19


@pytest.mark.parametrize("seed", range(5))
def test_short_moves_along_a_street_are_seen_by_where_they_lead_together(seed):
    places = np.repeat(15 * np.arange(8), 24)
    assert moved_after(places, noise_m=8.0, seed=seed) < len(places) - 1


def test_the_noisier_the_fixes_the_further_a_move_must_lead():
    least = [
        min(away for away in range(5, 80) if moved_after([0] * 20 + [away] * 20, noise_m) == 19)
        for noise_m in (2.0, 5.0, 10.0)
    ]
    assert least == sorted(set(least))


@pytest.mark.parametrize("door_m", [15, 30, 50])
@pytest.mark.parametrize("at_door", [2, 20])
def test_a_walk_to_a_door_and_back_is_no_move(door_m, at_door):
    way = list(range(0, door_m, 6))
    places = [0] * 6 + way + [door_m] * at_door + way[::-1] + [0] * 6
    assert moved_after(places) == len(places) - 1


def test_several_doors_from_one_van_are_no_move():
    places = (
        [0] * 6 + [10, 20] + [25] * 15 + [15, 5] + [0] * 6 + [-10, -20] + [-28] * 15 + [-15, -5] + [0] * 6
    )
    assert moved_after(places) == len(places) - 1


def test_standing_but_briefly_tells_less():
    assert moved_after([0] * 20 + [15] * 20) == 19
    assert moved_after([0] * 20 + [15] * 2) == 21


def test_speeds_that_show_no_drive_speak_against_a_move():
    places = [0] * 20 + [45] * 20
    assert moved_after(places) == 19
    assert moved_after(places, speed_mps=0.0) == 39
    told = np.where(abs(np.arange(40) - 20) < 2, 6.0, 0.0)
    assert moved_after(places, speed_mps=told) == 19


def test_a_long_silence_may_hide_the_drive():
    assert moved_after([0] * 4 + [45] * 4, speed_mps=0.0, each_s=40.0) == 3


@given(
    st.lists(st.tuples(st.floats(0.5, 40.0), st.floats(-60, 60), st.floats(-60, 60)), min_size=2, max_size=30)
)
def test_places_about_each_step_are_those_looked_up_one_by_one(rows):
    t, x, y = np.cumsum([r[0] for r in rows]), np.array([r[1] for r in rows]), np.array([r[2] for r in rows])
    found = np.empty(len(t))
    _find_away(t, x, y, 0, len(t) - 1, found)
    for k in range(len(t) - 1):
        before = (t[k] - t <= PLACE_S) & (t <= t[k])
        after = (t >= t[k + 1]) & (t - t[k + 1] <= PLACE_S)
        away = np.hypot(x[after].mean() - x[before].mean(), y[after].mean() - y[before].mean())
        assert found[k] == pytest.approx(away, abs=1e-6)


@given(st.integers(0, 10**6), st.floats(1.0, LEAST_M / 2))
def test_noise_alone_is_no_move(seed, noise_m):
    assert moved_after([0] * 60, noise_m, seed=seed) == 59
