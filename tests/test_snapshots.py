"""Work goes on from states kept before late pings, and tells what a day begun anew tells."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geofence.day import Day
from geofence.engine import Engine
from geofence.events import DeviceFenceEvent, FenceEvent, FenceEventType, Output, PingBatch, Rejection
from geofence.fences import FenceSet
from geofence.routes import Route
from geofence.shift import Shift
from geofence.snapshots import APART_MS, EVERY_MS, KEPT, SLACK_MS, Snapshots
from geofence.track import Decoded
from simulation.profiles import PROFILES
from tests.playing import HOUR_MS, Recording, Store, cut, in_order, town
from tests.test_engine import drawn, steps
from tests.tracks import START_MS, Drawn, batch, circle, engine_of, picked, plan

MINUTE_MS = 60_000
Happening = Callable[[Engine], list[Output]]


def as_they_come(pings: PingBatch, seed: int, share: float, mean_ms: float) -> PingBatch:
    """In an order in which a share of the pings comes late, most by about so much."""
    rng = np.random.default_rng(seed)
    delays = (rng.random(len(pings)) < share) * rng.exponential(mean_ms, len(pings))
    return picked(pings, np.argsort(pings.ts_ms + delays, kind="stable"))


def told(
    recording: Recording,
    portions: Sequence[PingBatch],
    happenings: dict[int, Happening],
    restarts: Sequence[int] = (),
) -> list[list[Output]]:
    """What is told of each portion, something else happening after some, and of the end."""
    fences = FenceSet(recording.fences)
    engine, store = Engine(None, fences), Store()
    found = [engine.put_route(route) for route in recording.routes]
    for number, portion in enumerate(portions):
        found.append(engine.feed(portion) if len(portion) else [])
        if number in happenings:
            found.append(happenings[number](engine))
        if number in restarts:
            store.apply(engine.take_dirty())
            engine = store.revive(fences)
    return [[o for o in outputs if not passes_new(o)] for outputs in (*found, engine.settle())]


def passes_new(output: Output) -> bool:
    """Whether a fence put in between was passed: those passed before that are found by chance, if at all."""
    return (
        isinstance(output, FenceEvent)
        and output.reason is Rejection.PASS_BY
        and output.fence_id.startswith("new")
    )


def assert_same(recording: Recording, portions, happenings=None, restarts=()) -> None:
    quick = told(recording, portions, happenings or {}, restarts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Snapshots, "add", lambda *_: None)
        assert told(recording, portions, happenings or {}, restarts) == quick


@pytest.mark.parametrize("profile", sorted(PROFILES))
@pytest.mark.parametrize("routed", [True, False])
def test_towns_where_some_pings_come_late(profile, routed):
    made = town(profile, hours=5.0)
    recording = made if routed else replace(made, routes=())
    for seed, (share, mean_ms) in enumerate([(0.05, MINUTE_MS), (0.02, 10 * MINUTE_MS)]):
        arriving = as_they_come(in_order(made.pings), seed, share, mean_ms)
        assert_same(recording, cut(arriving, range(0, len(arriving), 15)))


@given(
    drawn(40, st.one_of(steps, steps, st.just(("silent", 5 * 3600)))),
    st.integers(0, 9),
    st.sampled_from([0.02, 0.1, 0.4]),
    st.sampled_from([MINUTE_MS, 3 * MINUTE_MS, HOUR_MS]),
    st.dictionaries(st.integers(0, 40), st.integers(0, 4), max_size=4),
    st.sets(st.integers(0, 40), max_size=2),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_else_happens_in_between(recording, seed, share, mean_ms, happens, restarts):
    arriving = as_they_come(recording.pings, seed, share, mean_ms)
    portions = cut(arriving, range(0, len(arriving), len(arriving) // 40 + 1))
    newest_ms = int(recording.pings.ts_ms.max(initial=START_MS))
    assert_same(
        recording, portions, {n: happening(kind, newest_ms, n) for n, kind in happens.items()}, restarts
    )


def happening(kind: int, newest_ms: int, number: int) -> Happening:
    """A fence comes or goes, a route is replaced, the phone tells of a fence, or all data ends."""
    at_ms = START_MS + (newest_ms - START_MS) * number // 40
    phone = [
        DeviceFenceEvent("d", "c900", FenceEventType.ENTERED, at_ms - 300_000),
        DeviceFenceEvent("d", "c900", FenceEventType.EXITED, at_ms),
    ]
    kinds: list[Happening] = [
        lambda engine: engine.put_fence(circle(f"new{number}", 1050)),
        lambda engine: engine.remove_fence("c1000"),
        lambda engine: engine.put_route(swapped()),
        lambda engine: engine.feed_device(phone),
        lambda engine: engine.settle(),
    ]
    return kinds[kind]


def swapped() -> Route:
    return plan("c1000", "c900", "c2500")


def long_day(hours: float = 8.0) -> Drawn:
    track = Drawn(noise_m=3.0)
    while track.now_s < 3600 * hours:
        track.drive(900).stand(150).drive(2500).stand(240).drive(6000).stand(60).drive(0).stand(90)
    return track


FENCES = tuple(circle(f"c{east}", east) for east in (900, 2500, 6000))


def test_a_ping_late_by_minutes_has_minutes_worked_through_again_not_the_day(monkeypatch):
    pings = batch(long_day().pings)
    late = np.arange(len(pings)) % 100 == 99
    order = np.argsort(pings.ts_ms + late * 4 * MINUTE_MS, kind="stable")
    read = 0
    extend = Decoded.extend

    def counted(self, track, end, rules):
        nonlocal read
        read += end - self.rows_read
        extend(self, track, end, rules)

    monkeypatch.setattr(Decoded, "extend", counted)
    engine = engine_of(FENCES)
    for portion in cut(picked(pings, order), range(0, len(pings), 10)):
        engine.feed(portion)
    again = SLACK_MS + EVERY_MS + 7 * MINUTE_MS  # late by four minutes, in portions of one, steps of one
    assert late.sum() > 50
    assert read < late.sum() * again / 5000 + len(pings)


def test_few_are_kept_and_none_without_late_pings():
    pings = batch(long_day().pings)
    engine = engine_of(FENCES)
    engine.feed(pings)
    assert not day_of(engine).snapshots._kept
    begin, end = int(pings.ts_ms.min()), int(pings.ts_ms.max())
    for at_ms in range(begin + HOUR_MS, end, 10 * MINUTE_MS):
        spoilt = picked(pings, [int(np.searchsorted(pings.ts_ms, at_ms))])
        spoilt.lat[:] += 1e-6
        engine.feed(spoilt)
        kept = [k.shift.until_ms for k in day_of(engine).snapshots._kept]
        assert len(kept) <= KEPT
        assert all(ms < at_ms for ms in kept)
        assert at_ms - max(kept) <= SLACK_MS + EVERY_MS + MINUTE_MS
        assert max(kept) - min(kept) < APART_MS


def test_a_route_or_fence_that_concerns_the_day_leaves_none():
    for change in (
        lambda engine: engine.put_route(swapped()),
        lambda engine: engine.put_fence(circle("new", 950)),
    ):
        engine = engine_of(FENCES)
        pings = batch(long_day(2.0).pings)
        late = picked(pings, [len(pings) // 2])
        engine.feed(picked(pings, np.delete(np.arange(len(pings)), len(pings) // 2)))
        engine.feed(late)
        assert day_of(engine).snapshots._kept
        change(engine)
        assert not day_of(engine).snapshots._kept


def test_what_goes_on_from_a_copy_leaves_the_other_as_it_was():
    pings = batch(long_day(3.0).pings)
    engine = engine_of(FENCES)
    engine.feed(picked(pings, range(len(pings) // 2)))
    shift = day_of(engine).shift
    one, two = shift.copy(), shift.copy()
    day_of(engine).track.append(rows_of(pings)[len(pings) // 2 :])
    assert end_of(one) == end_of(two) == end_of(shift)


def end_of(shift: Shift):
    shift.finish()
    return shift.report(0)


def rows_of(pings: PingBatch) -> np.ndarray:
    nothing = np.full(len(pings), np.nan)
    return np.column_stack([pings.ts_ms, pings.lat, pings.lon, nothing, nothing]).astype(float)


def day_of(engine: Engine) -> Day:
    (driver,) = engine._drivers.values()
    return driver.days[-1]
