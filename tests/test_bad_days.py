"""What phones and networks do to a day: each is played to the engine, and the record is as on a good day."""

import random
from dataclasses import replace

import msgspec
import pytest

from geofence.events import Ping, ServiceTime, VisitStatus
from tests.tracks import START_MS, Drawn, batch, circle, engine_of, final, plan, standing, visits

A, B = circle("a", 2000), circle("b", 4000)
ROUTE = plan("a", "b")
ARRIVED_S, DEPARTED_S = 265, 445


def day(every_s: float = 5.0, **how) -> list[Ping]:
    """Stands at a from second 265 to 445, drives on past b; phones are noisy by 2 m."""
    track = Drawn(every_s=every_s, noise_m=2.0, **how)
    return track.stand(60).drive(2000).stand(180).drive(6000).stand(200).pings


def s(ts_ms: int) -> float:
    return (ts_ms - START_MS) / 1000


def between(pings: list[Ping], begin_s: float, end_s: float) -> list[Ping]:
    return [p for p in pings if begin_s <= s(p.ts_ms) < end_s]


def assert_as_on_a_good_day(found: list[ServiceTime], within_s: float = 6.0, flags: tuple[str, ...] = ()):
    (record,) = found
    assert (record.customer_id, record.stop_id, record.status) == ("a", "s1", VisitStatus.COMPLETED)
    assert s(record.arrived_ms) == pytest.approx(ARRIVED_S, abs=within_s)
    assert s(record.departed_ms) == pytest.approx(DEPARTED_S, abs=within_s)
    assert record.flags == flags


def test_a_good_day():
    assert_as_on_a_good_day(visits(day(), [A, B], [ROUTE]), within_s=4)


@pytest.mark.parametrize("speed", [True, False])
@pytest.mark.parametrize("every_s", [2.0, 5.0])
def test_positions_with_latitude_and_longitude_swapped(every_s, speed):
    """One fix in five, at random."""
    r = random.Random(5)
    pings = [replace(p, lat=p.lon, lon=p.lat) if r.random() < 0.2 else p for p in day(every_s, speed=speed)]
    assert_as_on_a_good_day(visits(pings, [A, B], [ROUTE]))


@pytest.mark.parametrize("begin_s", [240, 330, 430])
def test_positions_swapped_for_half_a_minute(begin_s):
    """Across the arrival, while standing, across the departure."""
    pings = [replace(p, lat=p.lon, lon=p.lat) if begin_s <= s(p.ts_ms) < begin_s + 30 else p for p in day()]
    assert_as_on_a_good_day(visits(pings, [A, B], [ROUTE]), within_s=25)


@pytest.mark.parametrize("begin_s", [240, 330, 430])
def test_null_island_for_half_a_minute(begin_s):
    pings = [replace(p, lat=0.0, lon=0.0) if begin_s <= s(p.ts_ms) < begin_s + 30 else p for p in day()]
    assert_as_on_a_good_day(visits(pings, [A, B], [ROUTE]), within_s=25)


@pytest.mark.parametrize("share", [0.02, 0.1])
def test_teleports_all_day(share):
    r = random.Random(3)
    pings = [
        replace(p, lat=p.lat + r.gauss(0, 0.05), lon=p.lon + r.gauss(0, 0.05)) if r.random() < share else p
        for p in day(3.0)
    ]
    assert_as_on_a_good_day(visits(pings, [A, B], [ROUTE]), within_s=10)


def stale(pings: list[Ping], begin_s: float, end_s: float) -> list[Ping]:
    """The phone repeats the position that it had when this began."""
    first = between(pings, begin_s, end_s)[0]
    return [replace(p, lat=first.lat, lon=first.lon) if begin_s <= s(p.ts_ms) < end_s else p for p in pings]


@pytest.mark.parametrize("speed", [True, False])
def test_a_stale_position_on_the_way_is_no_stand(speed):
    """Repeated for half a minute at full speed, in b's fence."""
    pings = day(3.0, speed=speed)
    at_b = next(s(p.ts_ms) for p in pings if p.lon > circle("b", 3985).lon)
    assert_as_on_a_good_day(visits(stale(pings, at_b, at_b + 30), [A, B], [ROUTE]))


def test_a_stale_position_after_driving_off_does_not_prolong_the_visit_where_speed_is_reported():
    pings = stale(day(3.0, speed=True), DEPARTED_S - 4, DEPARTED_S + 30)
    assert_as_on_a_good_day(visits(pings, [A, B], [ROUTE]), within_s=12)


def test_a_clock_that_was_an_hour_slow_for_a_few_fixes():
    pings = [replace(p, ts_ms=p.ts_ms - 3_600_000) if 300 <= s(p.ts_ms) < 316 else p for p in day()]
    found = visits(pings, [A, B], [ROUTE])
    assert_as_on_a_good_day([r for r in found if s(r.arrived_ms) > 0])
    assert [r.customer_id for r in found if s(r.arrived_ms) <= 0] == []


def test_a_clock_set_back_by_twenty_seconds_while_standing():
    """From then on all is dated 20 s early: fixes lie over one another for that long."""
    pings = [replace(p, ts_ms=p.ts_ms - 20_000) if s(p.ts_ms) >= 350 else p for p in day()]
    (record,) = visits(pings, [A, B], [ROUTE])
    assert s(record.arrived_ms) == pytest.approx(ARRIVED_S, abs=6)
    assert s(record.departed_ms) == pytest.approx(DEPARTED_S - 20, abs=6)


def test_a_clock_set_forward_by_a_minute_while_standing():
    pings = [replace(p, ts_ms=p.ts_ms + 60_000) if s(p.ts_ms) >= 350 else p for p in day()]
    (record,) = visits(pings, [A, B], [ROUTE])
    assert s(record.arrived_ms) == pytest.approx(ARRIVED_S, abs=6)
    assert s(record.departed_ms) == pytest.approx(DEPARTED_S + 60, abs=6)


