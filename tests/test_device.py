"""Entries and exits found on the phone: alone where there are no pings, a help where there are."""

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from geofence.device import DeviceEvent, DeviceLog, Pair
from geofence.events import DeviceFenceEvent, FenceEventType, VisitStatus
from tests.playing import Recording, Store, cut, essence, play
from tests.tracks import START_MS, Drawn, batch, circle, engine_of, events, plan, standing

FENCES = (circle("a", 900), circle("b", 2500), circle("wide", 2500, 20, radius_m=200), circle("far", 9000))
HOUR_S = 3600


def at(second: float) -> int:
    return START_MS + round(1000 * second)


def told(fence_id: str, entered_s: float | None, exited_s: float | None = None, driver: str = "d"):
    found = []
    if entered_s is not None:
        found.append(DeviceFenceEvent(driver, fence_id, FenceEventType.ENTERED, at(entered_s)))
    if exited_s is not None:
        found.append(DeviceFenceEvent(driver, fence_id, FenceEventType.EXITED, at(exited_s)))
    return found


def log(*events: tuple[float, str, bool]) -> DeviceLog:
    found = DeviceLog()
    for second, fence_id, entered in events:
        found.add(DeviceEvent(at(second), fence_id, entered))
    return found


def device_visits(events, pings=(), fences=FENCES, routes=()):
    engine = engine_of(fences, routes)
    outputs = engine.feed(batch(pings)) if pings else []
    return standing([*outputs, *engine.feed_device(events), *engine.settle()])


def pairs(found: DeviceLog) -> list[tuple[float, float, str]]:
    all_of_them = found.pairs(Pair(-1, -1, ""), at(10**6))
    return [
        ((p.entered_ms - START_MS) / 1000, (p.exited_ms - START_MS) / 1000, p.fence_id) for p in all_of_them
    ]


def test_an_exit_ends_the_entry_before_it():
    found = log((10, "a", True), (20, "b", True), (30, "b", False), (70, "a", False), (90, "a", True))
    assert pairs(found) == [(20, 30, "b"), (10, 70, "a")]


def test_an_exit_without_an_entry_tells_nothing():
    assert pairs(log((10, "a", False), (20, "a", False))) == []


def test_an_entry_told_again_soon_is_the_same_but_hours_later_an_exit_was_lost():
    assert pairs(log((0, "a", True), (300, "a", True), (500, "a", False))) == [(0, 500, "a")]
    assert pairs(log((0, "a", True), (5000, "a", True), (5300, "a", False))) == [(5000, 5300, "a")]


def test_a_driver_without_any_ping_has_visits():
    visits = device_visits([*told("a", 100, 400), *told("b", 1000, 1200)])
    assert [(r.customer_id, r.arrived_ms, r.departed_ms) for r in visits] == [
        ("a", at(100), at(400)),
        ("b", at(1000), at(1200)),
    ]
    first = visits[0]
    assert (first.entered_ms, first.exited_ms) == (at(100), at(400))
    assert first.arrived_between_ms == first.departed_between_ms == (at(100), at(400))
    assert first.service_time_s == 300.0
    assert first.flags == ("device_events",)
    assert (first.pings, first.median_accuracy_m, first.status) == (0, None, VisitStatus.COMPLETED)
    assert 0.5 < first.confidence <= 1.0


def test_they_are_told_without_waiting_for_the_end_of_the_day():
    engine = engine_of(FENCES)
    assert engine.feed_device(told("a", 100, 400)) == []
    outputs = engine.feed_device(told("b", 1000, 1200))
    assert [r.customer_id for r in standing(outputs)] == ["a"]
    assert [e.type for e in events(outputs)] == ["entered", "dwelled", "exited"]


def test_an_entry_and_exit_too_close_together_are_no_visit():
    assert device_visits(told("a", 100, 110)) == []


