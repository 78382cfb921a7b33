"""One working day of one driver, from pings to visits: decode, cut out standstills, assign, report.

Everything here follows from the day's pings and device events, the plan and the fences alone; doing it in
many small steps or in one gives the same visits.
"""

from array import array
from collections.abc import Iterable, Sequence
from copy import copy
from math import isnan
from typing import Final

import numpy as np

from geofence.assignment import Assigner
from geofence.cells import NEAR_M, key_of
from geofence.clock import FOREVER_MS, NEVER_MS
from geofence.creeping import Creeping
from geofence.crossing import crossings
from geofence.decoding import T, X, Y
from geofence.device import SEEN_MS, DeviceLog, Pair, stay_of
from geofence.events import FenceEvent, ServiceTime
from geofence.evidence import Candidate, Nearby, nearby, places_of
from geofence.fences import SLACK, Fence, FenceSet
from geofence.geometry import METRES_PER_DEGREE, LocalPlane
from geofence.naming import Names
from geofence.passing import BLOCK_MS, Passes
from geofence.plan import Plan
from geofence.ripening import CLOSES, TELLS, TRIMS, Ripe, Waits
from geofence.rules import Rules
from geofence.standings import APART_MS
from geofence.standstills import CONTEXT, Standstill, progress, to_standstill
from geofence.stays import Stay
from geofence.ticks import Ticks
from geofence.track import Decoded, Floats, Track
from geofence.visits import Report, Reporter
from geofence.walk import Walk

WALK_FIXES: Final = 48
TRIM: Final = 128  # decoded fixes are let go in portions


