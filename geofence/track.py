"""One working day of one driver's pings in the order of their own time, and the fixes decoded from them."""

from array import array
from typing import Final

import numpy as np
import numpy.typing as npt

from geofence import cleaning, motion
from geofence.geometry import METRES_PER_DEGREE, LocalPlane
from geofence.rules import Rules

COLUMNS: Final = 5  # ts_ms, lat, lon, accuracy_m, speed_mps
Rows = npt.NDArray[np.float64]

CONTEXT: Final = 160  # believed fixes before a standstill that its description may look at
STALE_CONTEXT_MS: Final = 60_000


class Track:
    """Rows sorted by time, each distinct one once."""

    def __init__(self) -> None:
        self.rows = array("d")

    def __len__(self) -> int:
        return len(self.rows) // COLUMNS

    @property
    def first_ms(self) -> int:
        """Time of the first ping."""
        return int(self.rows[0])

    @property
    def last_ms(self) -> int:
        """Time of the last ping."""
        return int(self.rows[-COLUMNS])

    def ts_ms(self, row: int) -> int:
        """Time of one ping."""
        return int(self.rows[row * COLUMNS])

    def matrix(self, begin: int = 0, end: int | None = None) -> Rows:
        """A copy of the rows begin..end as a matrix."""
        stop = len(self) if end is None else end
        return np.frombuffer(self.rows[begin * COLUMNS : stop * COLUMNS]).reshape(-1, COLUMNS)

    def append(self, rows: Rows) -> tuple[int, int | None]:
        """Take in rows; returns how many were duplicates and the first row number that is new, if any."""
        if len(rows) == 0:
            return 0, None
        times = rows[:, 0]
        if (not self.rows or times[0] > self.rows[-COLUMNS]) and bool(np.all(times[1:] > times[:-1])):
            begin = len(self)
            self.rows.frombytes(rows.tobytes())
            return 0, begin
        return self._merge(rows)

    def extend(self, rows: Rows) -> None:
        """Add rows that are known to follow in order."""
        self.rows.frombytes(np.ascontiguousarray(rows).tobytes())

    def _merge(self, rows: Rows) -> tuple[int, int | None]:
        at = int(np.searchsorted(self.matrix()[:, 0], rows[:, 0].min(), side="left"))
        tail = self.matrix(at)
        both = np.concatenate([tail, rows])
        age = np.concatenate([np.zeros(len(tail)), np.ones(len(rows))])
        both, age = _sorted_once(both, age)
        new = np.flatnonzero(age)
        duplicates = len(tail) + len(rows) - len(both)
        if len(new) == 0:
            return duplicates, None
        del self.rows[at * COLUMNS :]
        self.rows.frombytes(np.ascontiguousarray(both).tobytes())
        return duplicates, at + int(new[0])

    def row_after(self, ts_ms: float) -> int:
        """Number of the first row later than a time."""
        low, high = 0, len(self)
        while low < high:
            mid = (low + high) // 2
            if self.rows[mid * COLUMNS] <= ts_ms:
                low = mid + 1
            else:
                high = mid
        return low


def _sorted_once(rows: Rows, age: npt.NDArray[np.float64]) -> tuple[Rows, npt.NDArray[np.float64]]:
    """Rows in a total order, each distinct one once (the oldest copy of equal ones stays)."""
    keys = np.where(np.isnan(rows), -1.0, rows)
    order = np.lexsort((age, keys[:, 4], keys[:, 3], keys[:, 2], keys[:, 1], keys[:, 0]))
    keys, rows, age = keys[order], rows[order], age[order]
    fresh = np.ones(len(rows), dtype=bool)
    fresh[1:] = np.any(keys[1:] != keys[:-1], axis=1)
    return rows[fresh], age[fresh]


