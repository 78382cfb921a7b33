"""All that is known of one driver: the pings of the days kept, the routes, and what was told of them."""

from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Final

import numpy as np

from geofence.events import Output, ServiceTime, VisitStatus
from geofence.fences import FenceSet
from geofence.plan import Plan, covers
from geofence.routes import Route
from geofence.rules import Rules
from geofence.shift import TICK_MS, Shift
from geofence.state import Saved, Told
from geofence.track import Rows, Track

FOREVER_MS: Final = 1 << 60
DAY_LASTS_MS: Final = 20 * 3_600_000  # a phone that never sleeps begins a new day after so long
PLAN_SPAN_MS: Final = 16 * 3_600_000  # routes that begin within so long of the day's first ping are its plan


@dataclass(slots=True)
class Taken:
    """How the pings of one batch ended."""

    used: int = 0
    duplicate: int = 0
    too_late: int = 0


class Day:
    """One shift's track with what was told of it."""

    def __init__(self, serial: int) -> None:
        self.serial = serial
        self.track = Track()
        self.shift: Shift | None = None
        self.told: dict[str, Told] = {}
        self.events_after_ms = -1
        self.finished = False
        self.late = False  # a ping came into what had been worked through
        self.saved = Saved()


class Driver:
    """Takes a driver's pings in any order and tells what follows from them."""

    def __init__(self, driver_id: str, fences: FenceSet, rules: Rules) -> None:
        self.driver_id = driver_id
        self._fences = fences
        self._rules = rules
        self.days: list[Day] = []
        self.routes: dict[str, Route] = {}
        self.gone: list[Day] = []  # days let go whose persisted state is still to be deleted
        self.new_routes: set[str] = set()
        self.saved_routes: dict[str, int] = {}
        self.saved_head = b""
        self.serial = 0
        self._lateness_ms = round(1000 * rules.allowed_lateness_s)
        self._gap_ms = round(1000 * rules.shift_gap_s)
        self._kept_ms = round(1000 * rules.day_kept_s)
        self.newest_ms = 0
        self._due_ms = 0  # nothing to work through before a ping this new

    def put_route(self, route: Route) -> None:
        """Add or replace a route; days that it covers are worked through again."""
        if self.routes.get(route.route_id) == route:
            return
        old = self.routes.get(route.route_id)
        self.routes[route.route_id] = route
        self.new_routes.add(route.route_id)
        for day in self.days:
            span = day.track.first_ms, day.track.first_ms + PLAN_SPAN_MS
            if covers(route, *span) or (old is not None and covers(old, *span)):
                day.shift = None
        self._due_ms = 0

    def redo(self) -> None:
        """Work through everything kept again: a fence nearby changed."""
        for day in self.days:
            day.shift = None
        self._due_ms = 0

    def take(self, rows: Rows) -> Taken:
        """Take pings in (columns of `Track`); returns how each ended."""
        taken = Taken()
        newest = np.maximum.accumulate(np.maximum(rows[:, 0], self.newest_ms))
        fresh = rows[:, 0] >= newest - self._kept_ms
        if not fresh.all():
            taken.too_late = int(len(rows) - fresh.sum())
            rows = rows[fresh]
        self.newest_ms = int(newest[-1])
        for part in self._by_day(rows):
            self._put(part, taken)
        return taken

    def _by_day(self, rows: Rows) -> list[Rows]:
        """The rows in runs without a long silence, each sorted by time."""
        if len(rows) > 1 and bool(np.any(rows[1:, 0] < rows[:-1, 0])):
            rows = rows[np.argsort(rows[:, 0], kind="stable")]
        cuts = np.flatnonzero(np.diff(rows[:, 0]) >= self._gap_ms) + 1
        return [part for part in np.split(rows, cuts) if len(part)]

    def _put(self, rows: Rows, taken: Taken) -> None:
        day = self._day_of(int(rows[0, 0]), int(rows[-1, 0]))
        read = day.shift.rows_read if day.shift is not None else 0
        duplicates, first_new = day.track.append(rows)
        taken.duplicate += duplicates
        taken.used += len(rows) - duplicates
        if first_new is None:
            return
        if first_new < read or day.finished:
            day.shift = None
            day.late = day.late or not day.finished
            day.finished = False
            self._due_ms = 0
        day.saved.rewrite_from(first_new)

    def _day_of(self, from_ms: int, to_ms: int) -> Day:
        """The day these pings belong to; days that they join become one."""
        near = [
            d
            for d in self.days
            if d.track.first_ms - self._gap_ms < to_ms
            and from_ms < min(d.track.last_ms + self._gap_ms, d.track.first_ms + DAY_LASTS_MS)
        ]
        if not near:
            day = Day(self.serial)
            self.serial += 1
            self.days.append(day)
            self.days.sort(key=lambda d: d.track.first_ms if len(d.track) else from_ms)
            return day
        first = near[0]
        for other in near[1:]:
            if other.track.last_ms < first.track.first_ms + DAY_LASTS_MS:
                self._join(first, other)
        return first

    def _join(self, day: Day, other: Day) -> None:
        day.track.append(other.track.matrix())
        day.saved.rewrite_from(0)
        day.told.update(other.told)
        day.shift = None
        day.late = True
        self._due_ms = 0
        self.days.remove(other)
        self.gone.append(other)

    def due(self) -> bool:
        """Whether there may be something to work through."""
        return self.newest_ms >= self._due_ms

    def work(self) -> list[Output]:
        """Work through what has ripened; returns what can be told, revisions included."""
        outputs: list[Output] = []
        ripe_ms = self.newest_ms - self._lateness_ms
        due = []
        for day in self.days:
            self._resume(day, ripe_ms, outputs)
            assert day.shift is not None
            tick = day.shift.next_tick()
            while tick is not None and tick <= ripe_ms:
                day.shift.advance(tick)
                self._tell(day, outputs)
                tick = day.shift.next_tick()
            if tick is not None:
                due.append(tick)
        self._due_ms = min(due, default=self.newest_ms + 1) + self._lateness_ms
        self._let_days_go()
        return outputs

    def settle(self) -> list[Output]:
        """The driver's data ends here: tell everything, open visits included."""
        outputs = self.work()
        for day in self.days:
            if day.shift is not None and not day.finished:
                day.shift.finish()
                day.finished = True
                self._tell(day, outputs)
        return outputs

    def _resume(self, day: Day, ripe_ms: int, outputs: list[Output]) -> None:
        """Make the day's running state if there is none, up to the last step that was due."""
        if day.shift is not None:
            return
        routes = [self.routes[k] for k in sorted(self.routes)]
        plan = Plan(routes, day.track.first_ms, day.track.first_ms + PLAN_SPAN_MS)
        day.shift = Shift(self.driver_id, day.track, plan, self._fences, self._rules)
        if day.finished:
            day.shift.finish()
        elif day.told or day.late:
            day.shift.advance(ripe_ms // TICK_MS * TICK_MS)
        else:
            return
        self._tell(day, outputs, whole=True)
        day.late = False

    def _tell(self, day: Day, outputs: list[Output], whole: bool = False) -> None:
        assert day.shift is not None
        report = day.shift.report(day.events_after_ms)
        for record in report.records:
            self._revise(day, record, outputs)
        withdrawn = report.withdrawn
        if whole:
            now = {r.visit_id for r in report.records}
            withdrawn = [v for v in day.told if v not in now]
        for visit_id in withdrawn:
            told = day.told.get(visit_id)
            if told is not None and not told.retracted:
                outputs.append(self._retract(visit_id, told))
        outputs += report.events
        day.events_after_ms = max(day.events_after_ms, report.told_until_ms)

    def _revise(self, day: Day, record: ServiceTime, outputs: list[Output]) -> None:
        digest = _digest(record)
        told = day.told.get(record.visit_id)
        if told is not None and told.digest == digest and not told.retracted:
            return
        revision = 1 if told is None else told.revision + 1
        flags = record.flags
        if day.late and told is not None:
            flags = (*flags, "late_revision")
        record = replace(record, revision=revision, flags=flags)
        day.told[record.visit_id] = Told(
            revision, digest, record.customer_id, record.fence_id, record.route_id, record.stop_id,
            record.arrived_ms, record.departed_ms, retracted=False,
        )  # fmt: skip
        outputs.append(record)

    def _retract(self, visit_id: str, told: Told) -> ServiceTime:
        told.revision += 1
        told.retracted = True
        told.digest = b""
        return ServiceTime(
            visit_id=visit_id,
            revision=told.revision,
            status=VisitStatus.RETRACTED,
            driver_id=self.driver_id,
            customer_id=told.customer_id,
            fence_id=told.fence_id,
            route_id=told.route_id,
            stop_id=told.stop_id,
            arrived_ms=told.arrived_ms,
            departed_ms=told.departed_ms,
            service_time_s=0.0,
            entered_ms=None,
            exited_ms=None,
            parking_search_s=0.0,
            arrived_between_ms=(told.arrived_ms, told.arrived_ms),
            departed_between_ms=(told.departed_ms, told.departed_ms),
            confidence=0.0,
            runner_up=None,
            shared_with=(),
            share_method=None,
            pings=0,
            max_gap_s=0.0,
            median_accuracy_m=None,
            flags=(),
            config_hash=self._rules.config_hash,
        )

    def _let_days_go(self) -> None:
        """Drop the days that no ping within what is kept can touch any more."""
        limit = self.newest_ms - self._kept_ms - self._gap_ms
        for day in [d for d in self.days[:-1] if d.track.last_ms < limit]:
            self.days.remove(day)
            self.gone.append(day)
        for route_id in [k for k, r in self.routes.items() if not covers(r, limit, FOREVER_MS)]:
            del self.routes[route_id]
            self.new_routes.discard(route_id)


def _digest(record: ServiceTime) -> bytes:
    return blake2b(repr(record).encode(), digest_size=8).digest()
