"""Each reason for which standing in a fence is no visit."""

import pytest

from geofence.events import FenceEventType, Rejection, ServiceTime, VisitStatus
from geofence.rules import Rules
from tests.tracks import START_MS, Drawn, batch, circle, engine_of, events, plan, standing

A, B = circle("a", 2000), circle("b", 4000)
ARRIVED = pytest.approx(235, abs=2)  # when the van comes to stand in a's fence


def told(track: Drawn, fences, routes=(), rules=None):
    """Who was visited, and whose fence was stood in for what reason, with the second."""
    engine = engine_of(fences, routes, rules)
    outputs = [*engine.feed(batch(track.pings)), *engine.settle()]
    found = [
        (e.customer_id, e.reason, (e.ts_ms - START_MS) / 1000)
        for e in events(outputs)
        if e.type is FenceEventType.REJECTED and e.reason is not Rejection.PASS_BY
    ]
    return [r.customer_id for r in standing(outputs)], found


def withdrawn(outputs):
    """Ids of visits that are none after all."""
    return {o.visit_id for o in outputs if isinstance(o, ServiceTime) and o.status is VisitStatus.RETRACTED}


def through_a(seconds: float, **how) -> Drawn:
    """Stands in a's fence from second 235 on, then four minutes in b's."""
    return Drawn(**how).stand(30).drive(2000).stand(seconds).drive(4000).stand(240).drive(8000).stand(30)


def test_a_queue_at_a_light_in_the_fence_of_a_customer_served_later():
    track = through_a(25).drive(2000).stand(200).drive(0).stand(30)
    visited, found = told(track, [A, B], [plan("b", "a")])
    assert visited == ["b", "a"]
    assert found == [("a", Rejection.QUEUEING, ARRIVED)]


def test_a_queue_without_any_route():
    track = Drawn().stand(30).drive(2000).stand(25).drive(8000).stand(30)
    assert told(track, [A]) == ([], [("a", Rejection.QUEUEING, ARRIVED)])


def test_a_queue_that_creeps_past_a_wide_fence_without_any_route():
    track = Drawn(noise_m=3).stand(30).drive(1900)
    for east in range(1920, 2100, 20):
        track = track.stand(30).drive(east, mps=4.0)
    visited, found = told(track.drive(8000).stand(30), [circle("a", 2000, 15.0, radius_m=60)])
    assert visited == []
    assert {(c, reason) for c, reason, _ in found} == {("a", Rejection.QUEUEING)}


def test_shorter_than_the_dwell():
    assert told(through_a(12), [A, B]) == (["b"], [("a", Rejection.TOO_SHORT, ARRIVED)])


def test_the_dwell_of_the_fence_itself_counts():
    patient = circle("a", 2000, dwell_s=300)
    assert told(through_a(180), [patient, B]) == (["b"], [("a", Rejection.TOO_SHORT, ARRIVED)])
    assert told(through_a(180), [A, B], rules=Rules(dwell_s=200)) == (
        ["b"],
        [("a", Rejection.TOO_SHORT, ARRIVED)],
    )


def test_the_neighbour_was_served_from_the_same_place():
    over = circle("over", 2030)
    for planned, other in (("a", "over"), ("over", "a")):
        visited, found = told(through_a(180), [A, over, B], [plan(planned, "b")])
        assert visited == [planned, "b"]
        assert found == [(other, Rejection.OTHER_CUSTOMER, ARRIVED)]


def test_a_halt_at_a_customer_who_is_not_on_the_route():
    assert told(through_a(60), [A, B], [plan("b")]) == (["b"], [("a", Rejection.NOT_ON_ROUTE, ARRIVED)])


def test_a_break_in_the_fence_of_a_customer_served_later():
    track = through_a(2700).drive(2000).stand(150).drive(0).stand(30)
    visited, found = told(track, [A, B], [plan("b", "a")])
    assert visited == ["b", "a"]
    assert found == [("a", Rejection.BREAK, ARRIVED)]


def test_a_break_without_any_route():
    assert told(through_a(2700), [A, B]) == (["b"], [("a", Rejection.BREAK, ARRIVED)])


def test_fixes_too_inaccurate_to_tell():
    track = Drawn(accuracy_m=75.0, noise_m=5).stand(30).drive(2000).stand(100).drive(9000).stand(30)
    visited, found = told(track, [A], [plan("b")])
    assert (visited, [(c, r) for c, r, _ in found]) == ([], [("a", Rejection.LOW_ACCURACY)])


def test_a_short_halt_on_the_way_into_a_visit_belongs_to_it():
    """Stop and go at the kerb is neither a queue nor too short."""
    track = Drawn().stand(30).drive(1985).stand(10).drive(2000).stand(200).drive(8000).stand(30)
    visited, found = told(track, [A], [plan("a")])
    assert (visited, found) == (["a"], [])


def test_standing_beside_the_fence_is_no_candidate():
    track = Drawn().stand(30).drive(2300).stand(200).drive(8000).stand(30)
    assert told(track, [A]) == ([], [])


def test_a_visit_told_and_withdrawn_is_rejected_then():
    track = through_a(180)
    engine = engine_of([A, circle("over", 2030), B])
    early = engine.feed(batch(track.pings))
    visited = standing(early)[0]
    assert [e.reason for e in events(early) if e.customer_id == visited.customer_id] == [None] * 3
    other = "over" if visited.customer_id == "a" else "a"
    late = [*engine.put_route(plan(other, "b")), *engine.settle()]
    assert visited.visit_id in withdrawn(late)
    rejected = [
        e for e in events(late) if e.type is FenceEventType.REJECTED and e.customer_id in ("a", "over")
    ]
    assert [(e.customer_id, e.reason, (e.ts_ms - START_MS) / 1000) for e in rejected] == [
        (visited.customer_id, Rejection.OTHER_CUSTOMER, ARRIVED)
    ]


def test_a_halt_told_as_a_visit_is_rejected_when_a_route_comes_without_it():
    engine = engine_of([A, B])
    early = engine.feed(batch(through_a(60).pings))
    assert [r.customer_id for r in standing(early)][:1] == ["a"]
    late = [*engine.put_route(plan("b")), *engine.settle()]
    assert [r.customer_id for r in standing([*early, *late])] == ["b"]
    assert [(e.customer_id, e.reason) for e in events(late) if e.type is FenceEventType.REJECTED] == [
        ("a", Rejection.NOT_ON_ROUTE)
    ]


def test_visits_and_queues_told_long_afterwards_are_those_told_soon():
    track, fences = Drawn(), []
    for n in range(40):
        served, queue = 2000 * (n + 1), 2000 * (n + 1) + 1000
        track = track.drive(served).stand(150).drive(queue).stand(14)
        fences += [circle(f"a{n}", served), circle(f"b{n}", queue)]
    visited, found = told(track, fences, rules=Rules(decide_after_s=3600))
    assert visited == [f"a{n}" for n in range(40)]
    assert [customer for customer, _, _ in found] == [f"b{n}" for n in range(40)]
    assert (visited, found) == told(track, fences)
