"""What other products' users complain about and other products' tests hold, as cases of ours."""

from dataclasses import replace

import pytest

from geofence.events import FenceEventType, Ping, Rejection, VisitStatus
from geofence.fences import Fence
from geofence.geometry import LocalPlane
from geofence.routes import Order, Route, Stop
from geofence.rules import Rules
from tests.tracks import (
    HOME,
    START_MS,
    Drawn,
    batch,
    circle,
    engine_of,
    events,
    final,
    plan,
    standing,
    visits,
)

A, B = circle("a", 2000), circle("b", 4000)


def s(ts_ms: int | None) -> float | None:
    """Seconds since the track began."""
    return None if ts_ms is None else (ts_ms - START_MS) / 1000


def about(seconds: float):
    """Within two seconds: noise is never quite none."""
    return pytest.approx(seconds, abs=2)


def times(found) -> list[tuple[str, float, float]]:
    """Customer, arrival and departure of each visit to two seconds; see `about`."""
    return [(r.customer_id, s(r.arrived_ms), s(r.departed_ms)) for r in found]


def stood(seconds: float, **how) -> Drawn:
    """Drives to a, where it stands from second 265 on, and on past b."""
    return Drawn(**how).stand(60).drive(2000).stand(seconds).drive(6000).stand(30)


def rejected(pings, fences, routes=()):
    engine = engine_of(fences, routes)
    told = [*engine.feed(batch(pings)), *engine.settle()]
    assert standing(told) == []
    return [(e.customer_id, e.reason) for e in events(told) if e.type is FenceEventType.REJECTED]


def test_departure_is_dated_back_to_the_last_still_fix():
    """Not to the fix that was far enough away to notice."""
    assert times(visits(stood(180), [A, B])) == [("a", about(265), about(445))]


@pytest.mark.parametrize("speed", [True, False])
def test_with_noise_arrival_and_departure_are_right_within_seconds(speed):
    track = stood(180, every_s=3, noise_m=4, speed=speed, accuracy_m=6.0)
    (visit,) = visits(track, [A, B])
    assert s(visit.arrived_ms) == pytest.approx(265, abs=8)
    assert s(visit.departed_ms) == pytest.approx(445, abs=8)


@pytest.mark.parametrize("every_s", [1, 5, 20, 60])
def test_bounds_hold_the_truth_for_every_spacing(every_s):
    (visit,) = visits(stood(300, every_s=every_s), [A, B])
    assert s(visit.arrived_between_ms[0]) <= 265 <= s(visit.arrived_between_ms[1]) + 1  # braking: 1 m left
    assert s(visit.departed_between_ms[0]) - 1 <= 565 <= s(visit.departed_between_ms[1])
    wide_ms = visit.arrived_between_ms[1] - visit.arrived_between_ms[0]
    assert every_s * 1000 <= wide_ms <= every_s * 1000 + 8000  # no speed tells rolling from standing


def test_driving_through_is_no_visit():
    engine = engine_of([A, B])
    told = [*engine.feed(batch(Drawn().stand(30).drive(8000).stand(30).pings)), *engine.settle()]
    assert final(told) == {}
    assert [e for e in events(told) if e.type is FenceEventType.ENTERED] == []


def test_a_red_light_inside_a_fence_is_no_visit_and_is_told_with_the_reason():
    track = Drawn().stand(30).drive(2000).stand(12).drive(8000).stand(30)
    assert rejected(track.pings, [A]) == [("a", Rejection.TOO_SHORT)]


def test_a_fence_may_have_a_dwell_of_its_own():
    track = Drawn().stand(30).drive(2000).stand(60).drive(4000).stand(60).drive(8000).stand(30)
    patient, hasty = circle("a", 2000, dwell_s=90), circle("b", 4000, dwell_s=10)
    assert [r.customer_id for r in visits(track, [patient, hasty])] == ["b"]


def test_the_dwell_of_a_neighbour_does_not_matter():
    track = Drawn().stand(30).drive(2000).stand(60).drive(8000).stand(30)
    neighbour = circle("n", 2070, dwell_s=300)
    assert [r.customer_id for r in visits(track, [A, neighbour])] == ["a"]