def test_a_fence_nobody_knows_is_no_visit_until_it_is_known():
    engine = engine_of([])
    outputs = [*engine.feed_device(told("a", 100, 400)), *engine.settle()]
    assert standing(outputs) == []
    assert [r.customer_id for r in standing(engine.put_fence(FENCES[0]))] == ["a"]


def test_of_fences_around_one_place_the_planned_one_was_visited():
    both = [*told("wide", 80, 430), *told("b", 100, 400)]
    assert [r.customer_id for r in device_visits(both, routes=[plan("wide")])] == ["wide"]
    assert [r.customer_id for r in device_visits(both, routes=[plan("b")])] == ["b"]


def test_in_a_silence_of_the_pings_the_phone_tells_of_a_visit():
    track = Drawn().stand(30).drive(900).stand(200).drive(1500)
    left = track.now_s
    track.silent(1200, at=(8000, 0)).drive(12000).stand(30)
    alone = standing(play(Recording(batch(track.pings), FENCES, ()), [batch(track.pings)]).outputs)
    assert "b" not in [r.customer_id for r in alone]
    visits = device_visits(told("b", left + 100, left + 500), track.pings)
    assert [(r.customer_id, r.flags) for r in visits if r.customer_id == "b"] == [("b", ("device_events",))]
    b = next(r for r in visits if r.customer_id == "b")
    assert (b.arrived_ms, b.departed_ms) == (at(left + 100), at(left + 500))
    assert "a" in [r.customer_id for r in visits]


def test_where_there_are_pings_they_decide():
    track = Drawn().stand(30).drive(900).stand(200).drive(2500).stand(300).drive(6000).stand(60)
    whole = device_visits([], track.pings)
    contradicting = [*told("far", 300, 500), *told("b", 150, 330)]
    assert device_visits(contradicting, track.pings) == whole


def test_the_phone_fills_in_the_crossing_that_pings_do_not_show():
    """The first fix is inside already, and the last: only the phone knows when it came and went."""
    track = Drawn(at=(900, 0)).stand(400)
    alone, filled = device_visits([], track.pings), device_visits(told("a", -20, 430), track.pings)
    assert [(r.entered_ms, r.exited_ms) for r in alone] == [(None, None)]
    assert [(r.entered_ms, r.exited_ms) for r in filled] == [(at(-20), at(430))]
    assert [r.arrived_ms for r in filled] == [r.arrived_ms for r in alone]
    assert [(r.departed_ms, r.status) for r in filled] == [(at(430), VisitStatus.COMPLETED)]


def test_an_entry_whose_exit_never_came_is_no_visit():
    """How long the phone stayed is not known."""
    assert device_visits(told("a", 100)) == []
    assert [r.customer_id for r in device_visits([*told("a", 100), *told("b", 1000, 1300)])] == ["b"]


def test_an_exit_alone_is_no_visit():
    assert device_visits(told("a", None, 400)) == []


def test_the_exit_of_a_phone_whose_pings_had_died_ends_the_visit():
    track = Drawn().stand(30).drive(900).stand(200)
    (dead,) = device_visits([], track.pings)
    (found,) = device_visits(told("a", None, 900), track.pings)
    assert (dead.status, found.status) == (VisitStatus.OPEN_ENDED, VisitStatus.COMPLETED)
    assert (found.departed_ms, found.exited_ms) == (at(900), at(900))
    assert found.departed_between_ms == (dead.departed_ms, at(900))
    assert "device_events" in found.flags
    assert found.visit_id == dead.visit_id


def test_an_exit_after_the_phone_was_elsewhere_is_not_of_this_visit():
    track = Drawn().stand(30).drive(900).stand(200)
    (dead,) = device_visits([], track.pings)
    later = [*told("far", 1500, 1600), *told("a", None, 3000)]
    (found, *_) = device_visits(later, track.pings)
    assert replace(found, confidence=dead.confidence) == dead
    again = [*told("a", None, 450), *told("a", 9000, 9300)]
    assert device_visits(again, track.pings)[0].departed_ms == at(450)


