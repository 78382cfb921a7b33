"""Fences that a vehicle drove through without standing there: rejected candidates for a visit."""

from collections.abc import Sequence
from copy import copy
from typing import Final

import numpy as np

from geofence.clock import FOREVER_MS, NEVER_MS
from geofence.events import FenceEvent, FenceEventType, Rejection, ServiceTime
from geofence.evidence import Nearby
from geofence.fences import Fence, FenceSet
from geofence.standings import APART_MS, Standing, Standings, standing
from geofence.standstills import Standstill
from geofence.sweep import cells_along
from geofence.track import Decoded
from geofence.ways import ENTERED_MS, WAY_COLUMNS, Ints, settled, ways_through

BLOCK_MS: Final = 900_000  # passes are told by blocks of so much of the driver's time, which saves work
NO_WAYS: Final = np.empty((0, WAY_COLUMNS), np.int64)


class Passes:
    """Collects a day's passes from its driven stretches, and tells each once when nothing can change it."""

    def __init__(self, driver_id: str, fences: FenceSet, wanted: bool) -> None:
        self._fix = 0  # believed fix up to which the vehicle is known to have driven or stood
        self._driven: list[tuple[int, int]] = []  # stretches between fixes that were not looked at yet
        self._driver_id = driver_id
        self._fences = fences
        self._wanted = wanted
        self._ways: list[Ints] = []  # through fences, that are not settled
        self._stood = Standings()  # within reach of fences, and visits that stay as they are
        self._served: Sequence[ServiceTime] = ()  # visits that may yet change
        self._told_ms = NEVER_MS

    def copy(self) -> "Passes":
        """The same state once more."""
        other = copy(self)
        other._driven, other._ways, other._stood = list(self._driven), list(self._ways), self._stood.copy()
        return other

    def drive(self, end: int) -> None:
        """The vehicle drove from where it was seen last to the believed fix `end`."""
        if end > self._fix:
            if self._wanted:
                self._driven.append((self._fix, end))
            self._fix = end

    def look(self, d: Decoded) -> None:
        """Note the ways through fences on the stretches driven since the last look."""
        if not self._driven:
            return
        t, x, y, plane = d.t, d.x, d.y, d.plane.numbers()
        for key, first, last in cells_along(t, x, y, np.array(self._driven), *plane).tolist():
            cell = self._fences.cells.at(key)
            if cell is not None:
                shapes = cell.shapes, cell.edges, cell.owners
                ways = ways_through(t, x, y, first, last, *shapes, *plane, d.origin_ms)
                if len(ways):
                    self._ways.append(ways)
        self._driven.clear()

    def shift(self, fixes: int) -> None:
        """So many believed fixes were dropped, all of them looked at."""
        self._fix -= fixes

    def stand(self, fix: int, standstill: Standstill, near: Nearby) -> None:
        """The vehicle stood up to a believed fix, within reach of these."""
        self._fix = max(self._fix, fix)
        if not self._wanted:
            return
        begin_ms, end_ms = standstill.arrived_ms, standstill.departed_ms
        inside = (near.at[:, 3] <= 0).tolist()
        self._stood.add(
            [
                standing(fence.customer_id, begin_ms, end_ms, within)
                for fence, within in zip(near.fences, inside, strict=True)
            ]
        )

    def serve(self, records: Sequence[ServiceTime], settled: int) -> None:
        """These are the visits told that could change; so many of the first, now settled, cannot any more."""
        if settled and self._wanted:
            self._stood.add(map(_visit, records[:settled]))
        self._served = records[settled:]

    def due(self, until_ms: int) -> bool:
        """Whether anything may be told that was not settled by the last telling."""
        return self._wanted and until_ms > self._told_ms

    def due_ms(self) -> int:
        """The first end of a block by which anything may be told that was not settled by the last telling."""
        return (self._told_ms // BLOCK_MS + 1) * BLOCK_MS if self._wanted else FOREVER_MS

    def tell(self, until_ms: int, after_ms: int) -> list[FenceEvent]:
        """Passes settled by a time up to which all is known, and after another, in the order of time."""
        self._told_ms = until_ms
        found: list[FenceEvent] = []
        since_ms = until_ms
        if self._ways:
            stood = self._stood.and_(map(_visit, self._served))
            left, told = settled(np.concatenate(self._ways), stood, until_ms, after_ms)
            self._ways = [left] if len(left) else []
            since_ms = min(left[:, ENTERED_MS].tolist(), default=until_ms)
            for number, entered_ms in told.tolist():
                fence = self._fences.at(number)
                if fence is not None and self._fences.holds_at(fence, entered_ms):
                    found.append(self._event(fence, entered_ms))
        self._stood.forget_before(since_ms - APART_MS)  # no pass still to come can be beside these
        return sorted(found, key=_in_time)

    def _event(self, fence: Fence, entered_ms: int) -> FenceEvent:
        return FenceEvent(
            FenceEventType.REJECTED,
            self._driver_id,
            fence.customer_id,
            fence.fence_id,
            entered_ms,
            None,
            Rejection.PASS_BY,
        )


def _visit(record: ServiceTime) -> Standing:
    return standing(record.customer_id, record.arrived_ms, record.departed_ms, True)


def _in_time(event: FenceEvent) -> tuple[int, str]:
    return event.ts_ms, event.fence_id