def test_dwelling_is_told_once_however_long():
    engine, pings = engine_of([A]), stood(1200).pings
    told = [o for ping in pings for o in engine.feed(batch([ping]))]
    assert [e.type for e in events([*told, *engine.settle()])] == ["entered", "dwelled", "exited"]


def test_a_silence_that_ends_far_away_splits():
    track = (
        Drawn().stand(30).drive(2000).stand(60).silent(1800, at=(15000, 0)).stand(120).drive(17000).stand(30)
    )
    first, second = visits(track, [A, circle("z", 15000)])
    assert (first.customer_id, s(first.departed_between_ms[0]), s(first.departed_between_ms[1])) == (
        "a",
        285,  # a ping later it may have begun to roll
        2095,
    )
    assert (second.customer_id, s(second.arrived_between_ms[0]), s(second.arrived_between_ms[1])) == (
        "z",
        290,
        2100,  # ... or still have rolled
    )
    assert s(first.departed_ms) <= s(second.arrived_ms) - 1000  # 13 km take their time


def test_a_silence_that_ends_nearby_does_not_split():
    """The phone slept; the driver stood at the door, 15 m from the van."""
    track = Drawn().stand(30).drive(2000).stand(60).silent(1200).walk(2000, 15, 60).drive(6000).stand(30)
    (visit,) = visits(track, [A], [plan("a")])
    assert (s(visit.arrived_ms), s(visit.departed_ms)) == (about(235), pytest.approx(1550, abs=6))
    assert "gap_bridged" in visit.flags
    assert visit.max_gap_s == pytest.approx(1205, abs=6)


def test_a_second_silence_during_one_stop_tells_nothing_of_its_own():
    """One fix shows that the phone lives, then it sleeps again."""
    track = Drawn().stand(30).drive(2000).stand(60).silent(300).stand(5).silent(300).stand(60)
    (visit,) = visits(track.drive(8000).stand(30), [A], [plan("a")])
    assert (s(visit.arrived_ms), s(visit.departed_ms)) == (about(235), pytest.approx(960, abs=6))


@pytest.mark.parametrize("gap_s", [300, 1200])
def test_a_silence_that_ends_a_hundred_metres_on_is_one_visit(gap_s):
    """The van left unseen; it stood until shortly before."""
    track = Drawn().stand(30).drive(2000).stand(60).silent(gap_s, at=(2100, 0)).drive(8000).stand(30)
    (visit,) = visits(track, [A], [plan("a")])
    assert s(visit.arrived_ms) == about(235)
    assert s(visit.departed_between_ms[0]) <= s(visit.departed_ms) <= 295 + gap_s + 6
    assert visit.departed_ms > visit.arrived_ms + 1000 * 0.8 * gap_s


def test_a_visit_between_two_pings_is_found():
    """The phone slept from 200 m before the customer until 200 m after."""
    track = Drawn().stand(30).drive(1800).silent(300, at=(2200, 0)).drive(8000).stand(30)
    (visit,) = visits(track, [A], [plan("a")])
    assert visit.pings == 0
    assert visit.service_time_s == pytest.approx(250, abs=30)
    first, last = visit.arrived_between_ms[0], visit.departed_between_ms[1]
    assert last - first == pytest.approx(300_000, abs=10_000)


def test_the_way_to_the_door_across_a_neighbours_fence_does_not_hand_the_visit_over():
    """Inside the first fence all the time, and half of it in the other too."""
    track = (
        Drawn(noise_m=2).stand(30).drive(2000).stand(60).walk(2022, 20, 60).stand(60).drive(6000).stand(30)
    )
    wide, other = circle("wide", 2000, radius_m=80), circle("other", 2050, 25, radius_m=40)
    (visit,) = visits(track, [wide, other], [plan("wide", "b")])
    assert (visit.customer_id, s(visit.departed_ms)) == ("wide", pytest.approx(415, abs=8))


