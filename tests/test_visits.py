"""From decisions to records: what a visit's record says."""

import pytest

from geofence.assignment import Decision
from geofence.groups import Target
from geofence.naming import Names
from geofence.plan import PlannedStop
from geofence.routes import Order, Route, Stop
from geofence.stays import Visit, group
from tests.tracks import START_MS, Drawn, batch, circle, engine_of, events, plan, standing, visits

DAY_MS = 86_400_000
A, B, C = circle("a", 2000), circle("b", 4000), circle("c", 6000)


def target(customer_id: str, stop_id: str | None = None) -> Target:
    planned = PlannedStop(0, "r", Stop(stop_id, customer_id, 0)) if stop_id is not None else None
    return Target(customer_id, f"fence of {customer_id}", planned)


def decision(number: int, *customers: str, resumes: bool = False) -> Decision:
    return Decision(number, tuple(target(c) for c in customers), resumes, (), 60_000)


def test_a_decision_that_resumes_adds_to_the_visit_before_it():
    found = group([decision(0, "a"), decision(2, "a", resumes=True), decision(3, "b")])
    assert [[d.number for d in visit] for visit in found] == [[0, 2], [3]]
    assert [Visit(visit).customers for visit in found] == [{"a"}, {"b"}]


def test_a_planned_stop_names_its_visit_whenever_it_happened():
    names = Names("d")
    assert names.of(target("a", "s1"), START_MS, 0) == names.of(target("a", "s1"), START_MS + 3 * DAY_MS, 0)
    assert names.of(target("a", "s1"), START_MS, 0) != names.of(target("a", "s2"), START_MS, 0)
    assert names.of(target("a", "s1"), START_MS, 0) != Names("e").of(target("a", "s1"), START_MS, 0)


def test_an_unplanned_visit_is_named_by_its_day_and_ordinal_not_by_its_minute():
    names = Names("d")
    at_noon = START_MS // DAY_MS * DAY_MS + DAY_MS // 2
    assert names.of(target("a"), at_noon, 0) == names.of(target("a"), at_noon + 60_000, 0)
    assert len({names.of(target("a"), at_noon + DAY_MS * day, n) for day in range(3) for n in range(3)}) == 9


def test_names_taken_by_another_shift_are_left_to_it():
    first = Names("d")
    taken = {first.of(target("a"), START_MS, n) for n in (0, 2)} | {first.of(target("a", "s1"), START_MS, 0)}
    second = Names("d", taken)
    mine = [second.of(target("a"), START_MS, n) for n in range(3)] + [
        second.of(target("a", "s1"), START_MS, 0)
    ]
    assert len(set(mine)) == 4
    assert taken.isdisjoint(mine)
    assert mine[0] == first.of(target("a"), START_MS, 1)
    assert second.avoided() == taken


def test_holding_other_names_tells_whether_given_ones_would_change():
    names = Names("d")
    given = names.of(target("a"), START_MS, 0)
    assert names.hold({"another"})
    assert not names.hold({"another", given})
    assert names.of(target("a"), START_MS, 0) != given


def route_trip(noise_m: float = 0.0) -> Drawn:
    track = Drawn(noise_m=noise_m, accuracy_m=7.0).stand(30)
    for east in (2000, 4000, 6000):
        track.drive(east).stand(150)
    return track.drive(9000).stand(60)


def test_a_record_says_all_there_is_to_say():
    first = visits(route_trip(), [A, B, C], [plan("a", "b", "c")])[0]
    assert (first.driver_id, first.customer_id, first.fence_id, first.route_id, first.stop_id) == (
        "d",
        "a",
        "a",
        "r",
        "s1",
    )
    assert first.service_time_s == (first.departed_ms - first.arrived_ms) / 1000 == pytest.approx(150, abs=2)
    assert first.entered_ms < first.arrived_ms < first.departed_ms < first.exited_ms
    assert (first.pings, first.max_gap_s, first.median_accuracy_m) == (pytest.approx(30, abs=1), 5.0, 7.0)
    assert first.confidence > 0.9
    assert (first.flags, first.shared_with, first.share_method, first.runner_up) == ((), (), None, None)
    assert len(first.config_hash) == 12


def test_a_stop_served_after_a_later_one_is_out_of_sequence():
    found = visits(route_trip(), [A, B, C], [plan("a", "c", "b")])
    assert [(r.customer_id, r.flags) for r in found] == [("a", ()), ("b", ()), ("c", ("wrong_sequence",))]