class Shift:
    """The running state of one day: `advance` as pings ripen, `report` what can be told."""

    def __init__(
        self,
        driver_id: str,
        track: Track,
        device: DeviceLog,
        plan: Plan,
        fences: FenceSet,
        rules: Rules,
        names: Names,
        events: bool = True,
    ) -> None:
        self.finished = False
        self.until_ms = NEVER_MS
        """Worked through up to this time."""
        self._ticks = Ticks(driver_id)
        self._track = track
        self._device = device
        self._decoded = Decoded()
        self._fences = fences
        self._rules = rules
        self._assigner = Assigner(plan, rules.dwell_s)
        self._reporter = Reporter(driver_id, plan, rules, names)
        self._passes = Passes(driver_id, fences, events and rules.tell_pass_bys)
        self._creeping = Creeping()
        self._begin = 0  # believed fix from which standstills are looked for
        self._paired = Pair(-1, -1, "")  # the latest pair looked at
        self._stood = Pair(-1, -1, "")  # the latest that was taken for a stay
        self._looked = array("d")  # lat, lon, reach of places where fences were looked for: a new one matters
        self._cells: set[int] = set()  # those of these places
        self._reach_m = 0.0  # the longest of these reaches

    def copy(self) -> "Shift":
        """The same state once more, each to go on by itself; what only ever grows is shared."""
        other = copy(self)
        other._decoded = self._decoded.copy()
        other._assigner = self._assigner.copy()
        other._reporter = self._reporter.copy()
        other._passes = self._passes.copy()
        other._creeping = copy(self._creeping)
        other._looked, other._cells = array("d", self._looked), set(self._cells)
        return other

    @property
    def rows_read(self) -> int:
        """How many of the track's rows have been worked through."""
        return self._decoded.rows_read

    @property
    def waiting(self) -> bool:
        """Whether there are visits that may yet be told, or told anew."""
        return self._reporter.due_ms is not None

    def next_tick(self) -> int | None:
        """The time up to which the next step works, None when everything is read."""
        due = self._device.certain_after(self.until_ms) if self._device.events else None
        if self.rows_read < len(self._track):
            row_ms = self._track.ts_ms(self.rows_read)
            due = row_ms if due is None else min(due, row_ms)
        return None if due is None else max(self._ticks.of(due), self.until_ms)

    def advance(self, until_ms: int, before_ms: int) -> int:
        """Work through the step that ends at a time; go on before another while there is nothing to tell.

        Returns up to when all was known in the steps gone by, where no visit waits to be told.
        """
        if self._device.events or not self._decoded.final:
            self._step(until_ms)
            return NEVER_MS
        idle_ms, waiting = NEVER_MS, self.waiting
        while True:
            ripe = self._ripen(until_ms, before_ms)
            idle_ms = max(idle_ms, ripe.idle_ms)
            tick = self.next_tick()
            if ripe.why & (CLOSES | TELLS) or tick is None or tick >= before_ms:
                break
            idle_ms = max(idle_ms, min(self._reporter.told_by_ms(self._now_ms()), self.decided_ms()))
            until_ms = tick
        return NEVER_MS if waiting else idle_ms

    def _ripen(self, until_ms: int, before_ms: int) -> Ripe:
        """Go on as far as compiled code can, and do there what is due beside telling."""
        due_ms = self._reporter.due_ms
        waits = Waits(
            CONTEXT + TRIM,
            self._reporter.decide_after_ms,
            FOREVER_MS if due_ms is None else due_ms,
            self._passes.due_ms(),
        )
        ripe = self._decoded.ripen(
            self._track, self._rules, self._begin, until_ms, before_ms, self._ticks.offset_ms, waits
        )
        self._begin, self.until_ms = ripe.begin, max(self.until_ms, ripe.until_ms)
        if ripe.why & (CLOSES | TRIMS):
            self._close(ripe.runs, ripe.ahead)
        return ripe

    def _step(self, until_ms: int) -> None:
        """Work through what happened up to a time, in one."""
        self.until_ms = max(self.until_ms, until_ms)
        self._decode(self._track.row_after(until_ms))
        d = self._decoded
        runs: Iterable[Floats] = ()
        closed, begin = progress(d.t, d.state, d.kind, self._begin, d.final)
        if closed:
            runs, begin = d.runs(begin)
        self._close(runs, begin)

    def catch_up(self, until_ms: int) -> None:
        """Be where the steps due by a time lead to, in one."""
        row = self._track.row_after(until_ms)
        last_row = self._ticks.of(self._track.ts_ms(row - 1)) if row else -1
        last_event = self._device.certain_by(until_ms)
        due = max(last_row, self._ticks.of(last_event) if last_event <= until_ms else -1)
        if due >= 0:
            self._step(due)

    def finish(self) -> None:
        """Work through all there is: the day's data ends here."""
        self.until_ms = FOREVER_MS
        self._decode(len(self._track))
        self._close(*self._decoded.runs(self._begin, all_of_them=True), at_end=True)
        self.finished = True

    def report(self, events_after_ms: int) -> Report:
        """Records of the visits that can be told and may have changed, and events later than that time."""
        return self._reporter.report(self._assigner, self._now_ms(), self.finished, events_after_ms)

    def withdrawn(self, visits: Iterable[ServiceTime], until_ms: int) -> list[FenceEvent]:
        """The rejections of visits that were told and are none after all, of stays that ended by a time."""
        return self._reporter.withdrawn(visits, until_ms)

    def let_go(self) -> None:
        """Forget what was reported for the last time."""
        self._reporter.let_go(self._assigner)

    def pass_over(self) -> frozenset[str]:
        """Tell nothing of all that is certain now, and let go of it; the visits that were settled."""
        report = self.report(FOREVER_MS)
        if report.looked:
            self.let_go()
        self.pass_bys(report, FOREVER_MS)
        self._reporter.look_again()
        return frozenset([r.visit_id for r in report.records[: report.settled]])

    def pass_bys(self, report: Report, after_ms: int) -> tuple[list[FenceEvent], int]:
        """Fences driven through, settled after that time; and up to when they have been told now."""
        if report.looked:
            self._passes.serve(report.records, report.settled)
        until_ms = report.told_by_ms // BLOCK_MS * BLOCK_MS
        if self.finished:
            until_ms = self._now_ms() + APART_MS
        elif self._passes.due(until_ms):
            until_ms = min(until_ms, self.decided_ms() // BLOCK_MS * BLOCK_MS)
            until_ms = min(until_ms, self._driven_ms() // BLOCK_MS * BLOCK_MS)
        if not self._passes.due(until_ms):
            return [], NEVER_MS
        self._passes.drive(self._driven())
        self._passes.look(self._decoded)
        return self._passes.tell(until_ms, after_ms), until_ms

    def decided_ms(self) -> int:
        """What ended by then is decided, as far as anything is before the day has ended."""
        if self.finished:
            return FOREVER_MS
        d = self._decoded
        decided = self._decoded.fix_ms(self._begin) if self._begin < len(d) else self._now_ms()
        return min(decided, self.until_ms - SEEN_MS) if self._device.events else decided

    def concerns(self, fence: Fence, cells: frozenset[int] | None) -> bool:
        """Whether the fence, or its absence, may change what was found.

        These cells are near it, see `fences.cells_near`.
        """
        if any(e.fence_id == fence.fence_id for e in self._device.events):
            return True
        if cells is not None and self._reach_m <= NEAR_M and self._cells.isdisjoint(cells):
            return False
        west, south, east, north = fence.box()
        looked = np.frombuffer(self._looked).reshape(-1, 3)
        lat, lon, reach = looked[:, 0], looked[:, 1], looked[:, 2]
        slack = SLACK * reach / METRES_PER_DEGREE + 1e-5
        near = (lat >= south - slack) & (lat <= north + slack)
        if not near.any():
            return False
        away = np.abs((lon[near] - (west + east) / 2 + 180.0) % 360.0 - 180.0)
        scale = np.maximum(np.cos(np.radians(lat[near])), 1e-3)
        return bool(np.any(away <= (east - west) / 2 + slack[near] / scale))

    def _now_ms(self) -> int:
        """Time of the last believed fix, or up to which was worked when there is none."""
        d = self._decoded
        if len(d):
            return self._decoded.fix_ms(-1)
        if self.finished and self._device.events:
            return self._device.events[-1].ts_ms
        return self.until_ms

    def _decode(self, end: int) -> None:
        """Decode the track's rows up to that number."""
        if end > self.rows_read:
            self._settle_plane()
            self._decoded.extend(self._track, end, self._rules)

    def _close(self, runs: Iterable[Floats], begin: int, at_end: bool = False) -> None:
        """Assign the standstills that have closed; later ones are looked for from fix number `begin` on."""
        d = self._decoded
        for run in runs:
            self._take(to_standstill(run, d.origin_ms))
        self._begin = begin
        if self._device.events:
            over = len(d) == 0 or at_end or self._begin >= len(d)
            self._take_pairs(self.until_ms if over else d.fix_ms(self._begin))
        if self._begin > CONTEXT + TRIM:
            self._passes.drive(self._driven())
            self._passes.look(d)
            dropped = d.forget_before(self._begin - CONTEXT)
            self._begin -= dropped
            self._passes.shift(dropped)

    def _driven(self) -> int:
        """The believed fix up to which every standstill has been taken."""
        return len(self._decoded) - 1 if self.finished else self._begin - 1

    def _driven_ms(self) -> int:
        return self._decoded.fix_ms(self._driven()) if self._driven() >= 0 else NEVER_MS

    def _take(self, standstill: Standstill) -> None:
        """Assign a standstill and what the phone told of before it; pings decide where there are any."""
        if self._device.events:
            self._take_pairs(self._decoded.fix_ms(standstill.first))
            if standstill.hidden and self._stood.exited_ms > self._decoded.fix_ms(standstill.last):
                return  # what the pings only suggest, the phone saw
        self._assign(standstill)
        if self._device.events and not standstill.hidden:
            last_ms = self._decoded.fix_ms(standstill.last)
            for pair in self._device.pairs(self._paired, self.until_ms):
                if pair.exited_ms <= last_ms:
                    self._paired = pair

    def _take_pairs(self, until_ms: int) -> None:
        """Entries and exits up to a time without a ping between them are stays of their own."""
        for pair in self._device.pairs(self._paired, self.until_ms):
            if pair.exited_ms > until_ms:
                break
            self._paired = pair
            if not self._pinged(pair) and not pair.covered_by(self._stood):
                self._stand(pair)

    def _pinged(self, pair: Pair) -> bool:
        """Whether there is a believed fix between an entry and its exit."""
        d = self._decoded
        at = int(np.searchsorted(d.t, (pair.entered_ms - d.origin_ms) / 1000, side="right"))
        return at < len(d.t) and bool(d.t[at] < (pair.exited_ms - d.origin_ms) / 1000)

    def _stand(self, pair: Pair) -> None:
        self._settle_plane()
        rivals = self._device.rivals(pair)
        stay = stay_of(pair, rivals, self._stood.exited_ms, self._fences, self._decoded.plane)
        if stay is None:
            return
        self._stood = pair
        nothing = np.empty(0)
        begin_s, end_s = stay.standstill.arrived_ms / 1000, stay.standstill.departed_ms / 1000
        park, noise_m = stay.standstill.park, stay.standstill.noise_m
        walk = Walk(nothing, nothing, nothing, park, noise_m, begin_s, end_s, end_s - begin_s)
        number = self._reporter.next_number
        near = Nearby.of(stay.candidates)
        found = self._assigner.step(number, stay.standstill, walk, near)
        crossed = [stay.crossed[c.fence.fence_id] for c in found]
        self._reporter.add(Stay(stay.standstill, tuple(found), None, crossed, by_device=True))
        self._passes.stand(0, stay.standstill, near)

    def _settle_plane(self) -> None:
        """A day that begins with the phone's own events has its plane there; else about the first fixes."""
        if self._decoded.placed:
            return
        first_ms = self._track.first_ms if len(self._track) else FOREVER_MS
        for event in self._device.events:
            fence = self._fences.get(event.fence_id, event.ts_ms)
            if event.ts_ms >= first_ms or event.ts_ms > self.until_ms:
                return
            if fence is not None:
                self._decoded.place(LocalPlane(fence.lat, fence.lon))
                return

    def _assign(self, standstill: Standstill) -> None:
        d = self._decoded
        places, reach_m = places_of(standstill, d.plane), self._rules.reach_m + standstill.noise_m
        self._reach_m = max(self._reach_m, reach_m)
        for place in places:
            self._looked.extend((*place, reach_m))
            self._cells.add(key_of(*place))
        near = nearby(standstill, places, reach_m, d.plane, self._fences)
        by_phone = False
        if self._device.events and not standstill.hidden:
            seen = self._device.seen(standstill, [f.fence_id for f in near.fences])
            by_phone, standstill = seen is not standstill, seen
        self._passes.drive(min(standstill.first, standstill.last))
        self._passes.stand(max(standstill.first, standstill.last), standstill, near)
        moves = self._creeping.moves(standstill)
        index = self._reporter.next_number
        if not near.fences:
            self._reporter.add(Stay(standstill, (), None))
            self._assigner.skip(index)
            return
        walk = self._walk(standstill)
        found = self._assigner.step(index, standstill, walk, near, moves)
        crossed = crossings(d, found, standstill)
        if self._device.events:
            self._told_by_phone(found, standstill, crossed)
        accuracy_m = self._accuracy(standstill)
        self._reporter.add(Stay(standstill, tuple(found), accuracy_m, crossed, by_phone=by_phone))

    def _told_by_phone(
        self, found: Sequence[Candidate], standstill: Standstill, crossed: Sequence[list[int]]
    ) -> None:
        """Times of entry and exit that the track does not show are those that the phone tells."""
        for candidate, times in zip(found, crossed, strict=True):
            fence_id = candidate.fence.fence_id
            told = self._device.crossed(fence_id, standstill.arrived_ms, standstill.departed_ms)
            for n, ts_ms in enumerate(told):
                if times[n] == NEVER_MS and ts_ms is not None:
                    times[n] = ts_ms

    def _walk(self, standstill: Standstill) -> Walk:
        """The fixes of a standstill, thinned to a number that is quick to look through."""
        d = self._decoded
        every = max(1, -(-(standstill.last + 1 - standstill.first) // WALK_FIXES))
        fixes = d.floats[:, standstill.first : standstill.last + 1]
        if every > 1:
            fixes = np.ascontiguousarray(fixes[:, ::every])
        begin_s = (standstill.arrived_ms - d.origin_ms) / 1000
        end_s = (standstill.departed_ms - d.origin_ms) / 1000
        return Walk(
            fixes[T],
            fixes[X],
            fixes[Y],
            standstill.park,
            standstill.noise_m,
            begin_s,
            end_s,
            standstill.max_gap_s,
        )

    def _accuracy(self, standstill: Standstill) -> float | None:
        if standstill.first > standstill.last:
            return None
        first, last = self._decoded.row_of(standstill.first), self._decoded.row_of(standstill.last)
        accuracy_m = self._track.median_accuracy_m(first, last + 1)
        return None if isnan(accuracy_m) else round(accuracy_m, 1)
