"""A break taken where customers were served is no part of their service."""

import numpy as np
import pytest

from geofence.assignment import Belief, Change, Decision
from geofence.clock import NEVER_MS
from geofence.groups import Target
from geofence.records import Writer
from geofence.resting import with_rest
from geofence.routes import Order, Route, Stop
from geofence.rules import Rules
from geofence.stays import Stay, Visit
from geofence.walk import MOMENTS, Turns
from tests.test_assignment import candidate, stand
from tests.tracks import START_MS, Drawn, circle, plan, visits

A, B, C = circle("a", 2000, 0), circle("b", 4000, 0), circle("c", 6000, 0)


def rested(usual_s, seconds):
    """Likelihood, customers before the break and changes in seconds, where no fix tells anything."""
    members = len(usual_s)
    nothing, best = np.zeros((members, MOMENTS)), np.empty((members, 3))
    likely, after = with_rest(
        nothing,
        Turns(np.zeros(MOMENTS), np.ones(MOMENTS), np.ones(MOMENTS)),
        np.array(usual_s, float),
        seconds,
        best,
    )
    return likely, after, best * seconds


def test_half_an_hour_is_likelier_with_a_break_in_it_than_far_shorter_or_longer():
    likely = {minutes: rested([150.0, 150.0], 60.0 * minutes)[0] for minutes in (11, 30, 300)}
    assert likely[30] > likely[11]
    assert likely[30] > likely[300]


@pytest.mark.parametrize("customers", [1, 2, 3])
def test_what_is_left_beside_a_break_is_about_what_services_usually_take(customers):
    usual_s, seconds = [300.0] * customers, 1500.0 + 300.0 * customers
    _, after, changes = rested(usual_s, seconds)
    begins = changes[after - 1, 0] if after > 0 else 0.0
    ends = changes[after, 0] if after < customers else seconds
    assert seconds - (ends - begins) == pytest.approx(300.0 * customers, rel=0.35)
    assert (changes[:, 1] <= changes[:, 0]).all()
    assert (changes[:, 0] <= changes[:, 2]).all()


def usual_morning() -> Drawn:
    track = Drawn().stand(30)
    for east in (2000, 4000):
        track.drive(east).stand(150)
    return track


def test_a_long_rest_after_the_last_delivery_from_one_standing_belongs_to_none_of_them():
    door = [circle("x", 6000, 12), circle("y", 6000, -12), circle("z", 9000, 0)]
    order = Order(items=10)
    stops = tuple(Stop(f"s{n}", c, n, None, order) for n, c in enumerate(["a", "b", "x", "y", "z"], 1))
    track = usual_morning().drive(6000).stand(15).walk(6000, 12, 130).stand(30)
    track.walk(6000, -12, 130).stand(1800).drive(9000).stand(150).drive(12000).stand(30)
    found = {v.customer_id: v for v in visits(track, [A, B, *door], [Route("r", "d", START_MS, stops)])}
    assert set(found) == {"a", "b", "x", "y", "z"}
    x, y = found["x"], found["y"]
    assert x.flags == y.flags == ("break",)
    assert x.service_time_s < 400
    assert y.service_time_s < 400
    assert x.arrived_ms == y.arrived_ms
    assert x.departed_ms == y.departed_ms < x.arrived_ms + 800_000
    assert x.departed_between_ms[0] <= x.departed_ms <= x.departed_between_ms[1]


def test_a_rest_before_or_after_one_customer_is_cut_off_at_one_end():
    track = usual_morning().drive(6000).stand(15).walk(6000, 25, 130).stand(1800).drive(9000).stand(30)
    c = visits(track, [A, B, C], [plan("a", "b", "c")])[-1]
    assert (c.customer_id, c.flags) == ("c", ("break",))
    assert c.service_time_s == (c.departed_ms - c.arrived_ms) / 1000 < 500
    assert c.arrived_between_ms[0] <= c.arrived_ms <= c.arrived_between_ms[1]
    assert c.departed_between_ms[0] <= c.departed_ms <= c.departed_between_ms[1]


def test_a_long_service_that_its_order_explains_holds_no_break():
    stops = tuple(
        Stop(f"s{n}", c, n, None, Order(items=items))
        for n, (c, items) in enumerate([("a", 5), ("b", 5), ("c", 200)], 1)
    )
    track = usual_morning().drive(6000).stand(1200).drive(9000).stand(30)
    c = visits(track, [A, B, C], [Route("r", "d", START_MS, stops)])[-1]
    assert (c.customer_id, c.flags) == ("c", ())
    assert c.service_time_s == pytest.approx(1200, abs=5)


def test_a_break_within_one_of_several_standings_cuts_off_none_of_the_others():
    first, second = stand(0, 0, 100), stand(0, 200, 1800)
    ended = Change(second.departed_ms - 200_000, second.arrived_ms, second.departed_ms)
    parts = [
        Decision(0, (Target("a", "a", None),), False, (), 100_000),
        Decision(1, (Target("a", "a", None),), True, (ended,), 1_800_000, rests=0),
    ]
    stays = [Stay(s, (candidate("a", 0.0),), None, [[NEVER_MS, NEVER_MS]]) for s in (first, second)]
    (record,) = Writer("d", False, Rules()).records(Visit(parts), stays, Belief((("a", 0.9),)), ["v"], -1)
    assert (record.arrived_ms, record.departed_ms) == (first.arrived_ms, second.departed_ms)
    assert record.service_time_s == 2000
