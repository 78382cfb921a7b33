"""Which fixes are believed."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from geofence import cleaning
from geofence.cleaning import GOOD, INACCURATE, SAME_TIME, SPIKE, STALE

NAN = float("nan")


def marks(fixes, accuracy_m=NAN, speed_mps=NAN, worst_m=150.0) -> list[int]:
    """Of (second, east) or (second, east, accuracy or speed)."""
    t, x = (np.array([f[n] for f in fixes], dtype=float) for n in (0, 1))
    accuracy = np.array([f[2] if len(f) > 2 else accuracy_m for f in fixes], dtype=float)
    speed = np.array([f[3] if len(f) > 3 else speed_mps for f in fixes], dtype=float)
    return cleaning.mark(t, x, np.zeros(len(t)), accuracy, speed, worst_m, -1)[0].tolist()


def test_a_spike_is_set_aside():
    fixes = [(0, 0), (5, 1), (10, 2), (15, 400), (20, 3), (25, 4)]
    assert marks(fixes) == [GOOD, GOOD, GOOD, SPIKE, GOOD, GOOD]


def test_a_few_fixes_astray_together_are_set_aside():
    fixes = [(0, 0), (5, 1), (10, 5000), (15, 5001), (20, 5002), (25, 3), (30, 4)]
    assert marks(fixes) == [GOOD, GOOD, SPIKE, SPIKE, SPIKE, GOOD, GOOD]


def test_many_fixes_that_agree_overrule_those_before():
    fixes = [(0, 0), (5, 1), *((10 + 5 * n, 5000 + n) for n in range(20))]
    assert SPIKE not in marks(fixes)


def test_driving_out_and_back_is_no_spike():
    fixes = [(10 * n, 100 * n) for n in range(20)] + [(200 + 10 * n, 1900 - 100 * n) for n in range(20)]
    assert set(marks(fixes)) == {GOOD}


def test_a_first_fix_out_of_reach_of_the_next_ones_is_set_aside():
    assert marks([(0, 9000), (5, 0), (10, 1), (15, 2), (20, 3)])[0] == SPIKE


def test_fixes_worse_than_allowed_are_set_aside():
    assert marks([(0, 0, 10), (5, 1, 151), (10, 2, 150)]) == [GOOD, INACCURATE, GOOD]


def test_of_fixes_for_one_time_the_most_accurate_is_kept():
    assert marks([(0, 0, 5), (5, 40, 50), (5, 1, 5), (10, 2, 5)]) == [GOOD, SAME_TIME, GOOD, GOOD]


def test_without_accuracy_the_one_nearest_to_the_fix_before_is_kept():
    assert marks([(0, 0), (5, 60), (5, 1), (10, 2)]) == [GOOD, SAME_TIME, GOOD, GOOD]


def test_a_position_repeated_at_speed_is_stale():
    fixes = [(0, 0, 5, 10), (5, 50, 5, 10), (10, 50, 5, 10), (15, 50, 5, 10), (20, 200, 5, 10)]
    assert marks(fixes) == [GOOD, GOOD, STALE, STALE, GOOD]


def test_a_position_repeated_while_standing_is_not_stale():
    assert set(marks([(5 * n, 50) for n in range(40)])) == {GOOD}


def test_noise_is_learned_from_the_calm_steps():
    r = np.random.default_rng(1)
    t = np.arange(600) * 5.0
    for noise in (2.0, 8.0):
        x, y = r.normal(0, noise, (2, 600))
        level = cleaning.jitter_m(t, x, y, 4.0, 0)[-1]
        assert 0.5 * noise < level < 2.0 * noise


def test_even_driving_is_no_noise():
    t = np.arange(600) * 5.0
    assert cleaning.jitter_m(t, 12.0 * t, 3.0 * t, 4.0, 0)[-1] == 0.8


@given(
    st.lists(st.tuples(st.integers(0, 70), st.sampled_from([0, 3, 30, 400, 9000])), min_size=1, max_size=40),
    st.integers(1, 40),
)
@settings(max_examples=300)
def test_fixes_that_are_sure_keep_their_marks_whatever_comes_later(found, at):
    t = np.cumsum([gap for gap, _ in found]).astype(float)
    x = np.array([place for _, place in found], dtype=float)
    y, unknown = np.zeros(len(t)), np.full(len(t), NAN)
    whole, _ = cleaning.mark(t, x, y, unknown, unknown, 150.0, -1)
    while 0 < at < len(t) and t[at] == t[at - 1]:
        at += 1
    head, sure = cleaning.mark(t[:at], x[:at], y[:at], unknown[:at], unknown[:at], 150.0, -1)
    assert head[:sure].tolist() == whole[:sure].tolist()
