"""One working day of one driver's pings in the order of their own time, and the fixes decoded from them."""

import gc
from array import array
from bisect import bisect_left
from copy import copy
from typing import Final

import numpy as np
import numpy.typing as npt

from geofence import decoding, ripening
from geofence.compiling import kernel
from geofence.decoding import COLUMNS, FIRST, NOWHERE_DEG, Frame
from geofence.geometry import LocalPlane
from geofence.ripening import Ripe, Waits
from geofence.rules import Rules
from geofence.standstills import find_runs

Rows = npt.NDArray[np.float64]  # one a row of `COLUMNS` numbers
Packed = bytes | memoryview  # rows one after the other, `ROW_BYTES` each
Floats = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]

ROW_BYTES: Final = 8 * COLUMNS
ROOM: Final = 128  # rows decoded in one go, where the steps are shorter


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

    def median_accuracy_m(self, begin: int, end: int) -> float:
        """Median of the accuracies reported in the rows begin..end, NaN when there are none."""
        return float(_median_accuracy_m(np.frombuffer(self.rows), begin, end))

    def append(self, rows: Rows) -> tuple[int, int | None]:
        """Take in rows; returns how many were duplicates and the first row number that is new, if any."""
        if len(rows) == 0:
            return 0, None
        times = rows[:, 0]
        if (not self.rows or times[0] > self.rows[-COLUMNS]) and bool(np.all(times[1:] > times[:-1])):
            begin = len(self)
            self.extend(packed(rows))
            return 0, begin
        return self._merge(rows)

    def extend(self, rows: Packed) -> None:
        """Add rows, one after the other, that are known to follow in order."""
        self._write(len(self), rows)

    def _write(self, at: int, rows: Packed) -> None:
        """Write rows from number `at` on, in place of all there."""
        try:
            del self.rows[at * COLUMNS :]
            self.rows.frombytes(rows)
        except BufferError:  # numba leaves what it has just compiled a kernel for in a cycle
            gc.collect()
            del self.rows[at * COLUMNS :]
            self.rows.frombytes(rows)

    def _merge(self, rows: Rows) -> tuple[int, int | None]:
        at = bisect_left(range(len(self)), rows[:, 0].min(), key=self.ts_ms)
        tail = self.matrix(at)
        both = np.concatenate([tail, rows])
        age = np.concatenate([np.zeros(len(tail)), np.ones(len(rows))])
        both, age = _sorted_once(both, age)
        new = np.flatnonzero(age)
        duplicates = len(tail) + len(rows) - len(both)
        if len(new) == 0:
            return duplicates, None
        self._write(at, packed(both))
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


def packed(rows: Rows) -> memoryview:
    """The bytes of rows, one after the other."""
    return np.ascontiguousarray(rows).data.cast("B")


@kernel()
def _median_accuracy_m(rows: Floats, begin: int, end: int) -> float:
    found, count = np.empty(end - begin), 0
    for row in range(begin, end):
        accuracy_m = rows[row * COLUMNS + 3]
        if accuracy_m == accuracy_m:
            found[count] = accuracy_m
            count += 1
    return np.median(found[:count]) if count else np.nan


def _sorted_once(rows: Rows, age: npt.NDArray[np.float64]) -> tuple[Rows, npt.NDArray[np.float64]]:
    """Rows in a total order, each distinct one once (the oldest copy of equal ones stays)."""
    order = np.argsort(rows[:, 0], kind="stable")
    times = rows[order, 0]
    if bool(np.all(times[1:] > times[:-1])):
        return rows[order], age[order]
    again = times[1:] == times[:-1]
    shared = np.flatnonzero(np.append(again, False) | np.append(False, again))  # few share their time
    own = order[shared]
    keys = np.where(np.isnan(rows[own]), -1.0, rows[own])
    turn = np.lexsort((age[own], keys[:, 4], keys[:, 3], keys[:, 2], keys[:, 1], keys[:, 0]))
    order[shared], keys = own[turn], keys[turn]
    fresh = np.ones(len(rows), dtype=bool)
    fresh[shared[1:]] = np.any(keys[1:] != keys[:-1], axis=1)
    order = order[fresh]
    return rows[order], age[order]