@pytest.mark.parametrize("seconds", [5, 15, 25, 60])
def test_standing_as_long_as_the_dwell_is_a_visit_and_shorter_is_none(seconds):
    """On planned stops with a ping a second the dwell is met to within two of them."""
    track = Drawn(every_s=1, speed=True).stand(30).drive(2000).stand(seconds).drive(8000).stand(30)
    assert len(visits(track, [A], [plan("a")])) == (seconds >= 20)


def test_the_end_of_the_day_just_before_the_next_stop_tells_both():
    """No visit is lost because the data ends while the next one runs."""
    track = Drawn().stand(30).drive(2000).stand(120).drive(4000).stand(40)
    first, second = visits(track, [A, B], [plan("a", "b")])
    assert (first.status, second.status) == (VisitStatus.COMPLETED, VisitStatus.OPEN_ENDED)


def test_a_phone_silent_when_still_shows_the_whole_stay():
    """Nothing but one fix on arriving and one on leaving."""
    track = Drawn().stand(30).drive(2000).stand(6).silent(600).stand(6).drive(6000).stand(30)
    (visit,) = visits(track, [A])
    assert (s(visit.arrived_ms), s(visit.departed_ms)) == (about(235), pytest.approx(847, abs=3))


def test_a_phone_that_wakes_up_on_driving_off_makes_no_second_stand():
    """Its first fix after 70 s of silence is 30 m on, the van at 8 m/s: it stood nowhere else."""
    track = Drawn(noise_m=2).stand(30).drive(2000).stand(130).drive(6000).stand(30)
    pings = [p for p in track.pings if not 300 < s(p.ts_ms) < 369.5]
    ((customer, arrived, departed),) = times(visits(pings, [A, circle("next", 2045, 25, 30)]))
    assert (customer, arrived) == ("a", pytest.approx(235, abs=5))
    assert departed == pytest.approx(365, abs=8)


def test_one_fix_astray_neither_ends_nor_creates_a_stop():
    track = (
        Drawn()
        .stand(60)
        .drive(2000)
        .stand(100)
        .glitch(2090, 20)
        .stand(100)
        .drive(4000, mps=12)
        .drive(8000)
        .stand(30)
    )
    assert times(visits(track, [A, circle("astray", 2090, 20, 25), B])) == [("a", about(265), about(470))]


def test_two_fixes_astray_together_do_not_end_a_visit():
    track = Drawn(every_s=4, noise_m=1.5).stand(30).drive(2000).stand(100)
    track.glitch(2030, 30).glitch(2035, 30).stand(100).drive(5000).stand(20)
    (visit,) = visits(track, [A])
    assert visit.service_time_s == pytest.approx(208, abs=12)


def test_a_moment_without_movement_on_the_road_creates_no_stop():
    track = Drawn(every_s=2).stand(30).drive(4000).stand(4).drive(9000).stand(30)
    assert visits(track, [B]) == []


def test_jitter_while_parked_makes_one_visit():
    track = (
        Drawn(every_s=2, noise_m=9, seed=4, accuracy_m=15.0)
        .stand(60)
        .drive(2000)
        .stand(900)
        .drive(6000)
        .stand(30)
    )
    (visit,) = visits(track, [A, circle("next", 2060, 25, 30)])
    assert visit.customer_id == "a"
    assert visit.service_time_s == pytest.approx(900, abs=25)


def test_the_last_stop_is_told_though_it_never_ends():
    (visit,) = visits(Drawn().stand(30).drive(2000).stand(200), [A])
    assert (visit.status, s(visit.arrived_ms), s(visit.departed_ms)) == (
        VisitStatus.OPEN_ENDED,
        about(235),
        about(430),
    )
    assert visit.exited_ms is None


def test_an_open_end_is_closed_when_the_phone_wakes_up():
    track = Drawn().stand(30).drive(2000).stand(200)
    engine, dead = engine_of([A]), len(track.pings)
    told = [*engine.feed(batch(track.pings)), *engine.settle()]
    track.stand(100).drive(6000).stand(200)
    told += [o for n in range(dead, len(track.pings)) for o in engine.feed(batch(track.pings[n : n + 1]))]
    (visit,) = standing(told)
    assert (visit.status, s(visit.departed_ms), visit.revision) == (VisitStatus.COMPLETED, about(535), 2)
    assert VisitStatus.RETRACTED not in [r.status for r in told if not hasattr(r, "reason")]


