"""Steps gone through in compiled code tell what steps taken one by one tell, at the same moment."""

from collections.abc import Collection

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geofence.clock import NEVER_MS
from geofence.day import Day
from geofence.driver import Driver
from geofence.events import Output, PingBatch
from geofence.rules import Rules
from geofence.shift import Shift
from geofence.ticks import TICK_MS, Ticks, end_of
from simulation.profiles import PROFILES
from tests.playing import Recording, cut, in_order, play, town
from tests.test_engine import cuts, drawn, shuffled
from tests.tracks import picked


def one_by_one(shift: Shift, until_ms: int, before_ms: int) -> int:
    shift._step(until_ms)
    return NEVER_MS


Moment = tuple[int, int | None, int | None, list[Output]]


def moments(
    recording: Recording, portions: list[PingBatch], restarts: Collection[int], rules
) -> list[Moment]:
    """The ends of the steps that told something, up to when all is known then, and what was told."""
    found: list[Moment] = []
    tell = Driver._tell

    def noted(driver: Driver, day: Day, told: list[Output]) -> None:
        before = len(told)
        tell(driver, day, told)
        if told[before:]:
            until = day.shift.until_ms, day.events_after_ms, day.passes_after_ms
            found.append((*until, told[before:]))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Driver, "_tell", noted)
        play(recording, portions, restarts, rules)
    return found


def assert_same(recording: Recording, portions: list[PingBatch], restarts=(), rules=None) -> None:
    quick = moments(recording, portions, restarts, rules)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Shift, "advance", one_by_one)
        assert moments(recording, portions, restarts, rules) == quick


@given(
    drawn(),
    cuts,
    st.integers(0, 9),
    st.sampled_from(
        [Rules(), Rules(decide_after_s=0.0), Rules(decide_after_s=900.0), Rules(tell_pass_bys=False)]
    ),
)
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
def test_drawn_tracks_in_any_order_and_with_restarts(recording, at, seed, rules):
    portions = cut(shuffled(recording.pings, seed, within_ms=400_000), at)
    assert_same(recording, portions, range(seed, len(portions), 4), rules)


@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_towns_whole_and_in_portions(profile):
    recording = town(profile)
    sorted_pings = in_order(recording.pings)
    assert_same(recording, [sorted_pings])
    assert_same(recording, [sorted_pings], rules=Rules(decide_after_s=600.0, tell_pass_bys=False))
    assert_same(recording, cut(recording.pings, range(0, 3000, 70)), range(5, 40, 11))


@pytest.mark.parametrize("profile", ["suburb", "hostile"])
def test_bursts_that_come_late(profile):
    recording = town(profile)
    n = len(recording.pings)
    order = [*range(n // 3), *range(n // 2, n), *range(n // 3, n // 2)]
    assert_same(recording, cut(picked(recording.pings, order), range(0, n, 150)))


def test_most_steps_of_a_whole_day_are_gone_through_without_a_word(monkeypatch):
    reports = []
    report = Shift.report
    monkeypatch.setattr(Shift, "report", lambda self, after_ms: reports.append(1) or report(self, after_ms))
    recording = town("suburb")
    play(recording, [in_order(recording.pings)])
    spans = [
        [ms for d, ms in zip(recording.pings.driver_ids, recording.pings.ts_ms, strict=True) if d == driver]
        for driver in set(recording.pings.driver_ids)
    ]
    steps = sum((max(times) - min(times)) // TICK_MS for times in spans)
    assert len(reports) < 0.7 * steps


@given(st.text(), st.integers(-(10**13), 10**13))
def test_compiled_steps_end_where_the_others_do(driver_id, ts_ms):
    ticks = Ticks(driver_id)
    assert end_of(ts_ms, ticks.offset_ms) == ticks.of(ts_ms)