class Decoded:
    """Standing or driving for the believed fixes of a track, extended as rows ripen.

    The first `final` fixes never change while rows are only appended. Columns of believed fixes: `t` (seconds
    since `origin_ms`), `x`, `y` (metres in `plane`), `noise_m` and `jitter_m` (one axis), `speed_mps`,
    `state`, `kind`, `row` (number in the track). They are views: what is not final changes under them.
    Compiled code takes all of them at once: `floats` and `small`, with room beyond `count` fixes.
    """

    def __init__(self) -> None:
        self.origin_ms = 0
        self.plane = LocalPlane(0.0, 0.0)
        self.placed = False  # the plane stays
        self.rows_read = 0
        self.final = 0
        self.count = 0
        self.floats = np.empty((decoding.FLOATS, 0))
        self.small = np.empty((decoding.BYTES, 0), np.uint8)

    def __len__(self) -> int:
        return self.count

    def copy(self) -> "Decoded":
        """The same fixes once more."""
        other = copy(self)
        floats, small = self._columns()
        other.floats, other.small = floats.copy(), small.copy()
        return other

    def fix_ms(self, fix: int) -> int:
        """Time of a fix by its number; -1 is the last one."""
        column = fix if fix >= 0 else self.count + fix
        return self.origin_ms + round(1000 * self.floats.item(decoding.T, column))

    def row_of(self, fix: int) -> int:
        """Number in the track of a fix."""
        return int(self.floats.item(decoding.ROW, fix))

    @property
    def t(self) -> Floats:
        """Seconds since the origin."""
        return self.floats[decoding.T, : self.count]

    @property
    def x(self) -> Floats:
        """Metres east, smoothed."""
        return self.floats[decoding.X, : self.count]

    @property
    def y(self) -> Floats:
        """Metres north, smoothed."""
        return self.floats[decoding.Y, : self.count]

    @property
    def noise_m(self) -> Floats:
        """Noise, one axis."""
        return self.floats[decoding.NOISE_M, : self.count]

    @property
    def jitter_m(self) -> Floats:
        """Noise as the fixes themselves show it."""
        return self.floats[decoding.JITTER_M, : self.count]

    @property
    def speed_mps(self) -> Floats:
        """Reported speed, NaN for none."""
        return self.floats[decoding.SPEED_MPS, : self.count]

    @property
    def row(self) -> Floats:
        """Numbers in the track."""
        return self.floats[decoding.ROW, : self.count]

    @property
    def state(self) -> Bytes:
        """DRIVE or STAND."""
        return self.small[decoding.STATE, : self.count]

    @property
    def kind(self) -> Bytes:
        """What the step that ends at a fix may hide."""
        return self.small[decoding.KIND, : self.count]

    def extend(self, track: Track, end: int, rules: Rules) -> None:
        """Decode the track's rows up to number `end`."""
        if not self.final:
            self._set_origin(track.matrix(0, end))
        self._make_room(max(self.final - 1, 0) + end - self._row_of_final())
        self.count, self.final = decoding.extend(
            np.frombuffer(track.rows),
            end,
            self._frame(rules),
            self.final,
            self.floats,
            self.small,
        )
        self.rows_read = end
        self.placed = self.placed or self.final > 0

    def runs(self, begin: int, all_of_them: bool = False) -> tuple[Floats, int]:
        """Rows of numbers, one a standstill from fix number `begin` on (see `standstills.to_standstill`).

        Up to the first that may change yet, unless `all_of_them`. And the fix from which on to look for more.
        """
        runs, ahead = find_runs(self.floats, self.small, self.count, begin, self.final, all_of_them)
        return runs, ahead

    def ripen(
        self,
        track: Track,
        rules: Rules,
        begin: int,
        until_ms: int,
        before_ms: int,
        offset_ms: int,
        waits: Waits,
    ) -> Ripe:
        """Decode step by step, which some of the track's rows have been before; see `ripening`."""
        room = min(len(track), self.rows_read + ROOM)
        if room < len(track) and track.ts_ms(room) <= until_ms:
            room = track.row_after(until_ms)
        self._make_room(self.final - 1 + room - self._row_of_final())
        self.rows_read, self.count, self.final, *ripe = ripening.ripen(
            np.frombuffer(track.rows),
            self.rows_read,
            room,
            self._frame(rules),
            self.final,
            self.floats,
            self.small,
            begin,
            until_ms,
            before_ms,
            offset_ms,
            waits,
        )
        return Ripe(*ripe)

    def place(self, plane: LocalPlane) -> None:
        """Choose the plane before any row is read."""
        self.plane, self.placed = plane, True

    def forget_before(self, fix: int) -> int:
        """Drop the fixes before this number, which must be final; returns how many were dropped.

        Those of the last `speeds.BACK_MOST_S` up to the last final one stay: more are decoded with them.
        """
        if fix <= 0:
            return 0
        self.floats = self.floats[:, fix : self.count].copy()
        self.small = self.small[:, fix : self.count].copy()
        self.final -= fix
        self.count -= fix
        return fix

    def _frame(self, rules: Rules) -> Frame:
        lat, lon, _, metres_per_lon = self.plane.numbers()
        return Frame(
            float(self.origin_ms), lat, lon, metres_per_lon, rules.worst_accuracy_m, rules.gps_noise_m
        )

    def _row_of_final(self) -> int:
        """Number in the track of the last final fix, 0 before there is one."""
        return self.row_of(self.final - 1) if self.final else 0

    def _make_room(self, fixes: int) -> None:
        """Have room for so many fixes."""
        if fixes > self.floats.shape[1]:
            room = fixes + fixes // 4 + 16
            floats, small = np.empty((decoding.FLOATS, room)), np.empty((decoding.BYTES, room), np.uint8)
            floats[:, : self.count], small[:, : self.count] = self._columns()
            self.floats, self.small = floats, small

    def _columns(self) -> tuple[Floats, Bytes]:
        return self.floats[:, : self.count], self.small[:, : self.count]

    def _set_origin(self, part: Rows) -> None:
        """A plane about the first fixes: the middle one of three, since any may be far off."""
        self.origin_ms = int(part[0, 0])
        if self.placed:
            return
        usable = part[(np.abs(part[:, 1]) > NOWHERE_DEG) | (np.abs(part[:, 2]) > NOWHERE_DEG)]
        at = np.sort((usable if len(usable) else part)[:FIRST, 1:3], axis=0)
        self.plane = LocalPlane(*at[len(at) // 2].tolist())