def test_a_phone_that_dies_leaves_no_visit_open_overnight():
    """The next day's pings end it, where the data ended."""
    evening = Drawn().stand(30).drive(2000).stand(200)
    morning = Drawn(start_ms=START_MS + 12 * 3_600_000, at=(9000, 0)).stand(600)
    engine = engine_of([A])
    told = standing(engine.feed(batch([*evening.pings, *morning.pings])))
    assert [(r.customer_id, r.status, s(r.departed_ms)) for r in told] == [("a", VisitStatus.OPEN_ENDED, 430)]


def test_the_first_fix_may_be_inside_already():
    (visit,) = visits(Drawn(at=(2000, 0)).stand(200).drive(6000).stand(20), [A])
    assert (s(visit.arrived_ms), s(visit.departed_ms), visit.entered_ms) == (about(0), about(200), None)
    assert visit.exited_ms is not None


def test_a_stay_starts_at_its_first_still_point():
    """Not when it had lasted long enough to be noticed."""
    (visit,) = visits(Drawn(every_s=10).stand(30).drive(2000).stand(600).drive(6000).stand(30), [A])
    assert s(visit.arrived_ms) == pytest.approx(235, abs=5)


def test_the_exit_is_told_before_the_next_entry():
    close = circle("close", 2100)
    track = Drawn().stand(30).drive(2000).stand(120).drive(2100).stand(120).drive(6000).stand(30)
    engine = engine_of([A, close], [plan("a", "close")])
    told = events([*engine.feed(batch(track.pings)), *engine.settle()])
    order = [(e.type.value, e.customer_id) for e in sorted(told, key=lambda e: e.ts_ms)]
    assert order.index(("exited", "a")) < order.index(("entered", "close"))


def test_two_stops_one_after_the_other_keep_their_own_times():
    """Neighbours 100 m apart: no gap between the records, and no overlap."""
    track = Drawn().stand(30).drive(2000).stand(120).drive(2100).stand(90).drive(6000).stand(30)
    first, second = visits(track, [A, circle("close", 2100)], [plan("a", "close")])
    assert (first.customer_id, second.customer_id) == ("a", "close")
    assert (s(first.arrived_ms), s(first.departed_ms)) == (about(235), about(355))
    assert (s(second.arrived_ms), s(second.departed_ms)) == (
        pytest.approx(370, abs=5),
        pytest.approx(460, abs=5),
    )


def test_a_short_excursion_of_the_van_belongs_to_the_visit():
    """Looks for a better place: 60 m on and back within a minute."""
    track = Drawn().stand(30).drive(2000).stand(200).drive(2060).drive(2000).stand(200).drive(6000).stand(30)
    (visit,) = visits(track, [A])
    assert s(visit.arrived_ms) == about(235)
    assert s(visit.departed_ms) == pytest.approx(650, abs=10)


def test_a_true_second_visit_later_is_a_second_record():
    track = (
        Drawn()
        .stand(30)
        .drive(2000)
        .stand(200)
        .drive(9000)
        .stand(900)
        .drive(2000)
        .stand(150)
        .drive(6000)
        .stand(30)
    )
    first, second = visits(track, [A, circle("far", 9000, 300)])
    assert (first.customer_id, second.customer_id) == ("a", "a")
    assert first.visit_id != second.visit_id
    assert (first.service_time_s, second.service_time_s) == (about(200), pytest.approx(150, abs=10))


