"""Standing or driving."""

from itertools import pairwise, product

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from geofence import motion
from geofence.motion import DRIVE, HIDDEN_MOVE, HIDDEN_STOP, STAND

NAN = float("nan")


def decode(fixes, speed_mps=NAN, start=-1):
    """States and kinds of (second, east) fixes with 3 m of noise."""
    t, x = (np.array([f[n] for f in fixes], dtype=float) for n in (0, 1))
    speed = np.array([f[2] if len(f) > 2 else speed_mps for f in fixes], dtype=float)
    states, kinds, final = motion.decode(t, x, np.zeros(len(t)), np.full(len(t), 3.0), speed, start, len(t))
    return states.tolist(), kinds.tolist(), final


def path(*legs: tuple[int, float]) -> list[tuple[int, float]]:
    """A fix every five seconds along legs of (fixes, metres a second)."""
    found = [(0, 0.0)]
    for count, mps in legs:
        for _ in range(count):
            found.append((found[-1][0] + 5, found[-1][1] + 5 * mps))
    return found


def test_driving_standing_and_driving_are_told_apart():
    states, _, _ = decode(path((10, 10), (20, 0), (10, 10)))
    assert states == [DRIVE] * 10 + [STAND] * 21 + [DRIVE] * 10


def test_walking_to_a_door_and_back_is_standing():
    states, _, _ = decode(path((10, 10), (6, 0), (5, 1), (6, 0), (5, -1), (6, 0), (10, 10)))
    assert states[10:39] == [STAND] * 29


def test_slow_traffic_is_not_standing():
    states, _, _ = decode(path((10, 8), (10, 3), (10, 8)))
    assert STAND not in states


def test_reported_speed_decides_where_positions_wander():
    wandering = [(5 * n, 12.0 * (n % 2), 0.0) for n in range(30)]
    assert set(decode(wandering)[0]) == {STAND}


def test_a_slow_search_is_no_standing_where_speed_is_reported():
    rng = np.random.default_rng(7)
    told = [(2 * n, 4.4 * n % 40 + rng.normal(0, 4), 2.3) for n in range(40)]
    assert set(decode(told)[0]) == {DRIVE}
    on_foot = [(2 * n, min(2.6 * n, 26.0) + rng.normal(0, 3), 1.3 if n < 10 else 0.1) for n in range(40)]
    assert set(decode(on_foot)[0]) == {STAND}


def test_a_driving_van_goes_as_fast_as_its_phone_says():
    assert motion.drive_mps(NAN, 3.0, 2.0) == motion.drive_mps(3.0, NAN, 2.0) == motion.DRIVE_MPS
    short, long = motion.drive_mps(2.0, 3.0, 1.0), motion.drive_mps(2.0, 3.0, 60.0)
    assert 3.0 < short < 3.5
    assert motion.DRIVE_MPS - 0.1 < long < motion.DRIVE_MPS


def test_a_drive_shows_though_each_step_is_shorter_than_the_noise():
    t = np.arange(0.0, 240.0, 2.0)
    east = 8.0 * (np.minimum(t, 60.0) + np.maximum(t - 180.0, 0.0)) + 6.0 * np.sin(0.7 * t)
    states, _, _ = motion.decode(
        t, east, np.zeros(len(t)), np.full(len(t), 10.0), np.full(len(t), NAN), -1, len(t)
    )
    drives = np.flatnonzero(states == DRIVE)
    assert set(t[drives]) >= {*range(0, 54, 2), *range(188, 240, 2)}
    assert not set(t[drives]) & {*range(68, 174, 2)}


def test_known_fixes_before_are_what_steps_are_looked_at_from():
    t = np.arange(0.0, 200.0, 2.0)
    east = 8.0 * np.maximum(t - 100.0, 0.0) + 5.0 * np.sin(t)
    columns = (t, east, np.zeros(len(t)), np.full(len(t), 9.0), np.full(len(t), NAN))
    whole = motion.decode(*columns, STAND, len(t))
    for begin in (20, 45, 60):
        part = motion.decode(*columns, whole[0][begin], len(t), begin)
        assert part[0][begin:].tolist() == whole[0][begin:].tolist()


def test_a_fix_thrown_off_by_a_reflection_does_not_end_a_stand():
    standing = [(5 * n, 3.0 * (n % 2)) for n in range(30)]
    standing[15] = (75, 22.0)
    assert set(decode(standing)[0]) == {STAND}
    assert DRIVE in decode([*standing[:15], (75, 90.0), *standing[16:]])[0]


def test_a_long_way_in_a_long_silence_hides_a_stop():
    states, kinds, _ = decode([*path((10, 10)), (950, 1500), (955, 1550), (960, 1600), (965, 1650)])
    assert STAND not in states
    assert kinds[11] == HIDDEN_STOP


def test_a_change_of_place_in_a_long_silence_hides_a_move():
    standing = [(5 * n, 0.0) for n in range(20)]
    elsewhere = [(700 + 5 * n, 900.0) for n in range(20)]
    states, kinds, _ = decode([*standing, *elsewhere])
    assert set(states) == {STAND}
    assert kinds[20] == HIDDEN_MOVE


def best_path(fixes) -> float:
    """Score of the best states, by trying all of them."""
    return max(score(fixes, states) for states in product((DRIVE, STAND), repeat=len(fixes)))


def score(fixes, states) -> float:
    t, total = np.array([float(f[0]) for f in fixes]), 0.0
    for n, state in enumerate(states):
        stand, drive = motion.speed_scores(NAN)
        total += stand if state == STAND else drive
        if n:
            a, b, _ = motion.base_of(t, np.full(len(t), 3.0), n)
            base, share = t[b] - t[a], (t[n] - t[n - 1]) / (t[b] - t[a])
            d = abs(fixes[b][1] - fixes[a][1])
            ss, half, dd, move, stop = motion.step_scores(d, base, 18**0.5, motion.DRIVE_MPS, share)
            both = {(STAND, STAND): max(ss, move), (DRIVE, DRIVE): max(dd, stop)}
            total += both.get((states[n - 1], state), half)
    return total


@given(st.lists(st.tuples(st.integers(1, 120), st.integers(0, 400)), min_size=2, max_size=8))
@settings(max_examples=60)
def test_no_other_states_explain_a_track_better(steps):
    fixes, t = [], 0
    for gap, east in steps:
        t += gap
        fixes.append((t, float(east)))
    assert score(fixes, decode(fixes)[0]) >= best_path(fixes) - 1e-6


@given(
    st.lists(st.tuples(st.integers(1, 60), st.integers(0, 200)), min_size=3, max_size=40), st.integers(1, 40)
)
@settings(max_examples=150)
def test_final_states_stay_whatever_follows(steps, at):
    t = np.cumsum([gap for gap, _ in steps])
    fixes = list(zip(t.tolist(), [float(e) for _, e in steps], strict=True))
    head, _, final = decode(fixes[:at])
    assert head[:final] == decode(fixes)[0][:final]


def test_the_start_holds_when_decoding_goes_on_from_a_known_state():
    standing = [(5 * n, 0.0) for n in range(10)]
    assert decode(standing, start=STAND)[0] == [STAND] * 10
    assert decode(standing, start=DRIVE)[0][0] == DRIVE


def test_longer_steps_speak_for_driving():
    ratios = [motion.step_scores(float(d), 5.0, 3.0) for d in range(0, 20, 4)]
    leaning = [drive - stand for stand, _, drive, _, _ in ratios]
    assert all(a <= b for a, b in pairwise(leaning))
