"""The time of one standing divided among its customers, with a place of work learned for each."""

from itertools import product
from math import exp

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geofence import dividing
from geofence.dividing import divide, place, spread
from geofence.groups import Near
from geofence.hypotheses import GROUP_COLUMNS, M_CANDIDATE, MEMBER_COLUMNS, Groups
from geofence.walk import (
    LENGTH_LOG_SD,
    MOMENTS,
    Looks,
    Walk,
    by_need,
    looks_of,
    one_by_one,
    turns_of,
    weigh_door,
)

NOISE_M = 4.0
EVEN = np.array([1.0, 1.0])
DOORS = ((-15.0, 15.0), (15.0, 15.0))


def noise(n, r, seed, sd_m=NOISE_M):
    """An autoregressive series about 0 (fixes, 2)."""
    drawn = np.random.default_rng(seed).normal(0.0, sd_m, (n, 2))
    for k in range(1, n):
        drawn[k] = r * drawn[k - 1] + (1 - r * r) ** 0.5 * drawn[k]
    return drawn


def walk_at(at, each_s=5.0, noise_m=NOISE_M):
    """The walk of a van that stands at (0, 0) with fixes at these places (fixes, 2), in metres."""
    at, t = np.asarray(at, dtype=float), each_s * np.arange(len(at))
    x, y = np.ascontiguousarray(at[:, 0]), np.ascontiguousarray(at[:, 1])
    return Walk(t, x, y, (0.0, 0.0), noise_m, t[0], t[-1], each_s)


def served(places, numbers, r=0.0, seed=1):
    """Fixes at places, each for that number of them."""
    at = np.repeat(np.asarray(places, dtype=float), numbers, axis=0)
    return walk_at(at + noise(len(at), r, seed))


def near(doors, spread_m=0.0):
    real = np.array([(x, y, spread_m, 60.0) for x, y in doors])
    return Near(real, np.zeros((len(real), 4), np.int64), np.empty(0, np.int64), np.empty(0))


def together(count):
    members = np.zeros((count, MEMBER_COLUMNS), np.int64)
    members[:, M_CANDIDATE] = np.arange(count)
    whole = np.array([[1, count, 0]], np.int64)
    return Groups(np.zeros((1, GROUP_COLUMNS)), whole, members, np.empty(0, np.int64))


def by_doors(walk, doors, needs):
    """The changes as they are told by the published doors."""
    looks, gains, changes = looks_of(walk), [], np.zeros((len(doors), 3))
    for x, y in doors:
        summed = np.empty(MOMENTS)
        weigh_door(walk, looks, x, y, 0.0, np.empty(len(walk.t)), summed)
        gains.append(summed)
    share = needs / needs.sum()
    one_by_one(np.array(gains), turns_of(walk, looks), share, np.full(len(doors), LENGTH_LOG_SD), changes)
    return changes


def divided(walk, doors=DOORS, needs=EVEN, rests=-1):
    """The changes before, and told anew: (members - 1, 3) each."""
    before = by_doors(walk, doors, needs)
    after = np.array([before])
    divide(together(len(doors)), np.array([0]), needs, near(doors), walk, np.array([rests]), after)
    return before[:-1], after[0, :-1]


def test_a_change_is_found_where_the_driver_went_on_though_the_doors_are_published_wrong():
    places = ((-15.0 + 11.0, 15.0 + 6.0), (15.0 + 11.0, 15.0 + 6.0))
    off, width = [], []
    for first, seed in product((20, 40, 60), range(8)):
        before, after = divided(served(places, (first, 100 - first), seed=seed))
        true = first / 100
        off.append((abs(before[0, 0] - true), abs(after[0, 0] - true)))
        width.append((before[0, 2] - before[0, 1], after[0, 2] - after[0, 1]))
        assert after[0, 1] <= true <= after[0, 2]
    assert np.mean(off, axis=0)[1] < 0.5 * np.mean(off, axis=0)[0]
    assert np.max(off, axis=0)[1] < 0.06
    assert np.mean(width, axis=0)[1] < np.mean(width, axis=0)[0]


def test_three_customers_have_two_changes():
    doors = ((-25.0, 15.0), (0.0, 22.0), (25.0, 15.0))
    _, after = divided(served(doors, (20, 60, 40)), doors, np.ones(3))
    assert after[:, 0] == pytest.approx([20 / 120, 80 / 120], abs=0.04)


def test_one_far_fix_does_not_draw_a_place():
    walk = served([DOORS[0]], [40])
    thrown = walk._replace(x=np.append(walk.x[:-1], 900.0))
    at = [place(w, looks_of(w), np.ones(40), near(DOORS).real[0], NOISE_M**2, 0, 40) for w in (walk, thrown)]
    assert at[0] == pytest.approx(DOORS[0], abs=2.0)
    assert at[1] == pytest.approx(at[0], abs=1.0)


def test_where_no_fix_tells_the_place_is_the_door():
    walk = served([(40.0, 40.0)], [40])
    looks = looks_of(walk)
    assert place(walk, looks, np.zeros(40), near(DOORS).real[0], NOISE_M**2, 0, 40) == DOORS[0]
    assert place(walk, looks, np.ones(40), near(DOORS).real[0], NOISE_M**2, 7, 7) == DOORS[0]


