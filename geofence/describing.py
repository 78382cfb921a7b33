"""What the rows of one standstill tell: its times, where the van and the driver were, and the evidence."""

from math import sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from geofence import runs
from geofence.compiling import kernel, lean
from geofence.edges import halt_time
from geofence.motion import STAND
from geofence.rows import PLACE_S, place_about, step_m
from geofence.unseen import cruise_mps, hides_move, moved_by

Floats = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]

CALM_MPS = 0.9  # slower than a walk
CALM_WITHIN_S = 40.0
WALK_AWAY_M = 8.0  # so far from the van the driver is at the door
SEARCH_MPS = 4.2
SEARCH_STEP_S = 8.0  # by steps of so many seconds
SEARCH_GAP_S = 20.0
SEARCH_REACH_M = 150.0
SEARCH_FIXES = 150  # at most so many are looked at


@kernel()
def describe(
    t: Floats,
    x: Floats,
    y: Floats,
    noise_m: Floats,
    speed_mps: Floats,
    states: Bytes,
    before: int,
    i: int,
    j: int,
    after: int,
    jitter: float,
    row: Floats,
) -> None:
    """Times, places and evidence of the standing rows i..j (see `runs`)."""
    n = len(t)
    a = _calm_row(t, x, y, jitter, i, j)
    b = _calm_row(t, x, y, jitter, j, a)
    middle = a
    while middle < b and t[middle] < 0.5 * (t[a] + t[b]):
        middle += 1
    known = t[b] - t[a] > 40.0
    arrive, lo, since = t[a], t[a], t[a]
    if a > 0 and before == a - 1 and states[before] == STAND and hides_move(t, x, y, before, a):
        arrive, lo = moved_by(t, x, y, before, a), t[before]
    elif a > 0:
        begin = max(before, 0)
        ox, oy = place_about(t, x, y, b, a)
        cruise = cruise_mps(t, x, y, states, max(i - 1, 0), -1)
        arrive, lo, since = halt_time(
            t, x, y, noise_m, speed_mps, a, begin, max(middle, a), jitter, cruise, ox, oy, known
        )
    depart, hi, until = t[b], t[b], t[b]
    if b < n - 1 and after == b + 1 and states[after] == STAND and hides_move(t, x, y, b, after):
        depart, hi = t[b] + t[after] - moved_by(t, x, y, b, after), t[after]
    elif b < n - 1:
        end = min(after, n - 1)
        ox, oy = place_about(t, x, y, a, b)
        cruise = cruise_mps(t, x, y, states, min(j + 1, n - 1), 1)
        depart, until, hi = halt_time(
            t, x, y, noise_m, speed_mps, b, end, min(max(middle - 1, a), b), jitter, cruise, ox, oy, known
        )
        if depart < arrive:
            depart = arrive
    while a < b and t[a] < arrive:
        a += 1
    while b > a and t[b] > depart:
        b -= 1
    px, py = _park(t, x, y, a, b)
    row[runs.FIRST], row[runs.LAST] = a, b
    row[runs.ARRIVED], row[runs.ARRIVED_LOW], row[runs.ARRIVED_HIGH] = arrive, lo, since
    row[runs.DEPARTED], row[runs.DEPARTED_LOW], row[runs.DEPARTED_HIGH] = depart, until, hi
    row[runs.SEARCH_S], row[runs.PARK_X], row[runs.PARK_Y] = _search(t, x, y, a, px, py), px, py
    door_x, door_y, walked, noise = _door(t, x, y, noise_m, jitter, a, b, px, py)
    row[runs.DOOR_X], row[runs.DOOR_Y], row[runs.WALKED], row[runs.NOISE_M] = door_x, door_y, walked, noise
    row[runs.MAX_GAP_S] = _max_gap(t, t[max(a - 1, 0)], t[min(b + 1, n - 1)], a, b)
    row[runs.HOW] = runs.OPEN_ENDED if b == n - 1 else runs.SEEN


@lean()
def _calm_row(t: Floats, x: Floats, y: Floats, jitter: float, begin: int, end: int) -> int:
    """First row from `begin` towards `end` where a calm step begins: the van has come to rest.

    A driver gets out only after that, so what is faster at the very start (or, going back, at the very end)
    is still the van. `begin` itself when no step is calm for long.
    """
    direction = 1 if end >= begin else -1
    k = begin
    while k != end and abs(t[k] - t[begin]) <= CALM_WITHIN_S:
        dt = abs(t[k + direction] - t[k])
        if step_m(x, y, k, k + direction) <= CALM_MPS * dt + 1.5 * jitter:
            return k
        k += direction
    return begin


@kernel()
def _door(
    t: Floats, x: Floats, y: Floats, noise_m: Floats, jitter: float, a: int, b: int, px: float, py: float
) -> Any:
    """Where the driver was when away from the van (weighted by time), whether at all, and the noise seen."""
    sx = sy = weight = rough = 0.0
    for k in range(a, b + 1):
        away = sqrt((x[k] - px) ** 2 + (y[k] - py) ** 2)
        rough += noise_m[k] / (b + 1 - a)
        if away > WALK_AWAY_M + 1.5 * max(noise_m[k], jitter):
            w = 0.5 * (t[min(k + 1, b)] - t[max(k - 1, a)])
            w = min(max(w, 0.1), 60.0)
            sx, sy, weight = sx + w * x[k], sy + w * y[k], weight + w
    noise = max(rough, min(jitter, 25.0))
    if weight < 8.0:
        return np.mean(x[a : b + 1]), np.mean(y[a : b + 1]), 0.0, noise
    mx, my = sx / weight, sy / weight
    return mx, my, 1.0, noise


@lean()
def _max_gap(t: Floats, lo: float, hi: float, a: int, b: int) -> float:
    gap: float = max(t[a] - lo, hi - t[b])
    for k in range(a, b):
        gap = max(gap, t[k + 1] - t[k])
    return gap


@lean()
def _park(t: Floats, x: Floats, y: Floats, a: int, b: int) -> Any:
    """Where the van stands: the mean of the first and the last fixes, when the driver is at it."""
    sx = sy = 0.0
    count = 0
    for k in range(a, b + 1):
        if t[k] - t[a] <= PLACE_S or t[b] - t[k] <= PLACE_S:
            sx += x[k]
            sy += y[k]
            count += 1
    return sx / count, sy / count


@lean()
def _search(t: Floats, x: Floats, y: Floats, a: int, px: float, py: float) -> float:
    """Seconds of slow driving near the place just before standing, by steps that noise makes little of."""
    k = since = a
    while k > 0 and a - k < SEARCH_FIXES and t[k] - t[k - 1] <= SEARCH_GAP_S:
        while t[since - 1] - t[k - 1] >= SEARCH_STEP_S:
            since -= 1
        step_s = max(t[since] - t[k - 1], SEARCH_STEP_S)
        near = sqrt((x[k - 1] - px) ** 2 + (y[k - 1] - py) ** 2) < SEARCH_REACH_M
        if not near or step_m(x, y, k - 1, since) > SEARCH_MPS * step_s:
            break
        k -= 1
    seconds: float = t[a] - t[k]
    return seconds