def test_a_customer_visited_in_both_halves_of_a_day_has_two_records():
    """A silence of five hours makes two shifts of one UTC day."""
    start = START_MS // 86_400_000 * 86_400_000 + 5 * 3_600_000
    morning = Drawn(start_ms=start).stand(30).drive(2000).stand(200).drive(6000).stand(30)
    later = Drawn(start_ms=start + 6 * 3_600_000).stand(30).drive(2000).stand(100).drive(6000).stand(30)
    for routes in ([], [plan("a", start_ms=start)]):
        found = visits([*morning.pings, *later.pings], [A], routes)
        assert [r.service_time_s for r in found] == [about(200), about(100)]
        assert len({r.visit_id for r in found}) == 2


def test_the_walk_to_the_door_is_part_of_the_visit():
    track = (
        Drawn(noise_m=2).stand(30).drive(2000).stand(40).walk(2010, 30, 150).stand(40).drive(6000).stand(30)
    )
    (visit,) = visits(track, [circle("a", 2010, 30, 30), circle("b", 4000)])
    assert s(visit.arrived_ms) == pytest.approx(235, abs=8)
    assert s(visit.departed_ms) == pytest.approx(465, abs=8)


def test_overlapping_fences_give_the_time_to_the_planned_customer_only():
    over = circle("over", 2030)
    for planned in ("a", "over"):
        (visit,) = visits(stood(180), [A, over], [plan(planned, "b")])
        assert visit.customer_id == planned
        assert visit.stop_id == "s1"


def test_without_a_route_the_nearer_of_two_overlapping_fences_is_served_and_the_other_runs_up():
    (visit,) = visits(stood(180), [A, circle("over", 2038)])
    assert visit.customer_id == "a"
    assert visit.runner_up is None or visit.runner_up.customer_id == "over"


def to_two_doors(track: Drawn, first: tuple[float, ...], second: tuple[float, ...]) -> Drawn:
    """From a place where the van is parked, to walk to each: metres east, north, and how long."""
    return track.stand(30).drive(2000).walk(*first).walk(*second).drive(6000).stand(30)


def test_neighbours_served_from_one_parking_place_share_its_time():
    track = to_two_doors(Drawn(every_s=3, noise_m=1.5), (2000, 32, 150), (2030, -28, 150))
    left, right = circle("left", 2000, 32, 25), circle("right", 2030, -28, 25)
    found = visits(track, [left, right], [plan("left", "right")])
    assert [r.customer_id for r in sorted(found, key=lambda r: r.stop_id)] == ["left", "right"]
    assert [r.shared_with for r in found] == [(found[1].visit_id,), (found[0].visit_id,)]
    assert sum(r.service_time_s for r in found) == pytest.approx(300, abs=20)
    assert {r.share_method for r in found} == {"walk"}


@pytest.mark.parametrize("seed", range(6))
def test_opposite_doors_are_served_from_one_parking_place_without_a_route_too(seed):
    track = to_two_doors(Drawn(every_s=5, noise_m=3.0, seed=seed), (2000, 22, 130), (2000, -22, 150))
    found = visits(track, [circle("left", 2000, 22, 25), circle("right", 2000, -22, 25)])
    assert sorted(r.customer_id for r in found) == ["left", "right"]
    assert sum(r.service_time_s for r in found) == pytest.approx(265, abs=25)


@pytest.mark.parametrize(
    ("boxes", "facts", "longer"),
    [
        (0, {}, 1.0),
        (5, {}, 1.8),
        (0, {"floor": 4, "elevator": False}, 1.8),
        (0, {"floor": 4, "elevator": True}, 1.35),
    ],
)
def test_a_heavy_order_or_a_climb_takes_more_of_a_shared_time(boxes, facts, longer):
    """The driver is not seen on his way to either door."""
    track = Drawn(every_s=5, noise_m=1.0).stand(30).drive(2000).stand(400).drive(6000).stand(30)
    left, right = replace(circle("left", 2000, 5, 25), facts=facts), circle("right", 2000, -5, 25)
    stops = (Stop("s1", "left", 1, order=Order(boxes=boxes)), Stop("s2", "right", 2, order=Order()))
    found = visits(track, [left, right], [Route("r", "d", START_MS, stops)])
    assert {r.share_method for r in found} == {"by_order"}
    part = {r.customer_id: r.service_time_s for r in found}
    assert part["left"] / part["right"] == pytest.approx(longer, rel=0.15)


