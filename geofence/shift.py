"""One working day of one driver, from pings to visits: decode, cut out standstills, assign, report.

Everything here follows from the track, the plan and the fences alone; doing it in many small steps or in one
gives the same visits.
"""

from dataclasses import replace
from math import isnan
from statistics import median
from typing import Final

import numpy as np

from geofence.assignment import Assigner
from geofence.crossing import crossing_ms
from geofence.evidence import candidates
from geofence.fences import FenceSet
from geofence.plan import Plan
from geofence.rules import Rules
from geofence.standstills import Standstill, find_runs, to_standstill
from geofence.track import CONTEXT, Decoded, Track
from geofence.visits import Report, Reporter, Stay
from geofence.walk import Walk

CLOSE_S: Final = 90.0  # a standstill is certain when so much of what followed it is
TICK_MS: Final = 60_000  # the work is done in steps of this much event time
WALK_FIXES: Final = 48
TRIM: Final = 512  # decoded fixes are let go in portions


class Shift:
    """The running state of one day: `advance` as pings ripen, `report` what can be told."""

    def __init__(self, driver_id: str, track: Track, plan: Plan, fences: FenceSet, rules: Rules) -> None:
        self.track = track
        self.finished = False
        self._decoded = Decoded()
        self._fences = fences
        self._rules = rules
        self._assigner = Assigner(plan, rules.dwell_s)
        self._reporter = Reporter(driver_id, plan, rules)
        self._begin = 0  # believed fix from which standstills are looked for

    @property
    def rows_read(self) -> int:
        """How many of the track's rows have been worked through."""
        return self._decoded.rows_read

    def next_tick(self) -> int | None:
        """The time up to which the next step works, None when all rows are read."""
        if self.rows_read >= len(self.track):
            return None
        return -(-self.track.ts_ms(self.rows_read) // TICK_MS) * TICK_MS

    def advance(self, until_ms: int) -> None:
        """Work through the rows up to a time."""
        end = self.track.row_after(until_ms)
        if end > self.rows_read:
            self._decoded.extend(self.track, end, self._rules)
            self._close(at_end=False)

    def finish(self) -> None:
        """Work through all there is: the day's data ends here."""
        if len(self.track) > self.rows_read:
            self._decoded.extend(self.track, len(self.track), self._rules)
        self._close(at_end=True)
        self.finished = True

    def report(self, events_after_ms: int) -> Report:
        """Records of the visits that can be told and may have changed, and events later than that time."""
        if len(self._decoded.t) == 0:
            return Report([], [], [], events_after_ms)
        now_ms = self._decoded.origin_ms + round(1000 * float(self._decoded.t[-1]))
        return self._reporter.report(self._assigner, now_ms, self.finished, events_after_ms)

    def _close(self, at_end: bool) -> None:
        """Assign the standstills that nothing later can change (or all, at the end of the data)."""
        d = self._decoded
        begin = max(self._begin - CONTEXT, 0)
        runs = find_runs(
            d.t[begin:], d.x[begin:], d.y[begin:], d.noise_m[begin:], d.speed_mps[begin:],
            d.state[begin:], d.kind[begin:], self._begin - begin,
        )  # fmt: skip
        for run in runs:
            run[[0, 1, 16]] += begin
            after = int(run[16])
            certain = after < d.final and d.t[d.final - 1] >= run[17] + CLOSE_S
            if not certain and not at_end:
                break
            self._assign(to_standstill(run, d.origin_ms))
            self._begin = after
        else:
            self._begin = max(self._begin, d.final)
        if self._begin > CONTEXT + TRIM:
            self._begin -= d.forget_before(self._begin - CONTEXT)

    def _assign(self, standstill: Standstill) -> None:
        d = self._decoded
        near = candidates(standstill, d.plane, self._fences, self._rules)
        index = self._reporter.next_number
        if not near:
            self._reporter.add(Stay(standstill, (), None))
            self._assigner.skip(index)
            return
        walk = self._walk(standstill)
        found = self._assigner.step(index, standstill, walk, near)
        crossed = []
        for candidate in found:
            entered, exited = crossing_ms(d, candidate.fence, standstill)
            crossed.append(replace(candidate, entered_ms=entered, exited_ms=exited))
        self._reporter.add(Stay(standstill, tuple(crossed), self._accuracy(standstill)))

    def _walk(self, standstill: Standstill) -> Walk:
        """The fixes of a standstill, thinned to a number that is quick to look through."""
        d = self._decoded
        rows = slice(standstill.first, standstill.last + 1)
        every = max(1, -(-(standstill.last + 1 - standstill.first) // WALK_FIXES))
        begin_s = (standstill.arrived_ms - d.origin_ms) / 1000
        end_s = (standstill.departed_ms - d.origin_ms) / 1000
        t, x, y = (np.ascontiguousarray(c[rows][::every]) for c in (d.t, d.x, d.y))
        return Walk(t, x, y, standstill.park, standstill.noise_m, begin_s, end_s)

    def _accuracy(self, standstill: Standstill) -> float | None:
        rows = self._decoded.row[standstill.first : standstill.last + 1]
        if len(rows) == 0:
            return None
        reported = self.track.matrix(int(rows[0]), int(rows[-1]) + 1)[:, 3].tolist()
        known = [a for a in reported if not isnan(a)]
        return round(median(known), 1) if known else None
