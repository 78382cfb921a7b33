"""Which of a visit's changes are told at once, and which in the end."""

import msgspec
import pytest
from msgspec.structs import replace

from geofence.day import Day
from geofence.events import RunnerUp, ServiceTime
from geofence.telling import Teller, Told
from geofence.visits import Report
from tests.tracks import START_MS, Drawn, circle, visits

TRACK = Drawn().stand(30).drive(900).stand(200).drive(5000).stand(60)
RECORD = replace(visits(TRACK.pings, [circle("a", 900)])[-1], revision=1, confidence=0.9, runner_up=None)


def revisions(teller: Teller, *records: ServiceTime, settled: int = 0, day: Day | None = None):
    """What is told when these are the day's records, one at a time."""
    day, told = Day(0) if day is None else day, []
    for record in records:
        told += teller.tell(day, Report(START_MS, [record], settled, looked=True), START_MS)
    return [(r.revision, r.confidence) for r in told]


def sure(confidence: float, **how) -> ServiceTime:
    return replace(RECORD, confidence=confidence, **how)


def test_how_sure_a_visit_is_within_bounds_is_told_in_the_end():
    teller, last = Teller("d", ""), sure(0.86, runner_up=RunnerUp("b", 0.1))
    assert revisions(teller, sure(0.9), sure(0.94), sure(0.81), last) == [(1, 0.9)]
    assert revisions(teller, last, settled=1) == [(2, 0.86)]


def test_a_day_that_ends_tells_it_too():
    teller, day = Teller("d", ""), Day(0)
    assert revisions(teller, sure(0.9), sure(0.92), day=day) == [(1, 0.9)]
    day.finished = True
    assert revisions(teller, sure(0.92), day=day) == [(2, 0.92)]
    assert revisions(teller, sure(0.92), day=day) == []


def test_a_confidence_that_falls_far_is_told_at_once():
    assert revisions(Teller("d", ""), sure(0.9), sure(0.79), sure(0.45)) == [(1, 0.9), (2, 0.79), (3, 0.45)]


@pytest.mark.parametrize("change", [{"departed_ms": RECORD.departed_ms + 1}, {"flags": ("merged",)}])
def test_any_other_change_is_told_at_once(change):
    assert revisions(Teller("d", ""), sure(0.9), sure(0.91, **change)) == [(1, 0.9), (2, 0.91)]


def test_what_returns_to_what_was_told_is_not_told_again():
    teller = Teller("d", "")
    assert revisions(teller, sure(0.9), sure(0.92), sure(0.9)) == [(1, 0.9)]
    assert revisions(teller, sure(0.9), settled=1) == []


def test_a_restart_does_not_tell_more():
    before, after = Teller("d", ""), Teller("d", "")
    assert revisions(before, sure(0.9)) == [(1, 0.9)]
    stored = msgspec.msgpack.encode(before.told)
    after.told = msgspec.msgpack.decode(stored, type=dict[str, Told])
    assert revisions(after, sure(0.92)) == []
    assert revisions(after, sure(0.92), settled=1) == [(2, 0.92)]
