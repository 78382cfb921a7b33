"""One working day of one driver as it is kept: its pings and device events, and how far they were worked."""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from geofence.clock import FOREVER_MS, NEVER_MS
from geofence.device import DeviceEvent, DeviceLog
from geofence.fences import Box, Fence
from geofence.geometry import wrap_degrees
from geofence.naming import Names
from geofence.saved import Saved
from geofence.shift import Shift
from geofence.snapshots import Snapshots
from geofence.track import Rows, Track

DAY_LASTS_MS: Final = 20 * 3_600_000  # a phone that never sleeps begins a new day after so long
REACH_DEG: Final = 0.01  # a fence so near may matter
NOWHERE_DEG: Final = 1e-3


class Day:
    """A track between two long silences; `shift` is made when there is something to work through."""

    def __init__(self, serial: int) -> None:
        self.serial = serial
        self.track = Track()
        self.device = DeviceLog()
        self.shift: Shift | None = None
        self.names: Names | None = None  # those that its visits have been given
        self.snapshots = Snapshots()
        self.late_from_ms = FOREVER_MS  # without a shift work begins again here, or (FOREVER_MS) with the day
        self.finished = False
        self.late = False  # something came into what had been worked through
        self.worked_ms = NEVER_MS  # steps up to this time are done
        self.events_after_ms: int | None = NEVER_MS  # None: what was told by then, after a restart
        self.passes_after_ms: int | None = NEVER_MS  # the same of fences driven through
        self.open: set[str] = set()  # visits told that may still be withdrawn
        self.carry: frozenset[str] = frozenset()  # visit ids of days let go that this one left to them
        self.saved = Saved()

    @property
    def first_ms(self) -> int:
        """Time of the first ping or device event."""
        if not self.device.events:
            return self.track.first_ms
        device_ms = self.device.events[0].ts_ms
        return min(self.track.first_ms, device_ms) if len(self.track) else device_ms

    @property
    def last_ms(self) -> int:
        """Time of the last ping or device event."""
        if not self.device.events:
            return self.track.last_ms
        device_ms = self.device.events[-1].ts_ms
        return max(self.track.last_ms, device_ms) if len(self.track) else device_ms

    def goes_on(self, first_ms: int, last_ms: int, gap_ms: int) -> bool:
        """Whether pings between two times come after all of this day, with nothing worked through again."""
        if not self.track.rows or self.finished:
            return False
        if self.shift is not None and first_ms <= self.shift.until_ms:
            return False
        newest_ms = self.last_ms
        return newest_ms < first_ms < newest_ms + gap_ms and last_ms < self.first_ms + DAY_LASTS_MS

    def put(self, rows: Rows) -> int:
        """Take pings in; returns how many of them were duplicates."""
        ended_ms = self._ended_ms()
        duplicates, first_new = self.track.append(rows)
        if first_new is None:
            return duplicates
        self.saved.rewrite_from(first_new)
        ts_ms = self.track.ts_ms(first_new)
        shift = self.shift
        redo = shift is not None and (first_new < shift.rows_read or ts_ms <= shift.until_ms)
        self._touch(ts_ms, first_new, ended_ms, redo)
        return duplicates

    def put_device(self, event: DeviceEvent) -> bool:
        """Take an entry or exit in; False when it is known."""
        ended_ms = self._ended_ms()
        if not self.device.add(event):
            return False
        self.saved.device = False
        redo = self.shift is not None and event.ts_ms <= self.shift.until_ms
        self._touch(event.ts_ms, len(self.track), ended_ms, redo)
        return True

    def begin_anew(self) -> None:
        """Have all of it worked through again."""
        self.shift, self.names, self.late_from_ms = None, None, FOREVER_MS
        self.snapshots.forget()

    def _ended_ms(self) -> int:
        """Up to when everything was thought to be known."""
        return max(self.worked_ms, self.last_ms) if self.finished else self.worked_ms

    def _touch(self, ts_ms: int, row: int, ended_ms: int, redo: bool) -> None:
        """Something new of that time, in the track from that row on."""
        self.late = self.late or ts_ms <= ended_ms
        if (self.shift is not None and (redo or self.finished)) or self.late_from_ms < FOREVER_MS:
            self.late_from_ms = min(self.late_from_ms, ts_ms)
            self.snapshots.forget_since(ts_ms, row)
            self.shift = None
        self.finished = False

    def times(self) -> npt.NDArray[np.float64]:
        """Times of all pings and device events, in no order."""
        device = np.array([e.ts_ms for e in self.device.events], dtype=np.float64)
        return np.concatenate([self.track.matrix()[:, 0], device])

    def meets(self, fence: Fence) -> bool:
        """Whether the fence lies where there were pings, or the phone told of it."""
        named = any(e.fence_id == fence.fence_id for e in self.device.events)
        return named or (len(self.track) > 0 and _meet(self._box(), fence.box()))

    def _box(self) -> Box:
        rows = self.track.matrix()[:, 1:3]
        rows = rows[np.abs(rows).max(axis=1) > NOWHERE_DEG]
        if len(rows) == 0:
            return 0.0, 0.0, 0.0, 0.0
        south, west = rows.min(axis=0).tolist()
        north, east = rows.max(axis=0).tolist()
        return west, south, east, north


