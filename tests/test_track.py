"""A day's pings in the order of their own time, and decoding them in steps or at once."""

import gc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geofence.rules import Rules
from geofence.speeds import BACK_MOST_S
from geofence.track import Decoded, Track
from tests.tracks import Drawn

RULES = Rules()
few = st.integers(0, 4)
rows = st.lists(
    st.tuples(
        st.integers(0, 12), few, few, st.sampled_from([5.0, 9.0, np.nan]), st.sampled_from([0.0, np.nan])
    ),
    max_size=30,
)


def matrix(found) -> np.ndarray:
    return np.array(found, dtype=np.float64).reshape(-1, 5)


def as_set(found: np.ndarray) -> set[tuple[float | None, ...]]:
    return {tuple(None if np.isnan(v) else v for v in row) for row in found.tolist()}


@given(st.lists(rows, max_size=6), st.randoms())
def test_a_track_is_the_sorted_set_of_its_pings_however_they_came(parts, random):
    track, again = Track(), Track()
    duplicates = sum(track.append(matrix(part))[0] for part in parts)
    everything = [row for part in parts for row in part]
    random.shuffle(everything)
    for row in everything:
        again.append(matrix([row]))
    assert np.array_equal(track.matrix(), again.matrix(), equal_nan=True)
    assert as_set(track.matrix()) == as_set(matrix(everything))
    assert len(track) == len(as_set(matrix(everything)))
    assert duplicates == len(everything) - len(track)
    assert (np.diff(track.matrix()[:, 0]) >= 0).all()


@given(rows, rows)
def test_the_first_new_row_is_the_first_that_differs(before, added):
    track = Track()
    track.append(matrix(before))
    old = track.matrix()
    _, first = track.append(matrix(added))
    if first is None:
        assert np.array_equal(track.matrix(), old, equal_nan=True)
    else:
        assert np.array_equal(track.matrix(0, first), old[:first], equal_nan=True)
        assert as_set(track.matrix(first, first + 1)).isdisjoint(as_set(old))


def test_a_track_grows_though_a_view_of_it_waits_to_be_collected():
    track = Track()
    track.append(matrix([(1, 0, 0, 5.0, 0.0)]))
    gc.disable()
    try:
        cycle = [np.frombuffer(track.rows)]
        cycle.append(cycle)
        with pytest.raises(BufferError):
            track.rows.append(0.0)
        del cycle
        track.append(matrix([(2, 0, 0, 5.0, 0.0)]))
        cycle = [np.frombuffer(track.rows)]
        cycle.append(cycle)
        del cycle
        track.append(matrix([(0, 0, 0, 5.0, 0.0)]))
    finally:
        gc.enable()
    assert track.matrix()[:, 0].tolist() == [0, 1, 2]


@given(rows, st.integers(-1, 13))
def test_row_after_counts_the_rows_up_to_a_time(found, ts_ms):
    track = Track()
    track.append(matrix(found))
    assert track.row_after(ts_ms) == int((track.matrix()[:, 0] <= ts_ms).sum())


def wild(seed: int) -> Track:
    """Driving and standing with noise, repeats, spikes, nulls, bad accuracies and silences."""
    r = np.random.default_rng(seed)
    n, spacing = int(r.integers(5, 250)), r.choice([1, 5, 20, 45])
    t = np.cumsum(np.maximum(1, np.round(r.exponential(spacing, n))))
    if r.random() < 0.3:
        t = np.arange(n) * spacing
    going = np.cumsum(r.random(n) < 0.05) % 2
    x = np.cumsum(going * r.uniform(3, 14) * np.diff(t, prepend=t[0]))
    noise = r.choice([0.0, 0.5, 4.0, 12.0])
    x, y = x + r.normal(0, 1, n) * noise, r.normal(0, 1, n) * noise
    for i in np.flatnonzero(r.random(n) < 0.15)[1:]:
        x[i], y[i] = x[i - 1], y[i - 1]
    x += np.where(r.random(n) < 0.03, r.normal(0, 800, n), 0)
    accuracy = np.where(r.random(n) < 0.02, 3000.0, 5.0) if r.random() < 0.5 else np.full(n, np.nan)
    speed = going * 8.0 if r.random() < 0.3 else np.full(n, np.nan)
    found = np.column_stack([1.7e12 + 1000 * t, 50 + y / 111195, 8 + x / 71475, accuracy, speed])
    found[r.random(n) < 0.02, 1:3] = 0.0
    track = Track()
    track.append(found)
    return track


def decoded(track: Track, ends) -> list[Decoded]:
    """The same decoding as it stands after each step."""
    steps = []
    d = Decoded()
    for end in ends:
        if end > d.rows_read:
            d.extend(track, end, RULES)
            steps.append((d.final, *(c.copy() for c in (d.t, d.x, d.state, d.kind, d.noise_m, d.row))))
    return steps


@given(st.integers(0, 10**6), st.lists(st.integers(1, 250), max_size=60))
@settings(max_examples=150)
def test_what_is_final_after_any_steps_is_what_decoding_at_once_gives(seed, ends):
    track = wild(seed)
    n = len(track)
    ((_, *whole),) = decoded(track, [n])
    for final, *columns in decoded(track, sorted({min(e, n) for e in ends} | {n})):
        for column, expected in zip(columns, whole, strict=True):
            assert np.array_equal(column[:final], expected[:final])


@given(st.integers(0, 10**6), st.integers(10, 200))
@settings(max_examples=60)
def test_forgetting_final_fixes_changes_nothing_later(seed, cut):
    track = wild(seed)
    whole, short = Decoded(), Decoded()
    middle = min(cut, len(track))
    for d in (whole, short):
        d.extend(track, middle, RULES)
    since_s = short.t[short.final - 1] - BACK_MOST_S if short.final else 0.0
    dropped = short.forget_before(max(int(np.searchsorted(short.t, since_s)) - 1, 0))
    for d in (whole, short):
        if len(track) > middle:
            d.extend(track, len(track), RULES)
    assert np.array_equal(whole.t[dropped:], short.t)
    assert np.array_equal(whole.state[dropped:], short.state)
    assert whole.final == short.final + dropped


def test_the_plane_lies_about_the_middle_one_of_the_first_three_fixes():
    pings = Drawn().glitch(500_000, 0).stand(60).pings
    track, d = Track(), Decoded()
    track.append(np.array([[p.ts_ms, p.lat, p.lon, np.nan, np.nan] for p in pings]))
    d.extend(track, len(track), RULES)
    assert (d.plane.lat, d.plane.lon) == (50.0, 8.0)