class Decoded:
    """Standing or driving for the believed fixes of a track, extended as rows ripen.

    The first `final` fixes never change while rows are only appended. Columns of believed fixes: `t` (seconds
    since `origin_ms`), `x`, `y` (metres in `plane`), `noise_m` and `jitter_m` (one axis), `speed_mps`,
    `state`, `kind`, `row` (number in the track).
    """

    def __init__(self) -> None:
        self.origin_ms = 0
        self.plane = LocalPlane(0.0, 0.0)
        self.placed = False  # the plane stays
        self.rows_read = 0
        self.final = 0
        self.t = self.x = self.y = self.noise_m = self.jitter_m = self.speed_mps = np.empty(0)
        self._raw_x = self._raw_y = np.empty(0)  # as reported, before smoothing
        self.state = self.kind = np.empty(0, np.uint8)
        self.row = np.empty(0, np.int64)

    def extend(self, track: Track, end: int, rules: Rules) -> None:
        """Decode the track's rows up to number `end`."""
        base = max(self.final - 1, 0)  # a final fix, whose state starts the decoding again
        known = self.final > 0
        base_row = int(self.row[base]) if known else 0
        first_row = track.row_after(track.ts_ms(base_row) - STALE_CONTEXT_MS) if known else 0
        first_row = max(first_row - 1, 0)  # one more: how long a position was repeated shows
        trusted = base_row - first_row if known else -1
        part = track.matrix(first_row, end)
        if not known:
            self._set_origin(part)
        t = (part[:, 0] - self.origin_ms) / 1000.0
        x, y = self._to_plane(part)
        nowhere = (np.abs(part[:, 1]) < 1e-3) & (np.abs(part[:, 2]) < 1e-3)
        accuracy = np.where(nowhere, np.inf, part[:, 3])
        marks = cleaning.mark(t, x, y, accuracy, part[:, 4], rules.worst_accuracy_m, trusted)
        if known:
            marks[:trusted] = cleaning.BEFORE
            marks[trusted] = cleaning.GOOD
        sure = cleaning.sure(t, x, y, marks)
        good = np.flatnonzero(marks == cleaning.GOOD)
        start = int(self.state[base]) if known else -1
        t, x, y, accuracy, speed = t[good], x[good], y[good], part[good, 3], part[good, 4]
        first = float(self.jitter_m[base]) if known else rules.gps_noise_m
        before = slice(max(base - 1, 0), base)
        jitter = cleaning.jitter_m(
            np.concatenate([self.t[before], t]),
            np.concatenate([self._raw_x[before], x]),
            np.concatenate([self._raw_y[before], y]),
            first,
            base - before.start,
        )
        noise = np.where(np.isnan(accuracy), jitter, np.maximum(accuracy / 1.5, jitter))
        raw_x, raw_y = x, y
        x, y = self._smoothed(base, t, x, y, noise)
        state, kind, final = motion.decode(t, x, y, noise, speed, start, sure)
        if known:
            kind[0] = self.kind[base]
        keep = base
        self.t = np.concatenate([self.t[:keep], t])
        self._raw_x = np.concatenate([self._raw_x[:keep], raw_x])
        self._raw_y = np.concatenate([self._raw_y[:keep], raw_y])
        self.x = np.concatenate([self.x[:keep], x])
        self.y = np.concatenate([self.y[:keep], y])
        self.noise_m = np.concatenate([self.noise_m[:keep], noise])
        self.jitter_m = np.concatenate([self.jitter_m[:keep], jitter])
        self.speed_mps = np.concatenate([self.speed_mps[:keep], speed])
        self.state = np.concatenate([self.state[:keep], state])
        self.kind = np.concatenate([self.kind[:keep], kind])
        self.row = np.concatenate([self.row[:keep], good + first_row])
        self.rows_read = end
        self.final = base + int(final)
        self.placed = self.placed or self.final > 0

    def place(self, plane: LocalPlane) -> None:
        """Choose the plane before any row is read."""
        self.plane, self.placed = plane, True

    def _smoothed(
        self,
        base: int,
        t: npt.NDArray[np.float64],
        x: npt.NDArray[np.float64],
        y: npt.NDArray[np.float64],
        noise_m: npt.NDArray[np.float64],
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """The places of the fixes from number `base` on, smoothed with what came before."""
        first = int(np.searchsorted(self.t[:base], t[0] - cleaning.SMOOTH_WITHIN_S)) if base else 0
        before = slice(first, base)
        sx, sy = cleaning.smooth(
            np.concatenate([self.t[before], t]),
            np.concatenate([self._raw_x[before], x]),
            np.concatenate([self._raw_y[before], y]),
            np.concatenate([self.noise_m[before], noise_m]),
            base - first,
        )
        return sx, sy

    def forget_before(self, fix: int) -> int:
        """Drop the fixes before this number, which must be final; returns how many were dropped."""
        if fix <= 0:
            return 0
        self.t, self.x, self.y = self.t[fix:], self.x[fix:], self.y[fix:]
        self._raw_x, self._raw_y = self._raw_x[fix:], self._raw_y[fix:]
        self.noise_m, self.jitter_m = self.noise_m[fix:], self.jitter_m[fix:]
        self.speed_mps = self.speed_mps[fix:]
        self.state, self.kind, self.row = self.state[fix:], self.kind[fix:], self.row[fix:]
        self.final -= fix
        return fix

    def _set_origin(self, part: Rows) -> None:
        """A plane about the first fixes: the middle one of three, since any may be far off."""
        self.origin_ms = int(part[0, 0])
        if self.placed:
            return
        usable = part[(np.abs(part[:, 1]) > 1e-3) | (np.abs(part[:, 2]) > 1e-3)]
        at = np.sort((usable if len(usable) else part)[:3, 1:3], axis=0)
        self.plane = LocalPlane(*at[len(at) // 2].tolist())

    def _to_plane(self, part: Rows) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        lon = (part[:, 2] - self.plane.lon + 180.0) % 360.0 - 180.0
        scale = METRES_PER_DEGREE * np.cos(np.radians(self.plane.lat))
        return lon * scale, (part[:, 1] - self.plane.lat) * METRES_PER_DEGREE