def test_a_customer_that_the_route_does_not_name_is_off_the_route():
    track = (
        Drawn()
        .stand(30)
        .drive(2000)
        .stand(200)
        .drive(4000)
        .stand(400)
        .drive(6000)
        .stand(200)
        .drive(9000)
        .stand(30)
    )
    found = {r.customer_id: r for r in visits(track, [A, B, C], [plan("a", "c")])}
    assert found["a"].flags == ()
    if "b" in found:
        assert found["b"].flags == ("off_route",)
        assert (found["b"].route_id, found["b"].stop_id) == (None, None)


def test_without_a_route_nothing_is_off_the_route():
    assert {r.flags for r in visits(route_trip(), [A, B, C])} == {()}


def test_a_gap_of_minutes_is_flagged():
    track = Drawn().stand(30).drive(2000).stand(60).silent(130).stand(60).drive(6000).stand(30)
    assert [r.flags for r in visits(track, [A])] == [("gap_bridged",)]


def test_customers_served_from_one_standstill_have_their_own_parts_of_its_time():
    door = [circle("a", 2000, 6), circle("a2", 2000, -6)]
    stops = (Stop("s1", "a", 1, None, Order(items=0)), Stop("s2", "a2", 2, None, Order(items=50)))
    track = Drawn().stand(30).drive(2000).stand(400).drive(6000).stand(30)
    a, a2 = visits(track, door, [Route("r", "d", START_MS, stops)])
    assert (a.customer_id, a.shared_with) == ("a", (a2.visit_id,))
    assert (a2.customer_id, a2.shared_with) == ("a2", (a.visit_id,))
    assert (a.arrived_ms, a.departed_ms) == (a2.arrived_ms, a2.departed_ms)
    change_ms = a.arrived_ms + 1000 * a.service_time_s
    assert a.departed_between_ms[0] < change_ms < a2.arrived_between_ms[1]
    assert a.departed_between_ms[1] == a2.departed_between_ms[1]
    assert a.arrived_between_ms[0] == a2.arrived_between_ms[0]
    assert a.service_time_s + a2.service_time_s == pytest.approx(400, abs=2)
    assert a2.service_time_s > 2 * a.service_time_s  # its order needs three times as long
    assert {a.share_method, a2.share_method} == {"by_order"}


def test_a_driver_seen_back_at_the_van_between_two_doors_parts_the_time():
    door = [circle("a", 2000, 25), circle("a2", 2000, -25)]
    stops = (Stop("s1", "a", 1, None, Order(items=20)), Stop("s2", "a2", 2, None, Order(items=20)))
    track = Drawn().stand(30).drive(2000).stand(15).walk(2000, 25, 130).stand(30)
    track.walk(2000, -25, 230).stand(20).drive(6000).stand(30)
    a, a2 = visits(track, door, [Route("r", "d", START_MS, stops)])
    assert (a.customer_id, a2.customer_id) == ("a", "a2")
    assert {a.share_method, a2.share_method} == {"walk"}
    assert (a.arrived_ms, a.departed_ms) == (a2.arrived_ms, a2.departed_ms)
    assert a.service_time_s == pytest.approx(160, abs=30)
    assert a2.service_time_s == pytest.approx(265, abs=30)


def test_every_standing_in_a_fence_ends_as_a_visit_or_as_a_rejection():
    track = (
        Drawn()
        .stand(30)
        .drive(2000)
        .stand(10)
        .drive(4000)
        .stand(150)
        .drive(6000)
        .stand(8)
        .drive(9000)
        .stand(30)
    )
    engine = engine_of([A, B, C])
    told = [*engine.feed(batch(track.pings)), *engine.settle()]
    assert [r.customer_id for r in standing(told)] == ["b"]
    assert [(e.customer_id, e.reason) for e in events(told) if e.reason] == [
        ("a", "too_short"),
        ("c", "too_short"),
    ]
    assert [e.type for e in events(told) if e.customer_id == "b"] == ["entered", "dwelled", "exited"]
    assert {e.visit_id for e in events(told) if e.customer_id == "b"} == {standing(told)[0].visit_id}


def test_events_are_in_the_order_of_time():
    engine = engine_of([A, B, C])
    told = events(engine.feed(batch(route_trip(noise_m=2).pings)))
    assert [e.ts_ms for e in told] == sorted(e.ts_ms for e in told)
