"""Final records follow from the set of pings, device events, routes and fences; not from how they came."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geofence.engine import Engine
from geofence.events import DeviceFenceEvent, FenceEventType, PingBatch, ServiceTime
from geofence.fences import FenceSet
from geofence.routes import Order, Route
from geofence.rules import Rules
from simulation.profiles import PROFILES
from tests.playing import HOUR_MS, Recording, Store, counted, cut, essence, in_order, play, town
from tests.tracks import START_MS, Drawn, batch, circle, engine_of, events, final, picked, plan, standing

LATENESS_MS = 30_000
PLACES = [0, 900, 1000, 2500, 6000]
FENCES = (*(circle(f"c{east}", east, 10) for east in PLACES), circle("wide", 950, 0, radius_m=150))

quickly = settings(max_examples=8, suppress_health_check=[HealthCheck.too_slow])
towns = st.sampled_from(sorted(PROFILES))
cuts = st.lists(st.integers(0, 3000), max_size=40)

Step = tuple[str, int]
steps: st.SearchStrategy[Step] = st.one_of(
    st.tuples(st.just("stand"), st.integers(5, 400)),
    st.tuples(st.just("drive"), st.sampled_from(PLACES)),
    st.tuples(st.just("walk"), st.integers(30, 200)),
    st.tuples(st.just("silent"), st.sampled_from([40, 150, 900])),
    st.tuples(st.just("glitch"), st.sampled_from([40, 300, 9000])),
)


@st.composite
def drawn(draw: st.DrawFn, steps_at_most: int = 14, steps: st.SearchStrategy[Step] = steps) -> Recording:
    """One or two made-up drivers, with a route or without."""
    pings = []
    for driver_id in draw(st.sampled_from([["d"], ["d", "e"]])):
        track = Drawn(
            driver_id,
            every_s=draw(st.sampled_from([3.0, 10.0, 30.0])),
            noise_m=draw(st.sampled_from([0.0, 3.0, 9.0])),
            seed=draw(st.integers(0, 5)),
            speed=draw(st.booleans()),
        )
        for what, value in draw(st.lists(steps, min_size=4, max_size=steps_at_most)):
            act(track, what, value)
        pings += track.pings
    routes = (plan("c900", "c1000", "c6000", "c2500"),) if draw(st.booleans()) else ()
    return Recording(in_order(batch(pings)), FENCES, routes)


def act(track: Drawn, what: str, value: int) -> None:
    if what == "drive":
        if track.at[0] != value:
            track.drive(value)
    elif what == "walk":
        track.walk(track.at[0] + 10, track.at[1] + 25, value)
    elif what == "glitch":
        track.glitch(track.at[0] + value, track.at[1])
    else:
        getattr(track, what)(value)


def sorted_town(profile: str) -> Recording:
    found = town(profile)
    return Recording(in_order(found.pings), found.fences, found.routes)


def shuffled(pings: PingBatch, seed: int, within_ms: int = LATENESS_MS) -> PingBatch:
    """In an order in which no ping comes later than so much after a newer one."""
    delays = np.random.default_rng(seed).integers(0, within_ms + 1, len(pings))
    return picked(pings, np.argsort(pings.ts_ms + delays, kind="stable"))


@given(drawn(), cuts, st.integers(0, 9))
@settings(quickly, max_examples=25)
def test_records_of_drawn_tracks_do_not_depend_on_portions_restarts_or_order(recording, at, seed):
    whole = play(recording, [recording.pings])
    one_by_one = play(recording, cut(recording.pings, range(len(recording.pings))))
    portions = cut(shuffled(recording.pings, seed), at)
    restarted = play(recording, portions, restarts=range(seed, len(portions), 3))
    assert whole.records == one_by_one.records == restarted.records
    assert whole.counted.tolist() == [len(recording.pings), 0, 0]
    assert (whole.counted == one_by_one.counted).all()
    assert (whole.counted == restarted.counted).all()


@given(towns, cuts)
@quickly
def test_records_do_not_depend_on_portions(profile, at):
    recording = sorted_town(profile)
    whole, parts = play(recording, [recording.pings]), play(recording, cut(recording.pings, at))
    assert whole.records == parts.records
    assert len(whole.records) >= 5


@given(towns, cuts, st.integers(0, 99), st.sets(st.integers(0, 40), max_size=3))
@quickly
def test_records_are_told_as_they_are_with_events_when_these_are_not_wanted(profile, at, seed, restarts):
    recording = town(profile)
    portions = cut(shuffled(recording.pings, seed, 4 * LATENESS_MS), at)
    both = play(recording, portions, restarts)
    records = play(recording, portions, restarts, events=False)
    assert records.outputs == [o for o in both.outputs if isinstance(o, ServiceTime)] != both.outputs
    assert (records.counted == both.counted).all()


@given(towns, cuts, st.sets(st.integers(0, 40), max_size=6))
@quickly
def test_records_survive_restarts_even_when_pings_come_late(profile, at, restarts):
    recording = town(profile)
    portions = cut(recording.pings, at)
    assert play(recording, portions).records == play(recording, portions, restarts).records


@given(towns, cuts, st.integers(0, 99))
@quickly
def test_records_do_not_depend_on_the_order_within_the_allowed_lateness(profile, at, seed):
    recording = sorted_town(profile)
    portions = cut(shuffled(recording.pings, seed), at)
    assert play(recording, [recording.pings]).records == play(recording, portions).records


@given(towns, cuts, st.data())
@quickly
def test_duplicates_change_nothing_and_are_counted(profile, at, data):
    recording = sorted_town(profile)
    n = len(recording.pings)
    again = data.draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=60))
    doubled = picked(recording.pings, sorted([*range(n), *again]))
    whole, more = play(recording, [recording.pings]), play(recording, cut(doubled, at))
    assert whole.records == more.records
    assert (more.counted - whole.counted).tolist() == [0, len(again), 0]


@given(towns, st.integers(0, 99))
@quickly
def test_records_do_not_depend_on_how_drivers_take_turns(profile, seed):
    recording = sorted_town(profile)
    drivers = np.array(recording.pings.driver_ids)
    turns = np.random.default_rng(seed).permutation(drivers)
    order = np.empty(len(drivers), dtype=int)
    for driver in set(drivers.tolist()):
        order[turns == driver] = np.flatnonzero(drivers == driver)
    portions = cut(picked(recording.pings, order), range(0, len(drivers), 50))
    assert play(recording, [recording.pings]).records == play(recording, portions).records


@given(towns, st.integers(0, 2000), st.integers(1, 300), st.integers(0, 2000), cuts)
@quickly
def test_a_late_burst_gives_the_same_visits_in_the_end(profile, begin, length, delay, at):
    recording = sorted_town(profile)
    rows = list(range(len(recording.pings)))
    late = rows[begin : begin + length]
    rest = rows[:begin] + rows[begin + length :]
    order = rest[: begin + delay] + late + rest[begin + delay :]
    burst = play(recording, cut(picked(recording.pings, order), at))
    assert essence(burst.records) == essence(play(recording, [recording.pings]).records)
    assert burst.counted.sum() == len(rows)


@given(towns, cuts)
@quickly
def test_as_pings_really_arrive_the_same_visits_stand_in_the_end(profile, at):
    recording = town(profile)
    arrived, sorted_ = play(recording, cut(recording.pings, at)), play(recording, [in_order(recording.pings)])
    assert essence(arrived.records) == essence(sorted_.records)
    assert arrived.counted.sum() == len(recording.pings)


@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_a_town_one_ping_a_batch_with_a_restart_after_each_hundredth(profile):
    recording = sorted_town(profile)
    n = min(len(recording.pings), 600)
    few = Recording(picked(recording.pings, range(n)), recording.fences, recording.routes)
    one_by_one = play(few, cut(few.pings, range(n)), restarts=range(0, n, 100))
    assert play(few, [few.pings]).records == one_by_one.records


APART = [circle(f"c{east}", east) for east in (900, 2500, 6000)]


def shift_of(track: Drawn) -> Drawn:
    """Two visits and an open end, at c900, c2500 and c6000."""
    return track.stand(30).drive(900).stand(200).drive(2500).stand(300).drive(6000).stand(60)


def test_a_late_ping_brings_a_revision_marked_so():
    track = shift_of(Drawn())
    engine = engine_of(APART)
    middle = [p for p in track.pings if START_MS + 160_000 <= p.ts_ms < START_MS + 300_000]
    first = engine.feed(batch(p for p in track.pings if p not in middle))
    told = final(first)
    assert not any("late_revision" in r.flags for r in told.values())
    second = final([*first, *engine.feed(batch(middle))])
    revised = [r for v, r in second.items() if r.revision > told[v].revision and "late_revision" in r.flags]
    assert [r.customer_id for r in revised] == ["c900"]


def test_pings_of_days_not_kept_are_too_late():
    rules = Rules(day_kept_s=3600)
    old, new = Drawn().stand(600), Drawn(start_ms=START_MS + 2 * HOUR_MS).stand(600)
    engine = Engine(rules, FenceSet(FENCES))
    engine.feed(batch(new.pings))
    assert engine.feed(batch(old.pings)) == []
    assert counted(engine).tolist() == [120, 0, 120]


def test_many_days_at_once_are_no_reason_to_be_too_late():
    pings = [p for day in range(4) for p in shift_of(Drawn(start_ms=START_MS + 24 * day * HOUR_MS)).pings]
    recording = Recording(batch(pings), tuple(APART), ())
    at_once, one_by_one = (
        play(recording, [recording.pings]),
        play(recording, cut(recording.pings, range(600))),
    )
    assert at_once.records == one_by_one.records
    assert len(at_once.records) == 4 * 3
    assert at_once.counted.tolist() == one_by_one.counted.tolist() == [len(pings), 0, 0]


def test_days_no_longer_kept_are_let_go_with_all_their_chunks():
    engine, store = engine_of(FENCES), Store()
    sizes = []
    for day in range(6):
        for part in cut(
            batch(shift_of(Drawn(every_s=1, start_ms=START_MS + 24 * day * HOUR_MS)).pings),
            range(0, 900, 100),
        ):
            engine.feed(part)
            store.apply(engine.take_dirty())
        sizes.append(len(store.drivers["d"][1]))
    assert max(sizes[3:]) <= max(sizes[:3])
    assert len(standing(engine.settle())) == 1  # the last day's open end


def test_forgetting_a_driver_deletes_all_that_was_persisted():
    engine, store = engine_of(FENCES, [plan("c900", "c2500")]), Store()
    for part in cut(batch(shift_of(Drawn(every_s=1)).pings), [10, 20, 500, 530, 700]):
        engine.feed(part)
        store.apply(engine.take_dirty())
    engine.feed_device([DeviceFenceEvent("d", "c900", FenceEventType.ENTERED, START_MS)])
    store.apply(engine.take_dirty())
    assert store.drivers
    engine.forget("d")
    store.apply(engine.take_dirty())
    assert store.drivers == {}
    assert list(engine.drivers()) == []
    assert engine.settle() == []


def test_a_driver_forgotten_and_seen_again_leaves_nothing_of_before():
    engine, store = engine_of(FENCES, [plan("c900")]), Store()
    engine.feed(batch(shift_of(Drawn(every_s=1)).pings))
    store.apply(engine.take_dirty())
    engine.forget("d")
    engine.feed(batch(Drawn().stand(100).pings))
    store.apply(engine.take_dirty())
    revived = store.revive(FenceSet(FENCES))
    assert standing(revived.settle()) == standing(engine.settle())
    assert len(store.drivers["d"][1]) == 1


def test_nothing_is_dirty_that_did_not_change():
    engine = engine_of(FENCES)
    engine.feed(batch(shift_of(Drawn()).pings))
    assert list(engine.take_dirty()) == ["d"]
    assert engine.take_dirty() == {}
    engine.feed(batch(shift_of(Drawn()).pings))
    assert engine.take_dirty() == {}


@given(drawn(steps_at_most=10), st.integers(0, 400), st.sampled_from(FENCES))
@settings(quickly, max_examples=20)
def test_a_fence_put_late_gives_what_it_would_have_given_early(recording, at, late):
    early = play(recording, [recording.pings])
    others = FenceSet(f for f in recording.fences if f is not late)
    engine = Engine(None, others)
    outputs = [o for route in recording.routes for o in engine.put_route(route)]
    before, after = cut(recording.pings, [at])[:2]
    outputs += [*engine.feed(before), *engine.put_fence(late), *engine.feed(after), *engine.settle()]
    assert essence(final(outputs)) == essence(early.records)


@given(drawn(steps_at_most=10), st.integers(0, 400), st.sampled_from(FENCES))
@settings(quickly, max_examples=20)
def test_a_fence_removed_late_leaves_what_there_would_be_without_it(recording, at, gone):
    without = tuple(f for f in recording.fences if f is not gone)
    expected = play(Recording(recording.pings, without, recording.routes), [recording.pings])
    engine = engine_of(recording.fences, recording.routes)
    before, after = cut(recording.pings, [at])[:2]
    outputs = [*engine.feed(before), *engine.remove_fence(gone.fence_id), *engine.feed(after)]
    outputs += engine.settle()
    assert essence(final(outputs)) == essence(expected.records)


def test_a_fence_change_is_told_at_once_even_of_a_day_that_has_ended():
    engine = engine_of([])
    engine.feed(batch(shift_of(Drawn()).pings))
    assert engine.settle() == []
    outputs = engine.put_fence(circle("c", 900))
    assert [round((r.departed_ms - r.arrived_ms) / 1000) for r in standing(outputs)] == [
        pytest.approx(200, abs=2)
    ]
    outputs += engine.put_fence(circle("c", 2500))
    assert [round((r.departed_ms - r.arrived_ms) / 1000) for r in standing(outputs)] == [
        pytest.approx(300, abs=2)
    ]
    outputs += engine.remove_fence("c")
    assert standing(outputs) == []


def test_engines_that_share_their_fences_all_notice_a_change():
    fences = FenceSet([circle("c900", 900)])
    first, second = Engine(None, fences), Engine(None, fences)
    for engine in (first, second):
        engine.feed(batch(shift_of(Drawn()).pings))
        engine.settle()
    for engine in (first, second):
        assert statuses(engine.remove_fence("c900")) == ["retracted"]


def statuses(outputs):
    return [o.status for o in outputs if isinstance(o, ServiceTime)]


def test_a_fence_removed_while_the_driver_was_away_is_retracted_when_it_is_told():
    fences = FenceSet([circle("c900", 900)])
    engine, store = Engine(None, fences), Store()
    engine.feed(batch(shift_of(Drawn()).pings))
    engine.settle()
    store.apply(engine.take_dirty())
    fences.remove("c900")
    revived = store.revive(fences)
    assert statuses(revived.remove_fence("c900")) == ["retracted"]


def test_a_fence_far_from_every_driver_reworks_nothing():
    engine = engine_of(FENCES)
    engine.feed(batch(shift_of(Drawn()).pings))
    engine.settle()
    shifts = [day.shift for driver in engine._drivers.values() for day in driver.days]
    engine.put_fence(circle("far", 4000, 0))
    assert [day.shift for driver in engine._drivers.values() for day in driver.days] == shifts


@given(drawn(steps_at_most=10), st.integers(0, 400))
@settings(quickly, max_examples=15)
def test_a_route_put_late_gives_what_it_would_have_given_early(recording, at):
    route = plan("c1000", "c900", "c2500")
    with_route = Recording(recording.pings, recording.fences, (route,))
    early = play(with_route, [recording.pings])
    engine = engine_of(recording.fences)
    before, after = cut(recording.pings, [at])[:2]
    outputs = [*engine.feed(before), *engine.put_route(route), *engine.feed(after), *engine.settle()]
    assert essence(final(outputs)) == essence(early.records)


def republished(route: Route, what: str) -> Route:
    """The route as a planner may publish it again through the day."""
    first, *others = route.stops
    changes = {
        "times": [replace(s, planned_arrival_ms=START_MS + n) for n, s in enumerate(route.stops)],
        "numbers": [replace(s, sequence=10 * s.sequence) for s in route.stops],
        "orders": [replace(first, order=Order(items=40)), *others],
        "fewer": others,
        "turned": [replace(s, sequence=-s.sequence) for s in route.stops],
        "renamed": [replace(first, stop_id="other"), *others],
    }
    return replace(route, stops=tuple(changes.get(what, route.stops)), region=what)


@given(
    drawn(steps_at_most=10),
    st.integers(0, 400),
    st.sampled_from(["times", "numbers", "orders", "fewer", "turned", "renamed", "region"]),
)
@settings(quickly, max_examples=40)
def test_a_route_published_again_gives_what_it_would_have_given_early(recording, at, what):
    route = plan("c1000", "c900", "c2500")
    new = republished(route, what)
    early = play(Recording(recording.pings, recording.fences, (new,)), [recording.pings])
    engine = engine_of(recording.fences, [route])
    before, after = cut(recording.pings, [at])[:2]
    outputs = [*engine.feed(before), *engine.put_route(new), *engine.feed(after), *engine.settle()]
    assert essence(final(outputs)) == essence(early.records)


def test_a_route_published_again_with_other_times_reworks_nothing():
    route = plan("c900", "c2500")
    engine, store = engine_of(APART, [route]), Store()
    engine.feed(batch(shift_of(Drawn()).pings))
    shifts = [day.shift for day in engine._drivers["d"].days]
    for what in ("times", "numbers", "region"):
        assert engine.put_route(republished(route, what)) == []
    assert [day.shift for day in engine._drivers["d"].days] == shifts != [None]
    store.apply(engine.take_dirty())
    revived = store.revive(FenceSet(APART))
    assert revived._drivers["d"].routes == {"r": republished(route, "region")}
    assert revived.put_route(route) == []
    assert [day.shift for day in revived._drivers["d"].days] == [None]
    engine.put_route(republished(route, "turned"))
    assert [day.shift for day in engine._drivers["d"].days] != shifts


def test_a_route_replaced_names_visits_by_its_new_stops():
    engine = engine_of(APART, [plan("c900", "c2500")])
    outputs = [*engine.feed(batch(shift_of(Drawn()).pings)), *engine.settle()]
    assert [(r.customer_id, r.stop_id) for r in standing(outputs)][:2] == [("c900", "s1"), ("c2500", "s2")]
    outputs += engine.put_route(plan("c2500", "c900"))
    assert [(r.customer_id, r.stop_id) for r in standing(outputs)][:2] == [("c900", "s2"), ("c2500", "s1")]


def test_events_tell_entry_dwell_and_exit_once():
    told = []
    engine = engine_of([circle("c900", 900)])
    for part in cut(batch(shift_of(Drawn()).pings), range(0, 300, 20)):
        told += engine.feed(part)
    assert [e.type for e in events(told)] == ["entered", "dwelled", "exited"]
