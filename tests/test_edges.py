"""The moment a vehicle came to stand, or left, and its bounds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geofence import edges
from geofence.edges import halt_time, way_m

NAN = float("nan")
CRUISE_MPS = 8.0


def braked(every_s: float, phase: float, brake_mps2: float, noise_m: float, seed: int):
    """A vehicle that comes from the west, stands from second 0 on; fixes with white noise."""
    t = np.arange(-60.0 + phase * every_s, 60.0, every_s)
    left = np.maximum(-t, 0.0)
    ramp_s = CRUISE_MPS / brake_mps2
    way = np.where(left < ramp_s, 0.5 * brake_mps2 * left**2, CRUISE_MPS * (left - 0.5 * ramp_s))
    r = np.random.default_rng(seed)
    return t, -way + r.normal(0, noise_m, len(t)), r.normal(0, noise_m, len(t))


def found(t, x, y, noise_m=2.0, speed=None):
    edge = int(np.searchsorted(t, 0.0))
    speed = np.full(len(t), NAN) if speed is None else speed
    noise = np.full(len(t), noise_m)
    return halt_time(t, x, y, noise, speed, edge, 0, len(t) - 1, 1.5 * noise_m, CRUISE_MPS, 0.0, 0.0, False)


many = given(
    st.sampled_from([1.0, 5.0, 15.0, 30.0]), st.floats(0, 0.99), st.floats(0.8, 2.2), st.integers(0, 10**6)
)


@many
@settings(max_examples=100)
def test_the_estimate_lies_within_its_bounds_and_these_hold_two_fixes(every_s, phase, brake, seed):
    t, x, y = braked(every_s, phase, brake, 2.0, seed)
    best, low, high = found(t, x, y)
    assert low <= best <= high
    assert high - low >= 0.99 * every_s


@pytest.mark.parametrize("every_s", [1.0, 5.0, 15.0, 30.0])
@pytest.mark.parametrize("noise_m", [1.0, 4.0])
def test_bounds_hold_the_truth_nearly_always_and_the_estimate_is_good(every_s, noise_m):
    r = np.random.default_rng(3)
    held, errors, widths = [], [], []
    for seed in range(200):
        best, low, high = found(
            *braked(every_s, float(r.random()), float(r.uniform(0.9, 2.0)), noise_m, seed), noise_m
        )
        held.append(low <= 0.0 <= high)
        errors.append(abs(best))
        widths.append(high - low)
    assert np.mean(held) >= 0.95
    assert np.mean(errors) <= 1.5 + 0.1 * every_s + 0.3 * noise_m
    assert np.median(widths) <= 4.0 + 1.2 * every_s + 2.0 * noise_m


@pytest.mark.parametrize(("told", "later_s"), [(0.0, 0.0), (NAN, 5.0)])
def test_a_first_fix_in_place_shows_a_stand_only_by_its_speed_or_with_the_next_one(told, later_s):
    t = np.arange(-60.0, 60.0, 5.0)
    x = np.minimum(t + 4.0, 0.0) * CRUISE_MPS
    speed = np.where(x < 0, CRUISE_MPS, told)
    best, _, high = found(t, x, np.zeros(len(t)), 0.5, speed)
    assert -5.0 <= best <= 0.0
    assert high == pytest.approx(later_s)


def test_leaving_is_arriving_with_time_turned_round():
    t, x, y = braked(5.0, 0.3, 1.5, 1.0, 1)
    best, low, high = found(t, x, y)
    n = len(t)
    back = [c[::-1].copy() for c in (-t, x, y)]
    edge = n - 1 - int(np.searchsorted(t, 0.0))
    flat = np.full(n, 2.0), np.full(n, NAN)
    turned = halt_time(*back, *flat, edge, n - 1, 0, 3.0, CRUISE_MPS, 0.0, 0.0, False)
    assert turned == pytest.approx((-best, -high, -low), abs=1e-6)


def test_a_reported_speed_tells_when_the_places_are_poor():
    t, x, y = braked(2.0, 0.5, 1.5, 8.0, 4)
    speed = np.clip(-1.5 * t, 0.0, CRUISE_MPS)
    blind, seeing = found(t, x, y, 8.0), found(t, x, y, 8.0, speed)
    assert seeing[2] - seeing[1] < blind[2] - blind[1]
    assert seeing[0] == pytest.approx(0.0, abs=2.0)


@pytest.mark.parametrize("every_s", [1.0, 4.0, 10.0, 45.0])
@pytest.mark.parametrize("speed_told", [True, False])
def test_looking_closely_at_every_moment_finds_the_same(every_s, speed_told):
    r = np.random.default_rng(8)
    for seed in range(40):
        t, x, y = braked(every_s, float(r.random()), float(r.uniform(0.5, 2.5)), 3.0, seed)
        speed = np.clip(-1.5 * t, 0.0, CRUISE_MPS) + r.normal(0, 0.3, len(t)) if speed_told else None
        assert found(t, x, y, 3.0, speed) == pytest.approx(brute(t, x, y, 3.0, speed), abs=0.3)


def brute(t, x, y, noise_m, speed):
    """`found`, by every moment there is and every way to brake."""
    edge, noise = int(np.searchsorted(t, 0.0)), np.full(len(t), noise_m)
    speed = np.full(len(t), NAN) if speed is None else speed
    w, _ = edges._window(t, x, y, noise, speed, edge, 0, len(t) - 1, 1)
    f = edges._known(w, 1.5 * noise_m)
    looked = []
    for m in range(1, w.shape[1]):
        place = edges._place(w, m)
        for k in range(w.shape[1]):
            edges._seen_from(w, f, k, *place, k >= m)
        gap = w[0, m] - w[0, m - 1]
        steps = min(edges.MOMENTS, max(1, round(gap / edges.MOMENT_S)))
        moments = w[0, m - 1] + gap * (np.arange(steps) + 0.5) / steps
        looked += [(at, gap / steps, edges._closely(w, f, m, at, 0.0, CRUISE_MPS)) for at in moments]
    low, best, high = edges._quantiles(*np.array(looked).T.copy())
    k = int(np.searchsorted(w[0], best))
    return best, min(low, w[0, k - 1]), max(high, edges._shown(w, k))


def test_the_way_before_a_halt_is_braked_last():
    assert way_m(0.0, 8.0, 1.2) == 0.0
    assert way_m(2.0, 8.0, 1.2) == pytest.approx(2.4)
    assert way_m(60.0, 8.0, 1.2) == pytest.approx(8.0 * (60.0 - 8.0 / 2.4))
