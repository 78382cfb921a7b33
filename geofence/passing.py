"""Fences that a vehicle drove through without standing there: rejected candidates for a visit."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from geofence.clock import FOREVER_MS, NEVER_MS
from geofence.events import FenceEvent, FenceEventType, Rejection, ServiceTime
from geofence.evidence import Candidate
from geofence.fences import Fence, FenceSet
from geofence.standings import APART_MS, Standings, standing, way
from geofence.standstills import Standstill
from geofence.sweep import cells_along, insides
from geofence.track import Decoded

Ints = npt.NDArray[np.int64]

BLOCK_MS: Final = 300_000  # passes are told by blocks of so much of the driver's time, which saves work


@dataclass(slots=True)
class Pass:
    """One way through a fence."""

    fence: Fence
    entered_ms: int
    left_ms: int


class Passes:
    """Collects a day's passes from its driven stretches, and tells each once when nothing can change it."""

    def __init__(self, driver_id: str, fences: FenceSet, wanted: bool) -> None:
        self._fix = 0  # believed fix up to which the vehicle is known to have driven or stood
        self._driven: list[tuple[int, int]] = []  # stretches between fixes that were not looked at yet
        self._driver_id = driver_id
        self._fences = fences
        self._wanted = wanted
        self._latest: dict[tuple[str, int | None], Pass] = {}  # by version of a fence
        self._over: list[Pass] = []
        self._stood = Standings()  # within reach of fences, and visits that stay as they are
        self._served: Sequence[ServiceTime] = ()  # visits that may yet change
        self._told_ms = NEVER_MS

    def drive(self, end: int) -> None:
        """The vehicle drove from where it was seen last to the believed fix `end`."""
        if end > self._fix:
            if self._wanted:
                self._driven.append((self._fix, end))
            self._fix = end

    def look(self, d: Decoded) -> None:
        """Note the fences on the stretches driven since the last look."""
        if self._driven:
            self._sweep(d, np.array(self._driven))
            self._driven.clear()

    def shift(self, fixes: int) -> None:
        """So many believed fixes were dropped, all of them looked at."""
        self._fix -= fixes

    def stand(self, fix: int, standstill: Standstill, candidates: Sequence[Candidate]) -> None:
        """The vehicle stood up to a believed fix, within reach of these."""
        self._fix = max(self._fix, fix)
        if not self._wanted:
            return
        begin_ms, end_ms = standstill.arrived_ms, standstill.departed_ms
        self._stood.add(standing(c.fence.customer_id, begin_ms, end_ms, c.outside_m <= 0) for c in candidates)

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
        latest_ms = until_ms - APART_MS
        ripe = [p for p in (*self._over, *self._latest.values()) if p.left_ms <= latest_ms]
        told = self._told(ripe, until_ms, after_ms) if ripe else []
        self._forget(until_ms)
        return told

    def _told(self, ripe: Sequence[Pass], until_ms: int, after_ms: int) -> list[FenceEvent]:
        """Let go of those of these passes that nothing can change any more; what is told of them."""
        ways = [way(p.fence.customer_id, p.entered_ms, p.left_ms) for p in ripe]
        told, settled = [], set()
        judged = self._stood.judge(ways, [_visit(r) for r in self._served])
        for passed, (settled_ms, silent) in zip(ripe, judged, strict=True):
            if settled_ms > until_ms:
                continue
            settled.add(id(passed))
            holds = self._fences.holds_at(passed.fence, passed.entered_ms)
            if settled_ms > after_ms and not silent and holds:
                told.append(self._event(passed))
        self._over = [p for p in self._over if id(p) not in settled]
        self._latest = {key: p for key, p in self._latest.items() if id(p) not in settled}
        return sorted(told, key=lambda e: (e.ts_ms, e.fence_id))

    def _sweep(self, d: Decoded, driven: Ints) -> None:
        lat, lon, per_lat, per_lon = d.plane.numbers()
        t, x, y = d.t, d.x, d.y
        for key, first, last in cells_along(t, x, y, driven, lat, lon, per_lat, per_lon).tolist():
            cell = self._fences.cells.at(key)
            if cell is None:
                continue
            found = insides(t, x, y, first, last, cell.shapes, cell.edges, lat, lon, per_lat, per_lon)
            for shape, begin_s, end_s in found.tolist():
                times = (d.origin_ms + round(1000 * begin_s), d.origin_ms + round(1000 * end_s))
                self._note(cell.fences[int(shape)], *times)

    def _note(self, fence: Fence, begin_ms: int, end_ms: int) -> None:
        key = fence.fence_id, fence.valid_from_ms
        before = self._latest.get(key)
        if before is not None and begin_ms - before.left_ms <= APART_MS:
            before.left_ms = max(before.left_ms, end_ms)
            return
        if before is not None:
            self._over.append(before)
        self._latest[key] = Pass(fence, begin_ms, end_ms)

    def _event(self, passed: Pass) -> FenceEvent:
        return FenceEvent(
            FenceEventType.REJECTED,
            self._driver_id,
            passed.fence.customer_id,
            passed.fence.fence_id,
            passed.entered_ms,
            None,
            Rejection.PASS_BY,
        )

    def _forget(self, until_ms: int) -> None:
        """Drop what no pass still to come can be beside."""
        waiting = (p.entered_ms for p in (*self._over, *self._latest.values()))
        self._stood.forget_before(min(waiting, default=until_ms) - APART_MS)


def _visit(record: ServiceTime) -> tuple[int, int, int, int]:
    return standing(record.customer_id, record.arrived_ms, record.departed_ms, True)