def test_a_departure_and_an_arrival_in_a_silence_are_dated_by_the_phone():
    """The phone sends no pings while it rides from a to far."""
    track = (
        Drawn().stand(30).drive(900).stand(100).silent(1500, at=(9000, 0)).stand(300).drive(12000).stand(30)
    )
    alone = device_visits([], track.pings)
    helped = device_visits([*told("a", None, 600), *told("far", 1400)], track.pings)
    assert [r.customer_id for r in helped] == [r.customer_id for r in alone] == ["a", "far"]
    assert alone[0].departed_ms > at(650)
    assert helped[0].departed_ms == at(600)
    assert helped[1].arrived_ms == at(1400)
    assert helped[1].departed_ms == alone[1].departed_ms


def test_a_driver_who_went_back_in_before_the_silence_ended_stayed():
    track = Drawn().stand(30).drive(900).stand(100).silent(1500).stand(100).drive(5000).stand(30)
    whole = device_visits([], track.pings)
    assert device_visits([*told("a", None, 600), *told("a", 700)], track.pings) == whole


def test_a_crossing_that_pings_show_is_not_changed_by_the_phone():
    track = Drawn().stand(30).drive(900).stand(200).drive(5000).stand(60)
    whole = device_visits([], track.pings)
    assert whole[0].entered_ms is not None
    assert device_visits(told("a", 60, 500), track.pings) == whole


def test_events_seen_before_are_counted_as_duplicates():
    engine = engine_of(FENCES)
    engine.feed_device([*told("a", 100, 400), *told("a", 100)])
    engine.feed_device(told("a", None, 400))
    counters = engine.counters
    assert (counters.used, counters.duplicate, counters.too_late) == (2, 2, 0)


def test_days_of_device_events_alone_are_let_go():
    engine, store = engine_of(FENCES), Store()
    for day in range(8):
        base = day * 24 * HOUR_S
        engine.feed_device([*told("a", base, base + 300), *told("b", base + 900, base + 1300)])
        store.apply(engine.take_dirty())
    assert len(store.drivers["d"][1]) <= 4
    engine.forget("d")
    store.apply(engine.take_dirty())
    assert store.drivers == {}


tracks = st.lists(
    st.tuples(st.sampled_from(["stand", "drive", "silent"]), st.integers(0, 3), st.integers(20, 700)),
    min_size=1,
    max_size=10,
)
moments = st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 4000), st.integers(10, 900)), max_size=6)


def drive(steps) -> Drawn:
    track = Drawn(every_s=10)
    for what, place, seconds in steps:
        east = [0, 900, 2500, 9000][place]
        if what == "silent":
            track.silent(seconds, at=(east, 0))
        elif what == "drive" and track.at[0] != east:
            track.drive(east)
        else:
            track.stand(seconds)
    return track


@given(tracks, moments, st.integers(0, 10**6), st.lists(st.integers(0, 400), max_size=8), st.data())
@settings(max_examples=40)
def test_visits_do_not_depend_on_when_device_events_come(steps, moments, seed, at_rows, data):
    pings = batch(drive(steps).pings)
    told_of = [e for fence, begin, length in moments for e in told(fence, begin, begin + length)]
    portions = cut(pings, at_rows) if len(pings) else []
    places = [data.draw(st.integers(0, len(portions))) for _ in told_of]
    mixed = [(n, [e]) for n, e in zip(places, told_of, strict=True)]
    interleaved = [
        part
        for n in range(len(portions) + 1)
        for part in [*(e for place, e in mixed if place == n), *portions[n : n + 1]]
    ]
    recording = Recording(pings, FENCES, ())
    first = play(recording, [told_of, pings])
    last = play(recording, [pings, told_of])
    between = play(recording, interleaved, restarts={seed % 7, seed % 11})
    assert essence(first.records) == essence(last.records) == essence(between.records)
    total = len(pings) + len(told_of)
    assert first.counted.sum() == last.counted.sum() == between.counted.sum() == total