def home_of(days: Sequence[Day], times: npt.NDArray[np.float64], gap_ms: int) -> Day | None:
    """The day that all these times (sorted) fall into, the days staying as they are; None without one."""
    begin_ms, end_ms = int(times[0]), int(times[-1])
    for n in range(len(days) - 1, -1, -1):
        day = days[n]
        if begin_ms < day.first_ms:
            continue
        if end_ms <= day.last_ms:
            return day
        joined = begin_ms < day.last_ms + gap_ms and end_ms < day.first_ms + DAY_LASTS_MS
        apart = n + 1 == len(days) or days[n + 1].first_ms >= end_ms + gap_ms
        whole = len(times) == 1 or bool(np.all(np.diff(times) < gap_ms))
        return day if joined and apart and whole else None
    return None


def spans(times: npt.NDArray[np.float64], gap_ms: int) -> Iterator[tuple[int, int]]:
    """First and last time of each day among sorted times: cut at long silences, and after so many hours."""
    for part in np.split(times, np.flatnonzero(np.diff(times) >= gap_ms) + 1):
        rest = part
        while len(rest):
            end = int(np.searchsorted(rest, rest[0] + DAY_LASTS_MS, side="left"))
            yield int(rest[0]), int(rest[end - 1])
            rest = rest[end:]


def regrouped(
    days: Sequence[Day],
    rows: Rows,
    events: Sequence[DeviceEvent],
    gap_ms: int,
    serials: Iterator[int],
    worked_ms: int,
) -> tuple[list[Day], int]:
    """The days there are with these pings and events too; how many of the pings were duplicates.

    A day that only grows stays; others are made anew with serials of their own.
    """
    added = [rows[:, 0], np.array([e.ts_ms for e in events], dtype=np.float64)]
    times = np.unique(np.concatenate([*(d.times() for d in days), *added]))
    found, duplicates = [], 0
    for begin, end in spans(times, gap_ms):
        touched = [d for d in days if d.first_ms <= end and begin <= d.last_ms]
        if len(touched) == 1 and begin <= touched[0].first_ms and touched[0].last_ms <= end:
            day = touched[0]
        else:
            day = _joined(touched, begin, end, next(serials), worked_ms)
        mine = rows[(rows[:, 0] >= begin) & (rows[:, 0] <= end)]
        if len(mine):
            duplicates += day.put(mine)
        for event in events:
            if begin <= event.ts_ms <= end:
                day.put_device(event)
        found.append(day)
    return found, duplicates


def _joined(days: Sequence[Day], begin: int, end: int, serial: int, worked_ms: int) -> Day:
    """A new day with what these have between two times."""
    day = Day(serial)
    for old in days:
        rows = old.track.matrix()
        day.track.append(rows[(rows[:, 0] >= begin) & (rows[:, 0] <= end)])
        for event in old.device.events:
            if begin <= event.ts_ms <= end:
                day.device.add(event)
        day.late = day.late or old.late
    day.saved.device = not day.device.events
    day.worked_ms = max((d.worked_ms for d in days), default=worked_ms)
    day.events_after_ms = max((d.events_after_ms or NEVER_MS for d in days), default=NEVER_MS)
    day.passes_after_ms = max((d.passes_after_ms or NEVER_MS for d in days), default=NEVER_MS)
    return day


def _meet(a: Box, b: Box) -> bool:
    """Whether two boxes come within reach of each other; one around the globe meets any at its latitude."""
    if a[1] > b[3] + REACH_DEG or b[1] > a[3] + REACH_DEG:
        return False
    wide = a[2] - a[0] > 180 or b[2] - b[0] > 180
    away = abs(wrap_degrees((a[0] + a[2] - b[0] - b[2]) / 2))
    return wide or away <= (a[2] - a[0] + b[2] - b[0]) / 2 + 3 * REACH_DEG
