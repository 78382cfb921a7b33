"""Which fixes of a track to believe: teleports, spikes, stale and inaccurate positions are set aside."""

from math import sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from geofence.compiling import kernel, lean

Floats = npt.NDArray[np.float64]
Marks = npt.NDArray[np.uint8]

GOOD, INACCURATE, SAME_TIME, SPIKE, STALE, BEFORE = range(6)

MAX_SPEED_MPS = 60.0  # faster than any delivery vehicle
SPIKE_SPEED_MPS = 12.0  # both legs of an out-and-back this fast make it a spike
SPIKE_RATIO = 3.0  # ... when they are this much longer than the way between their ends
SUSPECTS = 6  # so many fixes that agree with each other overrule the one before them
JITTER_WITHIN_S = 90.0  # three fixes
JITTER_QUANTILE = 0.35
JITTER_RATE = 0.06
QUANTILE_OF_OFF = 0.93  # that quantile of the length of unit noise on each axis
SMOOTH_FROM_M = 8.0
SMOOTH_S_PER_M = 0.8
SMOOTH_WITHIN_S = 25.0
STALE_RUN_MAX_S = 45.0
LOOK_AHEAD_S = 60.0  # a fix that looks out of place may be judged by those so long after it


@lean()
def _away_m(x: Floats, y: Floats, a: int, b: int) -> float:
    """How far apart two fixes are."""
    return sqrt((x[a] - x[b]) ** 2 + (y[a] - y[b]) ** 2)


@kernel()
def mark(
    t: Floats, x: Floats, y: Floats, accuracy_m: Floats, speed_mps: Floats, worst_m: float, trusted: int
) -> Any:
    """A mark for each fix of a track sorted by time (seconds, metres): GOOD or why not.

    `trusted` is a fix known to be good, from which the track is followed (-1: from the first); marks before
    it mean nothing. Also, how many leading fixes keep their marks whatever comes later.
    """
    n = len(t)
    marks = np.zeros(n, np.uint8)
    for i in range(n):
        if accuracy_m[i] > worst_m:
            marks[i] = INACCURATE
    _one_fix_a_time(t, x, y, accuracy_m, marks, trusted)
    known = _set_aside_stale(t, x, y, speed_mps, marks)
    return marks, _set_aside_spikes(t, x, y, marks, trusted, known)


@lean()
def _one_fix_a_time(t: Floats, x: Floats, y: Floats, accuracy_m: Floats, marks: Marks, trusted: int) -> None:
    """Of several fixes for one time keep the most accurate, or the one nearest to the fix before."""
    last = trusted
    i = 0
    if trusted >= 0:
        for k in range(len(t)):
            if t[k] == t[trusted] and k != trusted:
                marks[k] = SAME_TIME
        i = trusted
        while i < len(t) and t[i] == t[trusted]:
            i += 1
    while i < len(t):
        j = i
        while j < len(t) and t[j] == t[i]:
            j += 1
        if j - i > 1:
            best = -1
            best_cost = 0.0
            for k in range(i, j):
                if marks[k] != GOOD:
                    continue
                cost = accuracy_m[k] if accuracy_m[k] == accuracy_m[k] else 20.0
                if last >= 0:
                    cost += _away_m(x, y, k, last)
                if best < 0 or cost < best_cost:
                    best, best_cost = k, cost
            for k in range(i, j):
                if marks[k] == GOOD and k != best:
                    marks[k] = SAME_TIME
        for k in range(i, j):
            if marks[k] == GOOD:
                last = k
        i = j


@lean()
def _set_aside_stale(t: Floats, x: Floats, y: Floats, speed_mps: Floats, marks: Marks) -> int:
    """A phone that repeats its last position while the vehicle moves: the repeats are set aside.

    Seen by the reported speed, or by the jump at the end that only the whole run's time explains. Returns how
    many leading fixes that is certain of: repeats at the very end may yet turn out to be stale.
    """
    n = len(t)
    first, known = 0, n
    while first < n - 1:
        end = first + 1
        while end < n and (x[end] == x[first] and y[end] == y[first]):
            end += 1
        if end - first > 1:
            moving = False
            for k in range(first + 1, end):
                if speed_mps[k] > 4.0 and marks[k] == GOOD:
                    marks[k] = STALE
            if end < n and t[end - 1] - t[first] <= STALE_RUN_MAX_S:
                jump = _away_m(x, y, end, first)
                if jump > 1.8 * 20.0 * max(t[end] - t[end - 1], 1.0) and jump < 25.0 * (t[end] - t[first]):
                    moving = True
            if moving:
                for k in range(first + 1, end):
                    if marks[k] == GOOD:
                        marks[k] = STALE
            if end == n and t[end - 1] - t[first] <= STALE_RUN_MAX_S:
                known = first + 1
        first = end
    return known


@lean()
def _set_aside_spikes(t: Floats, x: Floats, y: Floats, marks: Marks, trusted: int, known: int) -> int:
    """Fixes that no vehicle could reach and return from: alone or a few together.

    The marks of so many leading fixes are known so far. Returns of how many they are now: up to the first
    that looks out of place and that fixes still to come may judge.
    """
    n = len(t)
    last = trusted
    i = trusted + 1
    while i < n:
        if marks[i] != GOOD:
            i += 1
            continue
        if last < 0:
            is_out, asked = _first_is_out(t, x, y, marks, i)
            if asked >= known:
                known = min(known, i)
            if is_out:
                marks[i] = SPIKE
            else:
                last = i
            i += 1
            continue
        out = _away_m(x, y, i, last)
        speed_out = out / max(t[i] - t[last], 0.5)
        if speed_out < SPIKE_SPEED_MPS or out < 30.0:
            last = i
            i += 1
            continue
        back, asked = _return_index(t, x, y, marks, last, i)
        if asked >= known:
            known = min(known, i)
        if back > 0:
            for k in range(i, back):
                if marks[k] == GOOD:
                    marks[k] = SPIKE
            i = back
        else:
            last = i
            i += 1
    return known


