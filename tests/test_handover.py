"""Where a silence hides a departure and the next arrival, orders tell when one visit gave way to another."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geofence.events import ServiceTime
from geofence.fences import Fence
from geofence.routes import Order, Route, Stop
from tests.playing import essence
from tests.tracks import START_MS, Drawn, batch, circle, engine_of, final, visits

A, B = circle("a", 2000), circle("b", 2300)


def route(boxes_a: int | None, boxes_b: int | None) -> Route:
    orders = [None if n is None else Order(boxes=n) for n in (boxes_a, boxes_b)]
    stops = [Stop(f"s{n}", c, n, None, o) for n, (c, o) in enumerate(zip("ab", orders, strict=True), 1)]
    return Route("r", "d", START_MS, tuple(stops))


def handed_over(seen_a_s: float = 60, silent_s: float = 300, seen_b_s: float = 60) -> Drawn:
    """The phone sleeps while the van stands at a, and wakes up when it stands at b."""
    track = Drawn(noise_m=2.0).drive(2000).stand(seen_a_s).silent(silent_s, at=(2300.0, 0.0))
    return track.stand(seen_b_s).drive(4000)


def both(track: Drawn, boxes_a: int | None, boxes_b: int | None) -> list[ServiceTime]:
    found = visits(track, [A, B], [route(boxes_a, boxes_b)])
    assert [r.customer_id for r in found] == ["a", "b"]
    return found


def test_the_larger_order_has_the_larger_part_of_a_silence():
    few, same, many = (both(handed_over(), *boxes) for boxes in ((1, 30), (10, 10), (30, 1)))
    assert few[0].service_time_s + 60 < same[0].service_time_s < many[0].service_time_s - 60
    assert same[0].service_time_s == pytest.approx(same[1].service_time_s, abs=10)
    assert both(handed_over(), None, None)[0].service_time_s == pytest.approx(same[0].service_time_s, abs=10)


def test_what_was_seen_of_each_is_not_doubted():
    a, b = both(handed_over(seen_a_s=200, seen_b_s=20), 1, 30)
    assert a.service_time_s >= 199
    assert a.departed_between_ms == b.arrived_between_ms
    assert a.departed_between_ms[0] <= a.departed_ms < b.arrived_ms <= a.departed_between_ms[1]


def test_a_short_silence_is_halved():
    for boxes in ((1, 30), (30, 1)):
        a, b = both(handed_over(silent_s=28), *boxes)
        middle_ms = sum(a.departed_between_ms) / 2
        assert (a.departed_ms + b.arrived_ms) / 2 == pytest.approx(middle_ms, abs=5000)


def torn(far_m: float, first_s: float, then_s: float, every_s: float = 20.0, seed: int = 0) -> Drawn:
    """Two silences between two customers, and a few noisy fixes of a short drive between those."""
    track = Drawn(every_s=every_s, noise_m=15.0, seed=seed).drive(2000).stand(120)
    track.silent(first_s, at=(2000 + 0.35 * far_m, 20.0)).drive(2120 + 0.35 * far_m, 20.0, mps=7)
    return track.silent(then_s, at=(2000 + far_m, 0.0)).stand(120).drive(4000)


def torn_visits(far_m: float, first_s: float, then_s: float, **how: float) -> list[ServiceTime]:
    return visits(torn(far_m, first_s, then_s, **how), [A, circle("b", 2000 + far_m)], [route(10, 10)])


def test_no_vehicle_stands_twice_at_once():
    a, b = torn_visits(80, 250, 250, seed=17)
    assert a.departed_ms <= b.arrived_ms
    assert a.service_time_s + b.service_time_s > 500


@given(
    st.integers(40, 160), st.integers(50, 300), st.integers(50, 300), st.integers(6, 40), st.integers(0, 99)
)
@settings(max_examples=150)
def test_visits_follow_one_another_and_keep_within_their_bounds(far_m, first_s, then_s, every_s, seed):
    found = torn_visits(far_m, first_s, then_s, every_s=every_s, seed=seed)
    apart = [r for r in found if not r.shared_with]
    for r, after in pairwise(apart):
        assert r.departed_ms <= after.arrived_ms
    for r in found:
        assert r.arrived_between_ms[0] <= r.arrived_ms <= r.arrived_between_ms[1]
        assert r.departed_between_ms[0] <= r.departed_ms <= r.departed_between_ms[1]


def assert_the_same_however_the_pings_came(track: Drawn, fences: list[Fence], way: Route) -> None:
    whole, engine = engine_of(fences, [way]), engine_of(fences, [way])
    at_once = [*whole.feed(batch(track.pings)), *whole.settle()]
    told = [o for ping in track.pings for o in engine.feed(batch([ping]))] + engine.settle()
    assert essence(final(told)) == essence(final(at_once))


@given(
    st.integers(1, 40), st.integers(1, 40), st.integers(20, 300), st.integers(40, 900), st.integers(20, 300)
)
@settings(max_examples=40)
def test_it_is_the_same_however_the_pings_came(boxes_a, boxes_b, seen_a_s, silent_s, seen_b_s):
    track, way = handed_over(seen_a_s, silent_s, seen_b_s), route(boxes_a, boxes_b)
    assert_the_same_however_the_pings_came(track, [A, B], way)


@given(st.integers(40, 160), st.integers(50, 300), st.integers(50, 300), st.integers(0, 99))
@settings(max_examples=60)
def test_so_it_is_where_a_silence_is_torn(far_m, first_s, then_s, seed):
    track = torn(far_m, first_s, then_s, seed=seed)
    assert_the_same_however_the_pings_came(track, [A, circle("b", 2000 + far_m)], route(30, 1))
