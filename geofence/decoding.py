"""From rows of a track to believed fixes that stand or drive, in one pass of compiled code."""

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from geofence.cleaning import BEFORE, GOOD, SMOOTH_FROM_M, SMOOTH_WITHIN_S, jitter_m, mark, smooth
from geofence.compiling import kernel, lean
from geofence.geometry import METRES_PER_DEGREE
from geofence.motion import BASE_MOST_S, decode
from geofence.speeds import BACK_MOST_S, believe

Floats = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]

COLUMNS: Final = 5  # of a track: ts_ms, lat, lon, accuracy_m, speed_mps
STALE_CONTEXT_MS: Final = 60_000
NOWHERE_DEG: Final = 1e-3  # so near (0, 0) a position is none
FIRST: Final = 3  # fixes about which the plane is laid

FLOATS: Final = 12
T, RAW_X, RAW_Y, X, Y, NOISE_M, JITTER_M, SPEED_MPS, ROW, TOLD_MPS, TOO_LITTLE, TOO_MUCH = range(FLOATS)
"""Rows of the numbers of believed fixes: seconds since the origin, place as reported and smoothed (metres in
the plane), noise and jitter (one axis), reported speed where it is believed, number in the track; speed as it
was reported, and the doubts about it (see `speeds`)."""

BYTES: Final = 2
STATE, KIND = range(BYTES)
"""Rows of the small numbers of believed fixes (see `motion.decode`)."""

BASES_WITHIN_S: Final = 2.0 * BASE_MOST_S


class Frame(NamedTuple):
    """What all rows of a track are decoded with: origin of time and place, and the rules' noise."""

    origin_ms: float
    lat: float
    lon: float
    metres_per_lon: float
    worst_m: float
    noise_m: float


@lean()
def _context(track: Floats, base_row: int) -> int:
    """First row that the marks of those after `base_row` depend on."""
    since_ms = track[base_row * COLUMNS] - STALE_CONTEXT_MS
    row = base_row
    while row > 0 and track[(row - 1) * COLUMNS] > since_ms:
        row -= 1
    return max(row - 1, 0)  # one more: how long a position was repeated shows


@kernel()
def _read(track: Floats, first: int, end: int, frame: Frame) -> Any:
    """Seconds, place in the plane, accuracy (infinite where there is no place), speed of rows first..end."""
    out = np.empty((5, end - first))
    for k in range(end - first):
        at = (first + k) * COLUMNS
        nowhere = abs(track[at + 1]) < NOWHERE_DEG and abs(track[at + 2]) < NOWHERE_DEG
        out[0, k] = (track[at] - frame.origin_ms) / 1000.0
        d_lon = track[at + 2] - frame.lon
        if not -180.0 <= d_lon < 180.0:
            d_lon = (d_lon + 180.0) % 360.0 - 180.0
        out[1, k] = d_lon * frame.metres_per_lon
        out[2, k] = (track[at + 1] - frame.lat) * METRES_PER_DEGREE
        out[3, k] = np.inf if nowhere else track[at + 3]
        out[4, k] = track[at + 4]
    return out[0], out[1], out[2], out[3], out[4]


@njit()  # stored as part of `extend`
def _put_good(
    floats: Floats, base: int, marks: Bytes, first_row: int,
    t: Floats, x: Floats, y: Floats, accuracy: Floats, speed: Floats,
) -> int:  # fmt: skip
    """Write down the good fixes from `base` on, as they were reported; returns where they end."""
    count = base
    for k in range(len(marks)):
        if marks[k] == GOOD:
            floats[T, count], floats[RAW_X, count], floats[RAW_Y, count] = t[k], x[k], y[k]
            floats[NOISE_M, count] = accuracy[k]
            floats[TOLD_MPS, count] = speed[k]
            floats[ROW, count] = first_row + k
            count += 1
    return count


