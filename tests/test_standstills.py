"""Where and when a vehicle stood."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geofence.decoding import FLOATS, NOISE_M, SPEED_MPS, T, X, Y
from geofence.motion import HIDDEN_MOVE, HIDDEN_STOP, STAND
from geofence.parting import CLOSE_S, with_returns
from geofence.rules import Rules
from geofence.standstills import Standstill, find_runs, progress, to_standstill
from geofence.track import Decoded, Track
from geofence.unseen import BRAKE_MPS2, travel_s
from tests.tracks import START_MS, Drawn


def stands(drawn: Drawn) -> list[Standstill]:
    track, d = Track(), Decoded()
    nan = float("nan")
    track.append(
        np.array(
            [
                [p.ts_ms, p.lat, p.lon, p.accuracy_m or nan, nan if p.speed_mps is None else p.speed_mps]
                for p in drawn.pings
            ]
        )
    )
    d.extend(track, len(track), Rules())
    return [to_standstill(run, d.origin_ms) for run in d.runs(0, all_of_them=True)[0]]


def seconds(found: Standstill) -> tuple[float, float]:
    return (found.arrived_ms - START_MS) / 1000, (found.departed_ms - START_MS) / 1000


def longest(drawn: Drawn) -> Standstill:
    return max(stands(drawn), key=lambda s: s.departed_ms - s.arrived_ms)


def test_the_last_metres_are_braked_and_those_before_driven():
    assert travel_s(0.0, 8.0) == 0.0
    assert travel_s(8.0**2 / (2 * BRAKE_MPS2), 8.0) == pytest.approx(8.0 / BRAKE_MPS2)
    assert travel_s(8.0**2 / (2 * BRAKE_MPS2) + 80.0, 8.0) == pytest.approx(8.0 / BRAKE_MPS2 + 10.0)


@given(st.floats(0, 500), st.floats(0, 500), st.floats(4, 30))
def test_a_longer_way_takes_longer(a, b, mps):
    assert (travel_s(min(a, b), mps)) <= travel_s(max(a, b), mps)


@given(st.sampled_from([1.0, 5.0, 15.0]), st.integers(60, 900), st.integers(0, 5))
@settings(max_examples=25)
def test_a_stand_is_found_whatever_its_length_and_the_spacing(every_s, length, seed):
    track = Drawn(every_s=every_s, noise_m=2.0, seed=seed).stand(30).drive(2000)
    begin = track.now_s
    track.stand(length)
    end = track.now_s
    found = longest(track.drive(5000).stand(20))
    within_s = max(every_s, 12)  # a short step hardly tells braking, or noise, from a walk
    assert seconds(found) == (pytest.approx(begin, abs=within_s), pytest.approx(end, abs=within_s))
    assert found.park == pytest.approx((2000, 0), abs=15)
    assert found.arrived_between_ms[0] <= found.arrived_ms <= found.arrived_between_ms[1]
    assert found.departed_between_ms[0] <= found.departed_ms <= found.departed_between_ms[1]


def test_a_stop_between_two_fixes_is_hidden_and_as_long_as_the_way_leaves_time():
    track = Drawn(every_s=5).stand(20).drive(3000).silent(400, at=(3600, 0)).drive(7000).stand(20)
    (hidden,) = [s for s in stands(track) if s.hidden]
    assert hidden.pings == 0
    length = (hidden.departed_ms - hidden.arrived_ms) / 1000
    assert 250 < length < 400


def test_the_door_is_where_the_driver_was_away_from_the_van():
    track = Drawn(every_s=3, noise_m=1.0).stand(30).drive(2000).stand(20).walk(2005, 35, 200).stand(20)
    found = longest(track.drive(5000).stand(20))
    assert found.walked
    assert found.park == pytest.approx((2000, 0), abs=4)
    assert found.door == pytest.approx((2005, 35), abs=8)


def test_a_driver_who_stays_at_the_van_has_no_door():
    found = longest(Drawn(noise_m=2.0).stand(30).drive(2000).stand(200).drive(5000).stand(20))
    assert not found.walked


def test_only_the_end_of_the_data_is_open():
    found = stands(Drawn().stand(60).drive(2000).stand(200).drive(5000).stand(100))
    assert [s.open_ended for s in found] == [False] * (len(found) - 1) + [True]


def test_slow_driving_before_standing_is_a_search():
    searching = longest(Drawn(every_s=2).stand(30).drive(1900).drive(2000, mps=3).stand(200).drive(5000))
    straight = longest(Drawn(every_s=2).stand(30).drive(2000, mps=9).stand(200).drive(5000))
    assert searching.search_ms == pytest.approx(33_000, abs=8_000)
    assert straight.search_ms < 8_000


def test_a_brief_excursion_of_the_fixes_does_not_cut_a_stand():
    track = Drawn(every_s=4, noise_m=1.5).stand(30).drive(2000).stand(100)
    track.glitch(2012, 12).glitch(2014, 10).stand(100).drive(5000).stand(20)
    found = longest(track)
    assert (found.departed_ms - found.arrived_ms) / 1000 == pytest.approx(208, abs=12)


def test_a_van_moved_to_the_next_door_stands_twice():
    track = Drawn(every_s=3, noise_m=1.0).stand(30).drive(2000).stand(120).drive(2060).stand(120).drive(5000)
    assert len([s for s in stands(track) if 1990 < s.park[0] < 2070 and s.pings > 10]) == 2


def test_no_stand_is_left_on_a_short_way_that_takes_several_fixes():
    """The way to the next door shows in fixes of its own, each too near the last for a drive."""
    track = Drawn(every_s=5, noise_m=0.5).stand(30).drive(2000).stand(120)
    for east in (2013, 2026, 2039):
        track.at = (east, 0)
        track.stand(5)
    track.stand(120).drive(5000).stand(20)
    found = [s for s in stands(track) if 1980 < s.park[0] < 2060]
    assert [round(s.park[0], -1) for s in found] == [2000, 2040]


@pytest.mark.parametrize("back_mps", [1.5, 4.0])
def test_a_hurried_walk_or_a_van_moved_aside_that_ends_where_it_began_is_one_stand(back_mps):
    track = Drawn(every_s=5, noise_m=1.0).stand(30).drive(2000).stand(60).drive(2000, 18, mps=4.5).stand(30)
    found = longest(track.drive(2000, mps=back_mps).stand(60).drive(5000).stand(20))
    assert seconds(found)[0] == pytest.approx(235, abs=5)
    assert seconds(found)[1] >= 235 + 150


@pytest.mark.parametrize(("speed", "count"), [(True, 1), (False, 2)])
def test_positions_that_wander_off_for_good_are_no_move_where_no_speed_is_reported_with_it(speed, count):
    """From one fix to the next all lie 45 m further on, as behind a tall house; the speed stays none."""
    track = Drawn(every_s=6, noise_m=2.0, speed=speed).stand(30).drive(2000).stand(120)
    track.at = (2045, 0)
    track.stand(120).drive(5000)
    assert len([s for s in stands(track) if 1980 < s.park[0] < 2070 and s.pings > 10]) == count


def _end(floats, state, kind, begin):
    """Last row of the first standing from a row on (a hidden stop: its row); else the number of rows."""
    while begin < len(state) and state[begin] != STAND:
        if kind[begin] == HIDDEN_STOP and begin > 0 and state[begin - 1] != STAND:
            return begin
        begin += 1
    if begin == len(state):
        return begin
    end = begin
    while end + 1 < len(state) and state[end + 1] == STAND and kind[end + 1] != HIDDEN_MOVE:
        end += 1
    return with_returns(
        floats[T], floats[X], floats[Y], floats[NOISE_M], floats[SPEED_MPS], state, kind, begin, end
    )


@given(st.integers(0, 10**6), st.integers(1, 150))
@settings(max_examples=150)
def test_no_closed_standstill_is_overlooked_and_what_only_drove_is_passed(seed, begin):
    r = np.random.default_rng(seed)
    n = 150
    t = np.cumsum(r.choice([2.0, 20.0, 70.0], n))
    state = (np.cumsum(r.random(n) < 0.15) % 2).astype(np.uint8)
    kind = np.where(r.random(n) < 0.05, np.where(state == STAND, HIDDEN_MOVE, HIDDEN_STOP), 0).astype(
        np.uint8
    )
    floats = np.zeros((FLOATS, n))
    floats[T], floats[X], floats[NOISE_M] = t, np.cumsum((1 - state) * 30.0), 4.0
    floats[SPEED_MPS] = np.nan
    final = int(r.integers(0, n + 1))
    small = np.stack((state, kind))
    found, _ = find_runs(floats, small, n, begin, n, True)
    closed, ahead = progress(t, state, kind, begin, final)
    certain, next_begin = find_runs(floats, small, n, begin, final)
    assert closed or len(certain) == 0
    rest, _ = find_runs(floats, small, n, next_begin, n, True)
    assert np.array_equal(np.concatenate((certain, rest)), found)
    if next_begin < min(final, n):
        after = _end(floats, state, kind, next_begin) + 1
        assert after >= final or t[final - 1] < t[after] + CLOSE_S
    assert next_begin == progress(t, state, kind, next_begin, final)[1]
    assert begin <= ahead <= max(begin, final)
    assert not ((state == STAND) | (kind == HIDDEN_STOP))[begin:ahead].any()
