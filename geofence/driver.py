"""All that is known of one driver: the days kept, the routes, and what was told of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Final, TypeGuard

import numpy as np

from geofence.clock import AHEAD_MS, FOREVER_MS, NEVER_MS, Clock
from geofence.day import Day, home_of, regrouped
from geofence.device import DeviceEvent
from geofence.events import Output, ServiceTime, VisitStatus
from geofence.fences import Fence, FenceSet
from geofence.naming import Names
from geofence.plan import Plan, covers
from geofence.routes import Route
from geofence.rules import Rules
from geofence.shift import Shift
from geofence.snapshots import EVERY_MS, SLACK_MS, Snapshot
from geofence.telling import Teller
from geofence.ticks import Ticks
from geofence.track import Packed, Rows

PLAN_SPAN_MS: Final = 16 * 3_600_000  # routes that begin within so long of the day's first ping are its plan
NOTHING: Final = np.empty((0, 5))


@dataclass(slots=True)
class Taken:
    """How the pings (or device events) of one batch ended."""

    used: int = 0
    duplicate: int = 0
    too_late: int = 0


class Driver:
    """Takes a driver's pings in any order and tells what follows from them.

    The work is done in steps of the pings' own time, each when no ping within the allowed lateness can
    change it any more. So it does not matter in what portions they come.
    """

    def __init__(self, driver_id: str, fences: FenceSet, rules: Rules, events: bool = True) -> None:
        self.driver_id = driver_id
        self.days: list[Day] = []
        self.gone: list[Day] = []  # days let go whose persisted state is still to be deleted
        self.routes: dict[str, Route] = {}
        self.new_routes: set[str] = set()
        self.saved_routes: dict[str, int] = {}
        self.saved_head = b""
        self.touched = True  # more than pings that only add to the day under way came since that
        self.serial = 0
        self.teller = Teller(driver_id, rules.config_hash)
        self.clock = Clock()
        self.device_ms = NEVER_MS  # time of the newest device event
        self._ticks = Ticks(driver_id)
        self._fences = fences
        self._rules = rules
        self._events = events  # wanted beside the records
        self._lateness_ms = round(1000 * rules.allowed_lateness_s)
        self._gap_ms = round(1000 * rules.shift_gap_s)
        self._kept_ms = round(1000 * rules.day_kept_s)
        self._due_ms = NEVER_MS  # no step of work before that time is left

    def put_route(self, route: Route) -> bool:
        """Add or replace a route; whether that changes the plan of days, which begin anew then."""
        if self.routes.get(route.route_id) == route:
            return False
        self.touched = True
        plans = [self._plan_of(day) for day in self.days]
        self.routes[route.route_id] = route
        self.new_routes.add(route.route_id)
        changed = [d for d, p in zip(self.days, plans, strict=True) if not self._plan_of(d).tells_the_same(p)]
        for day in changed:
            day.begin_anew()
        return bool(changed)

    def redo(self, near: Sequence[tuple[Fence, frozenset[int] | None]] | None) -> bool:
        """Have the days that these fences concern (None: all) worked through again; whether there are any.

        Each comes with the cells near it, see `fences.cells_near`.
        """
        found = [
            d
            for d in self.days
            if d.shift is not None and (near is None or any(d.shift.concerns(*n) for n in near))
        ]
        for day in found:
            day.begin_anew()
        return bool(found)

    def names(self, fence_id: str, fence: Fence | None) -> bool:
        """Whether a visit told is of that fence, or a day not worked through may come near it."""
        told = any(t.fence_id == fence_id and not t.retracted for t in self.teller.told.values())
        return told or any(d.shift is None and fence is not None and d.meets(fence) for d in self.days)

    def follow(self, times: Sequence[int], rows: Packed) -> bool:
        """Take in pings that only add to the day under way, as almost all do; False, undone, if they do not.

        Their times (ms) ascend, with no silence between them that would end a day; the rows of a track come
        one after the other.
        """
        first_ms, last_ms = times[0], times[-1]
        if not self.days or first_ms <= self.clock.newest_ms:
            return False
        day = self.days[-1]
        if not day.goes_on(first_ms, last_ms, self._gap_ms):
            return False
        if max(last_ms, self.device_ms - self._kept_ms) - self._kept_ms > first_ms:
            return False
        self.clock.go_on(times)
        day.track.extend(rows)
        self._due_ms = NEVER_MS if day.shift is None else min(self._due_ms, self._ticks.of(first_ms))
        return True

    def take(self, rows: Rows) -> Taken:
        """Take pings in (columns of `Track`, in the order they came); returns how each ended."""
        self.touched = True
        worked_ms = self.note_worked()
        fresh = self._in_time(rows)
        taken = Taken(too_late=len(rows) - len(fresh))
        if len(fresh) > 1 and bool(np.any(fresh[1:, 0] < fresh[:-1, 0])):
            fresh = fresh[np.argsort(fresh[:, 0], kind="stable")]
        if len(fresh):
            day = home_of(self.days, fresh[:, 0], self._gap_ms)
            taken.duplicate = day.put(fresh) if day is not None else self._regroup(fresh, (), worked_ms)
            taken.used = len(fresh) - taken.duplicate
            redo = day is None or day.shift is None
            self._due_ms = NEVER_MS if redo else min(self._due_ms, self._ticks.of(int(fresh[0, 0])))
        return taken

    def take_device(self, events: Sequence[DeviceEvent]) -> Taken:
        """Take entries and exits in that the phone found; returns how each ended."""
        self.touched = True
        worked_ms = self.note_worked()
        taken = Taken()
        for event in events:
            if event.ts_ms < self._overall_ms() - self._kept_ms:
                taken.too_late += 1
                continue
            day = home_of(self.days, np.array([event.ts_ms]), self._gap_ms)
            if day is None:
                self._regroup(NOTHING, (event,), worked_ms)
                fresh = True
            else:
                fresh = day.put_device(event)
            taken.used += fresh
            taken.duplicate += not fresh
            self.device_ms = max(self.device_ms, event.ts_ms)
        self._due_ms = NEVER_MS
        return taken

    def _in_time(self, rows: Rows) -> Rows:
        """The rows that come while their day is kept; the clock goes on with them, one by one."""
        before = self.clock.copy()
        times = rows[:, 0]
        self.clock.add(np.sort(times)[::-1])
        if times.min() >= self._overall_ms() - self._kept_ms:
            return rows
        self.clock = before
        fresh = []
        for n, ts_ms in enumerate(times.tolist()):
            if ts_ms >= self._overall_ms() - self._kept_ms:
                fresh.append(n)
                self.clock.add((ts_ms,))
        return rows[fresh]

    def _regroup(self, rows: Rows, events: Sequence[DeviceEvent], worked_ms: int) -> int:
        """Take in what begins, joins or shifts days; returns how many rows were duplicates."""
        serials = count(self.serial)
        old = self.days
        self.days, duplicates = regrouped(old, rows, events, self._gap_ms, serials, worked_ms)
        self.serial = next(serials)
        kept = {d.serial for d in self.days}
        self.gone += [d for d in old if d.serial not in kept]
        for told in self.teller.told.values():
            if told.day not in kept:
                spans = [d for d in self.days if d.first_ms <= told.departed_ms]
                told.day = (spans or self.days)[-1 if spans else 0].serial
        return duplicates

    def _overall_ms(self) -> int:
        """The time reached by the pings; device events are apart, ahead by what is kept at most."""
        ms, device_ms = self.clock.ms, self.device_ms - self._kept_ms
        return ms if ms > device_ms else device_ms

    def _limit_ms(self, day: Day | None) -> int:
        """Steps of a day before this time are due."""
        if day is not None and len(day.track) == 0:
            return max(self.clock.ms, self.device_ms) - self._lateness_ms
        return self._overall_ms() - self._lateness_ms

    def _worked_ms(self, day: Day | None) -> int:
        """The last step due."""
        return self._ticks.before(self._limit_ms(day))

    def note_worked(self) -> int:
        """Note how far each day has been worked through, all that is due being done; and a new one too."""
        for day in self.days:
            day.worked_ms = self._worked_ms(day)
        return self._worked_ms(None)

    def due(self) -> bool:
        """Whether there is something to work through."""
        return self._overall_ms() - self._lateness_ms > self._due_ms

    def work(self) -> list[Output]:
        """Work through what has ripened; returns what can be told, revisions included."""
        return self._each_day(self._work_day)

    def settle(self) -> list[Output]:
        """The driver's data ends here: tell everything, open visits included."""
        outputs = self.work()
        return outputs + self._each_day(self._finish)

    def _each_day(self, work: Callable[[int, list[Output]], int]) -> list[Output]:
        self.touched = True
        outputs: list[Output] = []
        taken: frozenset[str] = frozenset()
        due = []
        for n, day in enumerate(self.days):
            names = taken | day.carry
            if day.names is not None and not day.names.hold(names):
                day.begin_anew()
            if day.shift is None:
                self._resume(n, names, outputs)
            due.append(work(n, outputs))
            day.late = False
            if n + 1 < len(self.days):
                taken |= self.teller.ids_of(day.serial)
        self._due_ms = min(due, default=FOREVER_MS)
        self.note_worked()
        self._let_days_go()
        return outputs

    def _resume(self, n: int, names: frozenset[str], outputs: list[Output]) -> None:
        """Make a day's running state, as it was after the last step done."""
        day = self.days[n]
        worked_ms = min(day.worked_ms, self._worked_ms(day))
        day.names = day.names or Names(self.driver_id, names)
        day.shift, settled = day.snapshots.latest() or Snapshot(self._begun(day, day.names))
        settled = self._keep_for_later(day, worked_ms, settled)
        day.late_from_ms = FOREVER_MS
        day.open = set(self.teller.ids_of(day.serial) - settled)
        if day.finished:
            day.shift.finish()
        elif day.late and self._end_ms(n) < self._limit_ms(day):
            return  # its end comes at once
        else:
            day.shift.catch_up(worked_ms)
        self._tell(day, outputs)
        day.late = False

    def _begun(self, day: Day, names: Names) -> Shift:
        """The state in which the work on a day begins."""
        plan = self._plan_of(day)
        return Shift(
            self.driver_id, day.track, day.device, plan, self._fences, self._rules, names, self._events
        )

    def _plan_of(self, day: Day) -> Plan:
        routes = [self.routes[k] for k in sorted(self.routes)]
        return Plan(routes, day.first_ms, day.first_ms + PLAN_SPAN_MS)

    def _keep_for_later(self, day: Day, worked_ms: int, settled: frozenset[str]) -> frozenset[str]:
        """Work on to shortly before what came late, and keep that state, since more of the kind may come.

        Returns the visits settled by then, which were told before, as all else that is certain there.
        """
        assert day.shift is not None
        until_ms = min(day.late_from_ms - SLACK_MS, worked_ms)
        if day.late_from_ms == FOREVER_MS or until_ms - max(day.shift.until_ms, day.first_ms) < EVERY_MS:
            return settled
        day.shift.catch_up(until_ms)
        settled |= day.shift.pass_over()
        day.snapshots.add(day.shift, settled)
        return settled

    def _work_day(self, n: int, outputs: list[Output]) -> int:
        """Take the steps of a day that are due; returns the time of the next."""
        day, end_ms = self.days[n], self._end_ms(n)
        limit_ms = self._limit_ms(day)
        if day.late and end_ms < limit_ms:
            return self._finish(n, outputs)
        while not day.finished:
            assert day.shift is not None
            tick = day.shift.next_tick()
            step_ms = end_ms if tick is None else min(tick, end_ms)
            if step_ms >= limit_ms:
                return step_ms
            if step_ms == end_ms:
                self._finish(n, outputs)
            else:
                waits = bool(day.open) and not day.shift.waiting  # for something to be withdrawn, at any step
                idle_ms = day.shift.advance(step_ms, step_ms if waits else min(limit_ms, end_ms))
                day.events_after_ms = max(day.events_after_ms or NEVER_MS, idle_ms)
                self._tell(day, outputs)
        return FOREVER_MS

    def _finish(self, n: int, outputs: list[Output]) -> int:
        """A day's data ends."""
        day = self.days[n]
        if not day.finished:
            assert day.shift is not None
            day.shift.finish()
            day.finished = True
            self._tell(day, outputs)
        return FOREVER_MS

    def _end_ms(self, n: int) -> int:
        """The step with which a day ends: after a long silence, or when it has lasted too long."""
        ends = self.days[n].last_ms + self._gap_ms
        if n + 1 < len(self.days):
            ends = min(ends, self.days[n + 1].first_ms)
        return self._ticks.of(ends)

    def _tell(self, day: Day, outputs: list[Output]) -> None:
        assert day.shift is not None
        told_ms = day.events_after_ms if self._events else None
        report = day.shift.report(FOREVER_MS if told_ms is None else told_ms)
        decided_ms = day.shift.decided_ms()
        until_ms = min(report.told_by_ms, decided_ms)
        told = self.teller.tell(day, report, decided_ms)
        if self._events and (gone := [o for o in told if _withdrawn(o)]):
            told += day.shift.withdrawn(gone, until_ms if told_ms is None else told_ms)
        outputs += told
        if report.looked:
            day.shift.let_go()
        if day.events_after_ms is None or report.looked:
            day.events_after_ms = max(day.events_after_ms or NEVER_MS, until_ms)
        after_ms = FOREVER_MS if day.passes_after_ms is None else day.passes_after_ms
        passes, until_ms = day.shift.pass_bys(report, after_ms)
        outputs += passes
        day.passes_after_ms = max(day.passes_after_ms or NEVER_MS, until_ms)

    def _let_days_go(self) -> None:
        """Drop the days that no ping within what is kept can touch any more."""
        limit = self._overall_ms() - max(self._kept_ms + self._gap_ms, AHEAD_MS)
        while len(self.days) > 1 and self.days[0].last_ms < limit:
            day = self.days.pop(0)
            told = self.teller.ids_of(day.serial)
            for later in self.days:
                if later.names is not None:
                    later.carry |= later.names.avoided() & told
            self.teller.forget(day.serial)
            self.gone.append(day)
        for route_id in [k for k, r in self.routes.items() if not covers(r, limit, FOREVER_MS)]:
            del self.routes[route_id]
            self.new_routes.discard(route_id)


def _withdrawn(output: Output) -> TypeGuard[ServiceTime]:
    return isinstance(output, ServiceTime) and output.status is VisitStatus.RETRACTED
