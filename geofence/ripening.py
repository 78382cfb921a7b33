"""A driver's steps of work in compiled code, up to the first in which there is something to do or to tell."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from geofence import runs
from geofence.clock import NEVER_MS
from geofence.compiling import kernel, lean
from geofence.decoding import COLUMNS, KIND, STATE, Frame, T, extend
from geofence.standstills import find_runs, progress
from geofence.ticks import end_of

Floats = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]

NOTHING, CLOSES, TRIMS, TELLS = 0, 1, 2, 4
"""Why the steps ended: a standstill may have closed, fixes can be let go, something may be due to be told."""


class Waits(NamedTuple):
    """What steps wait for; times in milliseconds since 1970.

    Fix number `trim`; or the time of the newest fix less `decide_after_ms` to reach `due_ms`, or that and the
    time of the last fix driven to reach `passed_ms`.
    """

    trim: int
    decide_after_ms: int
    due_ms: int
    passed_ms: int


class Ripe(NamedTuple):
    """Where the steps ended.

    Fix from which on to look for standstills, end of the last step, why it is the last, and up to when all
    that ended was known to have, at most, in any of the steps but the last. Then the standstills that have
    closed, as from `standstills.find_runs`, and the fix from which on to look for the next.
    """

    begin: int
    until_ms: int
    why: int
    idle_ms: int
    runs: Floats
    ahead: int


@kernel()
def _ms(origin_ms: float, seconds: float) -> int:
    return int(origin_ms) + int(np.rint(1000 * seconds))


@lean()
def _row_after(track: Floats, row: int, rows: int, until_ms: int) -> int:
    """The first row from `row` on that is later than a time."""
    while row < rows and track[row * COLUMNS] <= until_ms:
        row += 1
    return row


@lean()
def _why(t: Floats, begin: int, closed: bool, origin_ms: float, waits: Waits) -> int:
    """What there is to do after a step."""
    why = TRIMS if begin > waits.trim else NOTHING
    if closed:
        why |= CLOSES
    told_by_ms = _ms(origin_ms, t[-1]) - waits.decide_after_ms
    passed = begin > 0 and min(told_by_ms, _ms(origin_ms, t[begin - 1])) >= waits.passed_ms
    return why | TELLS if told_by_ms >= waits.due_ms or passed else why


@lean()
def _known_ms(t: Floats, begin: int, origin_ms: float, waits: Waits) -> int:
    """What ended by then is decided, and old enough to be told."""
    told_by_ms = _ms(origin_ms, t[-1]) - waits.decide_after_ms
    return min(told_by_ms, _ms(origin_ms, t[begin])) if begin < len(t) else told_by_ms


@kernel()
def ripen(
    track: Floats,
    row: int,
    room: int,
    frame: Frame,
    final: int,
    floats: Floats,
    small: Bytes,
    begin: int,
    until_ms: int,
    before_ms: int,
    offset_ms: int,
    waits: Waits,
) -> Any:
    """Decode from a row on, step by step: the first ends at `until_ms`, the last before `before_ms`.

    There is room for the rows up to number `room` (see `decoding.extend`). Returns the row reached, how
    many fixes are known and final, and what `Ripe` holds.
    """
    rows = len(track) // COLUMNS
    idle_ms = NEVER_MS
    row = _row_after(track, row, rows, until_ms)
    while True:
        count, final = extend(track, row, frame, final, floats, small)
        t = floats[T, :count]
        closed, begin = progress(t, small[STATE, :count], small[KIND, :count], begin, final)
        why = _why(t, begin, closed, frame.origin_ms, waits)
        if why != NOTHING or row == rows:
            break
        next_ms = end_of(int(track[row * COLUMNS]), offset_ms)
        end = _row_after(track, row, rows, next_ms)
        if next_ms >= before_ms or end > room:
            break
        idle_ms = max(idle_ms, _known_ms(t, begin, frame.origin_ms, waits))
        row, until_ms = end, next_ms
    found, ahead = np.empty((0, runs.COLUMNS)), begin
    if why & CLOSES:
        found, ahead = find_runs(floats, small, count, begin, final)
    return row, count, final, begin, until_ms, why, idle_ms, found, ahead
