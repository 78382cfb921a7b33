"""How a driver's pings fall into days, what the time is, and what is told anew."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from geofence.clock import AGREEING, AHEAD_MS, NEVER_MS, Clock
from geofence.day import DAY_LASTS_MS, spans
from geofence.driver import Driver
from geofence.events import ServiceTime
from geofence.fences import FenceSet
from geofence.rules import Rules
from tests.playing import HOUR_MS, essence
from tests.tracks import START_MS, Drawn, batch, circle, engine_of, final, standing

GAP_MS = round(1000 * Rules().shift_gap_s)
FENCES = [circle(f"c{east}", east) for east in (900, 2500, 6000)]


def driver() -> Driver:
    return Driver("d", FenceSet(FENCES), Rules())


def rows(times_h) -> np.ndarray:
    found = np.full((len(times_h), 5), np.nan)
    found[:, 0] = [START_MS + round(h * HOUR_MS) for h in times_h]
    found[:, 1], found[:, 2] = 50.0, 8.0
    return found


def days_of(found: Driver) -> list[tuple[float, float]]:
    return [((d.first_ms - START_MS) / HOUR_MS, (d.last_ms - START_MS) / HOUR_MS) for d in found.days]


def test_a_silence_of_hours_begins_a_new_day():
    found = driver()
    found.take(rows([0, 1, 2, 5.9, 10, 11]))
    assert days_of(found) == [(0, 5.9), (10, 11)]


def test_a_ping_in_the_silence_joins_two_days():
    found = driver()
    found.take(rows([0, 1, 2, 7, 8]))
    found.take(rows([4.5]))
    assert days_of(found) == [(0, 8)]


def test_a_phone_that_never_sleeps_begins_a_new_day_all_the_same():
    found = driver()
    found.take(rows(range(50)))
    assert days_of(found) == [(0, 19), (20, 39), (40, 49)]


times = st.lists(st.integers(0, 60 * 4).map(lambda quarter: quarter / 4), min_size=1, max_size=40)


@given(times, st.lists(st.integers(0, 40), max_size=6), st.randoms())
def test_days_follow_from_the_set_of_pings_however_they_came(hours, at, random):
    kept = Rules(day_kept_s=10 * 86_400.0)
    whole, parts = Driver("d", FenceSet(), kept), Driver("d", FenceSet(), kept)
    whole.take(rows(hours))
    random.shuffle(hours)
    edges = [0, *sorted(min(a, len(hours)) for a in at), len(hours)]
    for a, b in pairwise(edges):
        if a < b:
            parts.take(rows(hours[a:b]))
            parts.work()
    assert days_of(whole) == days_of(parts)
    expected = spans(np.unique(rows(hours)[:, 0]), GAP_MS)
    assert [(d.first_ms, d.last_ms) for d in whole.days] == list(expected)


@given(times)
def test_days_are_apart_and_none_lasts_too_long(hours):
    found = list(spans(np.unique(rows(hours)[:, 0]), GAP_MS))
    assert all(end - begin < DAY_LASTS_MS for begin, end in found)
    assert all(a[1] < b[0] for a, b in pairwise(found))
    assert all(b[0] - a[1] >= GAP_MS or b[0] - a[0] >= DAY_LASTS_MS for a, b in pairwise(found))


@given(st.lists(st.integers(0, 5_000_000), max_size=30), st.lists(st.integers(0, 30), max_size=5))
def test_the_clock_follows_from_the_set_of_times_and_never_goes_back(found, at):
    whole, parts = Clock(found), Clock()
    edges = [0, *sorted(min(a, len(found)) for a in at), len(found)]
    before = parts.ms
    for a, b in pairwise(edges):
        parts.add(sorted(found[a:b], reverse=True))
        assert parts.ms >= before
        before = parts.ms
    assert whole.ms == parts.ms
    newest = sorted(set(found))[-AGREEING:]
    assert whole.ms == (min(newest[-1], newest[0] + AHEAD_MS) if len(newest) == AGREEING else NEVER_MS)


def test_a_few_pings_from_the_future_do_not_move_the_clock():
    clock = Clock(range(0, 60_000, 5_000))
    clock.add([90_000_000, 80_000_000])
    assert clock.ms < 60_000 + AHEAD_MS
    assert clock.newest_ms == 90_000_000


def shift(start_ms: int = START_MS) -> Drawn:
    return (
        Drawn(start_ms=start_ms).stand(30).drive(900).stand(200).drive(2500).stand(300).drive(6000).stand(300)
    )


def statuses(outputs) -> list[tuple[str, int, str]]:
    return [(o.customer_id, o.revision, o.status.value) for o in outputs if isinstance(o, ServiceTime)]


def test_a_day_ends_by_itself_when_the_next_begins():
    engine = engine_of(FENCES)
    engine.feed(batch(shift().pings))
    told = engine.feed(batch(Drawn(start_ms=START_MS + 14 * HOUR_MS).stand(120).pings))
    assert statuses(told) == [("c900", 2, "completed"), ("c6000", 1, "open_ended")]  # surer of the first


def test_settling_twice_tells_nothing_twice():
    engine = engine_of(FENCES)
    engine.feed(batch(shift().pings))
    assert len(statuses(engine.settle())) >= 1
    assert engine.settle() == []


def test_what_was_told_as_open_stands_until_it_is_known_better():
    """Settled too early, while the van stands: no retraction, one revision when it leaves."""
    track = shift()
    engine, pings = engine_of(FENCES), track.pings
    half = next(n for n, p in enumerate(pings) if p.ts_ms > START_MS + 700_000)
    told = [*engine.feed(batch(pings[:half])), *engine.settle()]
    for ping in pings[half:]:
        told += engine.feed(batch([ping]))
    told += engine.settle()
    assert "retracted" not in [status for *_, status in statuses(told)]
    whole = engine_of(FENCES)
    whole_told = [*whole.feed(batch(pings)), *whole.settle()]
    assert essence(final(told)) == essence(final(whole_told))


def test_a_visit_that_late_pings_disprove_is_retracted():
    """The phone was silent for minutes; its pings show that it was elsewhere."""
    still = Drawn().stand(30).drive(900).stand(6).silent(500).stand(6).drive(6000).stand(300)
    away = Drawn(start_ms=START_MS).stand(30).drive(900).stand(6)
    away.drive(-1700).drive(900, mps=12)
    moving = [p for p in away.pings if START_MS + 135_000 <= p.ts_ms <= START_MS + 630_000]
    engine = engine_of(FENCES)
    told = engine.feed(batch(still.pings))
    assert statuses(told)[:1] == [("c900", 1, "completed")]
    told += engine.feed(batch(moving))
    assert [r.customer_id for r in standing(told)] != ["c900"]
    assert ("c900", 2, "retracted") in statuses(told)
    retracted = final(told)[told[0].visit_id if isinstance(told[0], ServiceTime) else ""]
    assert (retracted.service_time_s, retracted.confidence, retracted.pings) == (0.0, 0.0, 0)