def test_null_island_is_not_believed():
    track = stood(180)
    inside = next(n for n, p in enumerate(track.pings) if p.ts_ms > START_MS + 350_000)
    track.pings.insert(inside, Ping("d", track.pings[inside].ts_ms - 2000, 0.0, 0.0))
    assert times(visits(track, [A, B])) == [("a", about(265), about(445))]


def test_a_day_that_begins_on_null_island_is_not_measured_from_there():
    nulls = [Ping("d", START_MS - 100_000 + 5000 * n, 0.0, 0.0) for n in range(20)]
    assert times(visits([*nulls, *stood(180).pings], [A, B])) == [("a", about(265), about(445))]


def test_a_teleport_and_back_is_not_believed():
    track = Drawn().stand(60).drive(2000).stand(90).glitch(4000, 0).stand(85).drive(8000).stand(30)
    assert times(visits(track, [A, B])) == [("a", about(265), about(445))]


def test_a_fix_known_to_be_bad_is_not_believed():
    track = Drawn(accuracy_m=8.0).stand(60).drive(2000).stand(90)
    track.glitch(2140, 0, accuracy_m=800.0).stand(85).drive(8000).stand(30)
    assert times(visits(track, [A])) == [("a", about(265), about(445))]


def test_of_several_fixes_for_one_time_the_best_is_taken():
    track = stood(180, accuracy_m=5.0)
    worse = [
        Ping(p.driver_id, p.ts_ms, p.lat + 0.0009, p.lon, 60.0)
        for p in track.pings
        if START_MS + 300_000 < p.ts_ms < START_MS + 400_000
    ]
    ((customer, arrived, departed),) = times(visits([*track.pings, *worse], [A, B]))
    assert customer == "a"
    assert (arrived, departed) == (pytest.approx(265, abs=3), about(445))


def test_a_phone_whose_clock_jumps_ahead_holds_nothing_up():
    """Three fixes of tomorrow must not make today's pings late."""
    track = stood(180)
    astray = [Ping("d", START_MS + 20 * 3_600_000 + n, 50.0, 8.0) for n in range(3)]
    engine = engine_of([A, B])
    told = [*engine.feed(batch([*track.pings[:30], *astray]))]
    for ping in track.pings[30:]:
        told += engine.feed(batch([ping]))
    assert engine.counters.too_late == 0
    assert [(r.customer_id, r.revision, r.flags) for r in standing(told)] == [("a", 1, ())]


def test_bursts_after_an_outage_give_what_steady_pings_give():
    track = stood(180, every_s=2, noise_m=3)
    engine = engine_of([A, B])
    kept = [p for p in track.pings if not START_MS + 280_000 <= p.ts_ms < START_MS + 430_000]
    burst = [p for p in track.pings if p not in kept]
    told = [*engine.feed(batch(kept)), *engine.feed(batch(burst)), *engine.settle()]
    (late,), (steady,) = standing(told), visits(track, [A, B])
    assert (late.visit_id, late.arrived_ms, late.departed_ms) == (
        steady.visit_id,
        steady.arrived_ms,
        steady.departed_ms,
    )
    assert late.pings == steady.pings


@pytest.mark.parametrize("lon", [179.99, -179.999, 0.0])
def test_visits_are_found_across_the_antimeridian_and_in_greenwich(lon):
    plane = LocalPlane(-17.0, lon)
    track = Drawn(plane=plane).stand(60).drive(2000).stand(180).drive(6000).stand(30)
    assert times(visits(track, [circle("a", 2000, plane=plane)])) == [("a", about(265), about(445))]


def test_a_polygon_works_like_a_circle():
    from shapely import Polygon

    corners = [HOME.to_degrees(2000 + x, y)[::-1] for x, y in ((-30, -50), (30, -50), (30, 20), (-30, 20))]
    (visit,) = visits(stood(180), [Fence("a", "a", *HOME.to_degrees(2000, -10), shape=Polygon(corners))])
    assert (s(visit.arrived_ms), s(visit.departed_ms)) == (about(265), about(445))
    assert (s(visit.entered_ms), s(visit.exited_ms)) == (
        pytest.approx(259.5, abs=1),
        pytest.approx(450.5, abs=1),
    )