@njit()
def _noise(floats: Floats, base: int, count: int, first: float) -> None:
    """Jitter as seen by each fix, and its noise: where accuracy was reported, that when it is more."""
    begin = max(base - 1, 0)
    t, x, y = floats[T, begin:count], floats[RAW_X, begin:count], floats[RAW_Y, begin:count]
    jitter = jitter_m(t, x, y, first, base - begin)
    for k in range(base, count):
        floats[JITTER_M, k] = jitter[k - base]
        accuracy = floats[NOISE_M, k]
        noise = jitter[k - base]
        if accuracy == accuracy:
            noise = max(accuracy / 1.5, noise)
        floats[NOISE_M, k] = noise


@lean()
def _since(floats: Floats, base: int, seconds: float) -> int:
    """The first of the fixes so few seconds before one."""
    first = base
    while first > 0 and floats[T, first - 1] >= floats[T, base] - seconds:
        first -= 1
    return first


@lean()
def _certain(floats: Floats, base: int, marks: Bytes) -> int:
    """Up to which fix from `base` on all stays as it is, of the good ones of these with certain marks.

    Noisy ones are smoothed with those that come soon after.
    """
    end = base
    for k in range(len(marks)):
        end += marks[k] == GOOD
    for k in range(base, end):
        if floats[NOISE_M, k] >= SMOOTH_FROM_M and floats[T, end - 1] - floats[T, k] <= SMOOTH_WITHIN_S:
            return k
    return end


@njit()
def _place(floats: Floats, base: int, count: int) -> None:
    """Smooth the places of the fixes from `base` on with what came before."""
    first = _since(floats, base, SMOOTH_WITHIN_S)
    sx, sy = smooth(
        floats[T, first:count],
        floats[RAW_X, first:count],
        floats[RAW_Y, first:count],
        floats[NOISE_M, first:count],
        base - first,
    )
    floats[X, base:count] = sx
    floats[Y, base:count] = sy


@njit()
def _speeds(floats: Floats, base: int, count: int, known: bool) -> None:
    """Choose which of the reported speeds of the fixes from `base` on are believed."""
    first = _since(floats, base, BACK_MOST_S)
    believe(
        floats[T, first:count],
        floats[RAW_X, first:count],
        floats[RAW_Y, first:count],
        floats[NOISE_M, first:count],
        floats[TOLD_MPS, first:count],
        floats[TOO_LITTLE, first:count],
        floats[TOO_MUCH, first:count],
        floats[SPEED_MPS, first:count],
        base - first + known,
    )


@kernel()
def extend(track: Floats, end: int, frame: Frame, final: int, floats: Floats, small: Bytes) -> Any:
    """Decode rows up to number `end`; `final` leading fixes are known for good. Numbers known and final.

    `track` are all rows one after the other; `floats` and `small` have room for what may come.
    """
    known = final > 0
    base = max(final - 1, 0)  # a final fix, whose state starts the decoding again
    base_row = int(floats[ROW, base]) if known else 0
    first_row = _context(track, base_row) if known else 0
    trusted = base_row - first_row if known else -1
    t, x, y, accuracy, speed = _read(track, first_row, end, frame)
    marks, judged = mark(t, x, y, accuracy, speed, frame.worst_m, trusted)
    if known:
        marks[:trusted] = BEFORE
        marks[trusted] = GOOD
    start = int(small[STATE, base]) if known else -1
    kind = small[KIND, base]
    first = floats[JITTER_M, base] if known else frame.noise_m
    count = _put_good(floats, base, marks, first_row, t, x, y, accuracy, speed)
    if count == base:
        return count, base
    _noise(floats, base, count, first)
    _place(floats, base, count)
    _speeds(floats, base, count, known)
    if not known and count < FIRST:
        judged = 0  # others may yet be among those
    since, sure = _since(floats, base, BASES_WITHIN_S), _certain(floats, base, marks[:judged])
    state, kinds, n_final = decode(
        floats[T, since:count],
        floats[X, since:count],
        floats[Y, since:count],
        floats[NOISE_M, since:count],
        floats[SPEED_MPS, since:count],
        start,
        sure - since,
        base - since,
    )
    small[STATE, base:count] = state[base - since :]
    small[KIND, base:count] = kinds[base - since :]
    if known:
        small[KIND, base] = kind
    return count, max(final, base + n_final)