@lean()
def _first_is_out(t: Floats, x: Floats, y: Floats, marks: Marks, i: int) -> Any:
    """Whether the first fix is out of reach of those after it, which agree among themselves.

    And the last fix that was asked for, one beyond them where they do not tell.
    """
    n = len(t)
    previous = i
    seen = 0
    for k in range(i + 1, n):
        if marks[k] != GOOD:
            continue
        speed = _away_m(x, y, k, previous) / max(t[k] - t[previous], 0.5)
        if previous == i and speed <= MAX_SPEED_MPS:
            return False, k
        if previous != i and speed > MAX_SPEED_MPS:
            return False, k
        previous = k
        seen += 1
        if seen >= 3:
            return True, k
        if t[k] - t[i] > LOOK_AHEAD_S:
            return False, k
    return False, n


@lean()
def _return_index(t: Floats, x: Floats, y: Floats, marks: Marks, last: int, i: int) -> Any:
    """Index of the fix that is back from an excursion last → i, or -1 when there is none nearby.

    And the last fix that was asked for, one beyond them where they do not tell.
    """
    n = len(t)
    leg_out = _away_m(x, y, i, last)
    impossible = leg_out / max(t[i] - t[last], 0.5) > MAX_SPEED_MPS
    looked = 0
    previous = i
    for k in range(i + 1, n):
        if marks[k] != GOOD:
            continue
        looked += 1
        if looked > SUSPECTS or (looked > 1 and t[k] - t[i] > LOOK_AHEAD_S):
            return -1, k
        leg_back = _away_m(x, y, k, previous)
        speed_back = leg_back / max(t[k] - t[previous], 0.5)
        across = _away_m(x, y, k, last)
        reachable = across / max(t[k] - t[last], 0.5) < (MAX_SPEED_MPS if impossible else SPIKE_SPEED_MPS)
        ratio = (leg_out + leg_back) / max(across, 1.0)
        if speed_back > SPIKE_SPEED_MPS and reachable and ratio > SPIKE_RATIO:
            return k, k
        if impossible and reachable and speed_back > MAX_SPEED_MPS:
            return k, k
        previous = k
    return -1, n


@kernel()
def jitter_m(t: Floats, x: Floats, y: Floats, first: float, begin: int) -> Floats:
    """Noise of the fixes from number `begin` on (one axis, metres) as seen by each of them; `first` at that.

    What a fix is off the straight line between its neighbours is noise where the vehicle stands or drives
    evenly. A lower quantile of that is followed by a small multiplicative step up or down (stochastic
    approximation; Robbins and Monro 1951). Needs the fix before `begin`, where there is one.
    """
    out = np.empty(len(t) - begin)
    level = first
    out[0] = level
    for k in range(begin + 1, len(t)):
        if k > 1 and t[k] - t[k - 2] <= JITTER_WITHIN_S:
            w = (t[k - 1] - t[k - 2]) / (t[k] - t[k - 2])
            off_x = x[k - 1] - (1 - w) * x[k - 2] - w * x[k]
            off_y = y[k - 1] - (1 - w) * y[k - 2] - w * y[k]
            off = sqrt(off_x * off_x + off_y * off_y)
            off /= np.sqrt(1.0 + w * w + (1 - w) ** 2) * QUANTILE_OF_OFF
            level *= np.exp(JITTER_RATE * (JITTER_QUANTILE - (1.0 if off < level else 0.0)))
            level = min(max(level, 0.8), 25.0)
        out[k - begin] = level
    return out


@kernel()
def smooth(t: Floats, x: Floats, y: Floats, noise_m: Floats, begin: int) -> Any:
    """Places of the fixes from number `begin` on, noisy ones averaged with their neighbours in time.

    The wider the noise, the longer the time that counts; fixes with little noise stay as they are. Nothing
    further away than `SMOOTH_WITHIN_S` counts.
    """
    n = len(t)
    sx = x[begin:].copy()
    sy = y[begin:].copy()
    for i in range(begin, n):
        if noise_m[i] < SMOOTH_FROM_M:
            continue
        reach = SMOOTH_S_PER_M * (noise_m[i] - SMOOTH_FROM_M) + 2.0
        total = wx = wy = 0.0
        k = i
        while k >= 0 and t[i] - t[k] <= SMOOTH_WITHIN_S:
            w = np.exp(-(t[i] - t[k]) / reach) / noise_m[k] ** 2
            total, wx, wy = total + w, wx + w * x[k], wy + w * y[k]
            k -= 1
        k = i + 1
        while k < n and t[k] - t[i] <= SMOOTH_WITHIN_S:
            w = np.exp(-(t[k] - t[i]) / reach) / noise_m[k] ** 2
            total, wx, wy = total + w, wx + w * x[k], wy + w * y[k]
            k += 1
        sx[i - begin], sy[i - begin] = wx / total, wy / total
    return sx, sy