@pytest.mark.parametrize("lon", [179.98119, -0.01881])
def test_polygons_across_the_antimeridian_and_greenwich(lon):
    """The meridian runs through the polygon, 2 km east of where the day begins."""
    from shapely import Polygon

    plane = LocalPlane(-17.0, lon)
    corners = [plane.to_degrees(2000 + x, y)[::-1] for x, y in ((-60, -50), (60, -50), (60, 50), (-60, 50))]
    west = min(c[0] for c in corners)
    if max(c[0] for c in corners) - west > 180:
        corners = [(x + 360 if x < 0 else x, y) for x, y in corners]
    middle = plane.to_degrees(2000, 0)
    track = Drawn(plane=plane).stand(60).drive(2000).stand(180).drive(6000).stand(30)
    found = visits(track, [Fence("a", "a", *middle, shape=Polygon(corners))])
    assert times(found) == [("a", about(265), about(445))]
    assert s(found[0].entered_ms) == pytest.approx(257.2, abs=1)


def test_a_newer_polygon_under_a_standing_driver_holds_from_its_time_on():
    """The fence moves here only after the driver left: then it was another's door."""
    moved = [circle("a", 9000), circle("a", 2000, valid_from_ms=START_MS + 400_000)]
    assert visits(stood(180), moved) == []
    in_time = [circle("a", 9000), circle("a", 2000, valid_from_ms=START_MS + 100_000)]
    assert times(visits(stood(180), in_time)) == [("a", about(265), about(445))]


def test_crossing_of_the_fence_is_kept_beside_standing():
    (visit,) = visits(stood(180), [A, B])
    assert s(visit.entered_ms) == pytest.approx(258.7, abs=0.5)
    assert s(visit.exited_ms) == pytest.approx(451.3, abs=0.5)


@pytest.mark.parametrize(("start", "seconds"), [("standing", 180.0), ("fence_entry", 186.5)])
def test_a_setting_says_what_service_time_starts_with(start, seconds):
    rules = Rules(service_starts_with=start)
    (visit,) = visits(stood(180), [A, B], rules=rules)
    assert visit.service_time_s == pytest.approx(seconds, abs=1.5)


def test_the_slow_search_for_a_place_counts_as_service_when_asked():
    track = Drawn(every_s=2).stand(30).drive(1900).drive(2000, mps=3).stand(120).drive(6000).stand(30)
    (standing_,) = visits(track, [A])
    (searching,) = visits(track, [A], rules=Rules(service_starts_with="parking_search"))
    assert standing_.parking_search_s > 20
    assert searching.service_time_s == pytest.approx(standing_.service_time_s + standing_.parking_search_s)


def test_a_long_rest_in_a_fence_off_the_route_is_a_break():
    track = Drawn().stand(30).drive(2000).stand(2400).drive(6000).stand(30)
    reasons = rejected(track.pings, [A], [plan("b")])
    assert reasons == [("a", Rejection.BREAK)]


def test_a_visit_is_told_soon_after_it_ended():
    """Not at the end of the day: within five minutes of the driver's own time."""
    track = Drawn().stand(30).drive(2000).stand(200).drive(9000).stand(600)
    engine = engine_of([A])
    told_s = next(s(p.ts_ms) for p in track.pings if standing(engine.feed(batch([p]))))
    assert told_s <= 435 + 300


@pytest.mark.parametrize("routes", [[], [plan("a", "b")]])
def test_a_second_visit_hours_later_is_a_second_record(routes):
    track = Drawn().stand(60).drive(2000).stand(180).drive(9000).silent(7200)
    track.drive(2000).stand(180).drive(9000).stand(60)
    first, second = visits(track, [A, B], routes)
    assert (first.customer_id, second.customer_id) == ("a", "a")
    assert second.arrived_ms - first.departed_ms > 7_200_000
    assert second.service_time_s == pytest.approx(180, abs=5)