def test_fixes_of_tomorrow_change_nothing_of_today():
    tomorrow = [replace(p, ts_ms=p.ts_ms + 86_400_000) for p in between(day(), 300, 310)]
    assert_as_on_a_good_day(visits([*day(), *tomorrow], [A, B], [ROUTE]))


def test_pings_in_any_order_twice_over_and_one_by_one():
    pings = day()
    shuffled = sorted(pings, key=lambda p: p.ts_ms + random.Random(p.ts_ms).uniform(0, 25_000))
    engine = engine_of([A, B], [ROUTE])
    told = [o for p in shuffled for o in [*engine.feed(batch([p])), *engine.feed(batch([p]))]]
    told += engine.settle()
    assert_as_on_a_good_day(standing(told))
    assert standing(told) == visits(pings, [A, B], [ROUTE])
    assert (engine.counters.used, engine.counters.duplicate) == (len(pings), len(pings))


def test_a_burst_after_an_outage_longer_than_the_lateness_allowed():
    """Nothing for five minutes, then what follows, then all that was held back."""
    pings = day()
    outage = between(pings, 280, 580)
    engine = engine_of([A, B], [ROUTE])
    told = engine.feed(batch(between(pings, 0, 280)))
    told += engine.feed(batch(between(pings, 580, 10**6)))
    told += engine.feed(batch(outage))
    told += engine.settle()
    assert_as_on_a_good_day([msgspec.structs.replace(r, flags=()) for r in standing(told)], within_s=4)
    assert standing(told)[0].pings == visits(pings, [A, B], [ROUTE])[0].pings


def test_late_pings_move_the_departure_in_a_second_revision():
    pings = day()
    late = between(pings, 380, 460)
    engine = engine_of([A, B], [ROUTE])
    told = engine.feed(batch(p for p in pings if p not in late))
    (early,) = standing(told)
    told += [*engine.feed(batch(late)), *engine.settle()]
    assert early.revision == 1
    assert "late_revision" not in early.flags
    assert_as_on_a_good_day(standing(told), within_s=4, flags=("late_revision",))
    assert standing(told)[0].revision == 2
    assert standing(told)[0].visit_id == early.visit_id


def test_fixes_for_one_time_from_two_receivers():
    """Each time twice, once well and once 25 m off without a word about accuracy."""
    pings = day()
    second = [replace(p, lat=p.lat + 0.00022) for p in between(pings, 280, 430)]
    assert_as_on_a_good_day(visits([*pings, *second], [A, B], [ROUTE]), within_s=8)


@pytest.mark.parametrize(
    ("begin_s", "end_s", "bounds"),
    [(290, 420, None), (200, 290, "arrived"), (420, 500, "departed"), (200, 500, "both")],
)
def test_silences_inside_a_stop_and_across_its_ends(begin_s, end_s, bounds):
    """The estimate is as good as the silence allows, and the bounds say so."""
    pings = [p for p in day() if not begin_s <= s(p.ts_ms) < end_s]
    (record,) = visits(pings, [A, B], [ROUTE])
    assert (record.customer_id, record.stop_id, record.status) == ("a", "s1", VisitStatus.COMPLETED)
    arrived, departed = map(s, record.arrived_between_ms), map(s, record.departed_between_ms)
    (a_low, a_high), (d_low, d_high) = arrived, departed
    assert a_low - 1 <= ARRIVED_S <= a_high + 1
    assert d_low - 1 <= DEPARTED_S <= d_high + 1
    assert s(record.arrived_ms) == pytest.approx(ARRIVED_S, abs=30 if bounds in ("arrived", "both") else 6)
    assert s(record.departed_ms) == pytest.approx(DEPARTED_S, abs=30 if bounds in ("departed", "both") else 6)
    assert (a_high - a_low >= 60) == (bounds in ("arrived", "both"))
    assert (d_high - d_low >= 60) == (bounds in ("departed", "both"))
    assert record.flags == (("gap_bridged",) if end_s - begin_s > 120 else ())


def test_a_phone_that_dies_at_the_last_stop_and_wakes_up_the_next_morning():
    evening = Drawn(noise_m=2.0).stand(60).drive(2000).stand(180).pings
    morning = Drawn(start_ms=START_MS + 14 * 3_600_000, at=(9000, 0), noise_m=2.0).stand(600).pings
    engine = engine_of([A, B], [ROUTE])
    told = [o for p in [*evening, *morning] for o in engine.feed(batch([p]))]
    (record,) = [r for r in final(told).values() if r.customer_id == "a"]
    assert (record.status, record.revision) == (VisitStatus.OPEN_ENDED, 1)
    assert s(record.arrived_ms) == pytest.approx(ARRIVED_S, abs=6)
    assert s(record.departed_ms) == pytest.approx(DEPARTED_S - 5, abs=6)


def test_walks_to_the_door_and_back_to_the_van_are_one_service():
    """Twice, for what was forgotten in the van."""
    track = Drawn(noise_m=2.0).stand(60).drive(2000).stand(20).walk(2010, 30, 70).stand(15)
    track.walk(2010, 30, 60).stand(15).drive(6000).stand(200)
    assert_as_on_a_good_day(visits(track, [circle("a", 2005, 20), B], [ROUTE]), within_s=8)


@pytest.mark.parametrize("every_s", [1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0])
def test_every_spacing_finds_the_visit_and_its_times(every_s):
    assert_as_on_a_good_day(visits(day(every_s), [A, B], [ROUTE]), within_s=4 + 0.5 * every_s)