def test_a_door_known_badly_is_left_for_the_fixes():
    walk, gaps = served([(5.0, 15.0)], [40]), []
    for spread_m in (0.0, 30.0):
        door = near(DOORS, spread_m).real[0]
        at = place(walk, looks_of(walk), np.ones(40), door, NOISE_M**2, 0, 40)
        gaps.append(np.hypot(at[0] - 5.0, at[1] - 15.0))
    assert gaps[1] < gaps[0]


@pytest.mark.parametrize("r", [0.0, 0.5, 0.9])
def test_how_far_and_how_alike_fixes_stray_is_learned_from_a_standing(r):
    """Of the mean of such a series the textbook says how many independent looks it is worth."""
    n, sd_m, found = 100, 9.0, []
    for seed in range(30):
        walk = walk_at(noise(n, r, seed, sd_m))
        looks = Looks(np.ones(n), *looks_of(walk)[1:])
        found.append(spread(walk, looks, np.ones(n), np.zeros((1, 2)), np.zeros(n, np.int64), NOISE_M**2))
    assert np.mean(found, axis=0)[0] == pytest.approx(sd_m**2, rel=0.1)
    assert np.mean(found, axis=0)[1] == pytest.approx((1 - r) / (1 + r), rel=0.4)


def test_with_hardly_a_fix_they_stray_as_usual():
    walk = walk_at(np.zeros((2, 2)), each_s=30.0)
    variance, each = spread(
        walk, looks_of(walk), np.zeros(2), np.zeros((1, 2)), np.zeros(2, np.int64), NOISE_M**2
    )
    r = exp(-15.0 / dividing.ALIKE_S)
    assert variance == NOISE_M**2
    assert each == pytest.approx((1 - r) / (1 + r))


def test_a_drifting_position_tells_less_of_the_change():
    """Bounds are the wider the longer positions stray alike."""
    clear = [divided(served(DOORS, (30, 70), seed=s))[1][0] for s in range(8)]
    drifting = [divided(served(DOORS, (30, 70), r=0.97, seed=s))[1][0] for s in range(8)]
    assert np.mean([c[2] - c[1] for c in clear]) < np.mean([c[2] - c[1] for c in drifting])


@pytest.mark.parametrize("doors", [((0.0, 15.0),) * 2, DOORS])
def test_a_driver_who_stays_at_the_van_leaves_it_to_the_orders(doors):
    needs = np.array([1.0, 3.0])
    _, after = divided(served([(0.0, 0.0)], [80]), doors, needs)
    usual = np.zeros((2, 3))
    by_need(needs / needs.sum(), usual)
    assert after[0, 0] == pytest.approx(usual[0, 0], abs=0.03)


def test_what_holds_a_break_or_serves_one_customer_is_left_alone():
    walk = served(DOORS, (30, 70))
    before, after = divided(walk, rests=1)
    assert (after == before).all()
    _, alone = divided(walk, DOORS[:1], EVEN[:1])
    assert alone.shape == (0, 3)


def test_without_fixes_nothing_is_told():
    walk, none = served(DOORS, (30, 70)), np.empty(0)
    changes = np.array([[[0.4, 0.2, 0.6], [0.0, 0.0, 0.0]]])
    dark = walk._replace(t=none, x=none, y=none)
    divide(together(2), np.array([0]), EVEN, near(DOORS), dark, np.array([-1]), changes)
    assert changes[0, 0].tolist() == [0.4, 0.2, 0.6]


coordinate = st.floats(-120.0, 120.0)


@settings(deadline=None)
@given(
    fixes=st.lists(st.tuples(coordinate, coordinate), min_size=1, max_size=60),
    each_s=st.floats(1.0, 60.0),
    doors=st.lists(st.tuples(coordinate, coordinate), min_size=2, max_size=4),
    noise_m=st.floats(1.0, 40.0),
)
def test_changes_stay_in_order_and_do_not_depend_on_which_way_is_north(fixes, each_s, doors, noise_m):
    walk = walk_at(fixes, each_s, noise_m)._replace(end_s=each_s * len(fixes) + 3)
    needs = np.ones(len(doors))
    before, after = divided(walk, doors, needs)
    assert (after[:, 1] <= after[:, 0] + 1e-9).all()
    assert (after[:, 0] <= after[:, 2] + 1e-9).all()
    assert (np.diff(after[:, 0]) >= -1e-9).all()
    assert (after[:, [0, 1]] >= 0).all()
    assert (after[:, [0, 2]] <= 1).all()
    turned = walk._replace(x=-walk.y, y=walk.x)
    again = np.array([[*before, np.zeros(3)]])
    around = near([(-y, x) for x, y in doors])
    divide(together(len(doors)), np.array([0]), needs, around, turned, np.array([-1]), again)
    assert again[0, :-1] == pytest.approx(after, abs=1e-6)


def test_a_standing_of_hours_with_a_fix_a_second_is_no_trouble():
    at = np.repeat(np.asarray(DOORS) * 3, (9000, 3000), axis=0)
    _, after = divided(walk_at(at + noise(12_000, 0.0, 5), each_s=1.0))
    assert after[0, 0] == pytest.approx(0.75, abs=0.03)
