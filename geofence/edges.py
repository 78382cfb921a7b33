"""When a vehicle came to stand, or left: the moment that explains the fixes about it best, and its bounds.

For every moment the fixes before it should be where a vehicle is that brakes to a halt at its place, and
those after it at that place, or on the driver's walk from it. The likelihood of each moment gives the best
estimate (the posterior median) and the bounds (its tails), as in Bayesian change-point analysis (Smith 1975).
A departure is an arrival with time reversed.
"""

from math import exp, log, pi, sqrt
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

Floats = npt.NDArray[np.float64]

WINDOW_S = 45.0  # fixes so long before and after count
MOST = 32  # fixes looked at; more are averaged in pairs, threes, ...
MOMENTS = 8  # looked at between two fixes
MOMENT_S = 1.5  # apart, or more
BRAKE_MPS2 = 1.2  # braking to park, and pulling away
BRAKE_SPREAD = 0.4
WALK_AFTER_S = 6.0  # a driver takes so long to get out of the van, and in
WALK_MPS = 1.0  # one axis
WALK_REACH_M = 25.0
DRIFT_S = 40.0  # over such times noise is correlated
PLACE_S = 10.0  # fixes so long after the moment tell the van's place
SAME_PLACE_M = 6.0  # a driver begins and ends so near the van, one axis
TOLD_S = 4.0  # fixes closer in time than this tell less each
ASTRAY = 0.03  # share of fixes that noise models do not explain
ASTRAY_M = 40.0
TAIL = 0.01


@njit(cache=True)
def _normal2(d2: float, sd: float) -> float:
    return exp(-0.5 * d2 / (sd * sd)) / (2 * pi * sd * sd)


@njit(cache=True)
def way_m(seconds: float, speed_mps: float) -> float:
    """Metres from its halt that a vehicle is so many seconds before it."""
    brake_s = speed_mps / BRAKE_MPS2
    if seconds <= brake_s:
        return 0.5 * BRAKE_MPS2 * seconds * seconds
    return speed_mps * (seconds - 0.5 * brake_s)


@njit(cache=True)
def _moving(d: float, seconds: float, speed_mps: float, noise_m: float) -> float:
    """Density of a fix so far from the place where the vehicle will halt in so many seconds."""
    way = way_m(seconds, speed_mps)
    sd = sqrt(noise_m * noise_m + (1.0 + BRAKE_SPREAD * way) ** 2)
    along = exp(-0.5 * ((d - way) / sd) ** 2) / (sqrt(2 * pi) * sd) / (2 * pi * max(d, sd))
    wide = sqrt(noise_m * noise_m + (5.0 + 0.5 * speed_mps * seconds) ** 2)
    return 0.75 * along + 0.25 * _normal2(d * d, wide)


@njit(cache=True)
def _standing(d: float, seconds: float, noise_m: float) -> float:
    """Density of a fix so far from the van's place, so many seconds after it came to stand."""
    walk = min(WALK_MPS * max(seconds - WALK_AFTER_S, 0.0), WALK_REACH_M)
    at_van = _normal2(d * d, noise_m)
    away = _normal2(d * d, sqrt(noise_m * noise_m + walk * walk))
    near = 0.4 * at_van + 0.6 * away
    return (1 - ASTRAY) * near + ASTRAY * _normal2(d * d, sqrt(noise_m * noise_m + ASTRAY_M**2))


@njit(cache=True)
def _told_speed(speed_mps: float, before: bool, seconds: float, cruise_mps: float) -> float:
    """Density of a reported speed; 1 where none is."""
    if speed_mps != speed_mps:
        return 1.0
    if before:
        mean = min(BRAKE_MPS2 * seconds, cruise_mps)
        sd = 0.5 + 0.5 * mean
        return 0.8 * exp(-0.5 * ((speed_mps - mean) / sd) ** 2) / (sqrt(2 * pi) * sd) + 0.2 / 15.0
    still = exp(-0.5 * (speed_mps / 0.4) ** 2) / (0.5 * sqrt(2 * pi) * 0.4)
    sd = 0.4 if seconds < WALK_AFTER_S else 1.2
    walk = exp(-0.5 * (speed_mps / sd) ** 2) / (0.5 * sqrt(2 * pi) * sd)
    return 0.5 * still + 0.45 * walk + 0.05 / 15.0


@njit(cache=True)
def _window(
    t: Floats, x: Floats, y: Floats, noise_m: Floats, speed_mps: Floats,
    edge: int, begin: int, end: int, direction: int,
) -> Any:  # fmt: skip
    """Fixes about row `edge` in the given direction of time, averaged when many: t, x, y, noise, speed, n."""
    lo = edge
    while lo != begin and abs(t[lo - direction] - t[edge]) <= WINDOW_S:
        lo -= direction
    for _ in range(2):  # a fix or two further away are better than none
        if lo != begin and abs(lo - edge) < 2:
            lo -= direction
    hi = edge
    while hi != end and abs(t[hi + direction] - t[edge]) <= WINDOW_S:
        hi += direction
    for _ in range(2):
        if hi != end and abs(hi - edge) < 2:
            hi += direction
    count = abs(hi - lo) + 1
    each = -(-count // MOST)
    n = -(-count // each)
    out = np.zeros((6, n))
    for m in range(count):
        row = lo + direction * m
        b = m // each
        out[0, b] += direction * t[row]
        out[1, b] += x[row]
        out[2, b] += y[row]
        out[3, b] += noise_m[row]
        out[4, b] += speed_mps[row]
        out[5, b] += 1.0
    for b in range(n):
        for c in range(5):
            out[c, b] /= out[5, b]
    return out


@njit(cache=True)
def halt_time(
    t: Floats, x: Floats, y: Floats, noise_m: Floats, speed_mps: Floats,
    edge: int, begin: int, end: int, jitter_m: float, cruise_mps: float,
    other_x: float, other_y: float, other_known: bool,
) -> Any:  # fmt: skip
    """Best estimate, lower and upper bound of the moment about row `edge` after which the vehicle stands.

    Rows from `begin` (may still drive) to `end` (surely stands) are looked at; with `begin` above `end` the
    moment is that of leaving. `jitter_m` is the noise of a step, `other` the van's place at the other end of
    the standing where known.
    """
    direction = 1 if end >= begin else -1
    w = _window(t, x, y, noise_m, speed_mps, edge, begin, end, direction)
    n = w.shape[1]
    wt, wx, wy, wnoise, wspeed, many = w[0], w[1], w[2], w[3], w[4], w[5]
    moments = np.empty(n * MOMENTS)
    width = np.empty(n * MOMENTS)
    scores = np.empty(n * MOMENTS)
    count = 0
    for m in range(1, n):
        px = py = total = 0.0
        mid = 0.0
        for k in range(m, n):
            if k > m and wt[k] - wt[m] > PLACE_S:
                break
            px, py, mid, total = px + wx[k], py + wy[k], mid + wt[k], total + 1.0
        px, py, mid = px / total, py / total, mid / total
        gap = wt[m] - wt[m - 1]
        steps = min(MOMENTS, max(1, round(gap / MOMENT_S)))
        base = 0.0
        if other_known:
            apart = (px - other_x) ** 2 + (py - other_y) ** 2
            sd = sqrt(SAME_PLACE_M**2 + 4.0 * wnoise[m] ** 2)
            base = log(_normal2(apart, sd) + 1e-7)
        for s in range(steps):
            at = wt[m - 1] + gap * (s + 0.5) / steps
            score = base
            for k in range(n):
                d = sqrt((wx[k] - px) ** 2 + (wy[k] - py) ** 2)
                drift = 2.0 * wnoise[k] ** 2 * (1.0 - exp(-abs(wt[k] - mid) / DRIFT_S))
                noise = sqrt(jitter_m * jitter_m / many[k] + drift)
                if k < m:
                    p = _moving(d, at - wt[k], cruise_mps, noise)
                    p *= _told_speed(wspeed[k], True, at - wt[k], cruise_mps)
                else:
                    p = _standing(d, wt[k] - at, noise)
                    p *= _told_speed(wspeed[k], False, wt[k] - at, cruise_mps)
                around = wt[min(k + 1, n - 1)] - wt[max(k - 1, 0)]
                score += min(1.0, 0.5 * around / TOLD_S) * log(p + 1e-12)
            moments[count], width[count], scores[count] = at, gap / steps, score
            count += 1
    if count == 0:
        return t[edge], t[edge], t[edge]
    low, best, high = _quantiles(moments[:count], width[:count], scores[:count])
    for k in range(1, n):  # between two fixes anything may have happened
        if wt[k - 1] <= best <= wt[k]:
            low, high = min(low, wt[k - 1]), max(high, wt[k])
    if direction > 0:
        return best, low, high
    return -best, -high, -low


@njit(cache=True)
def _quantiles(moments: Floats, width: Floats, scores: Floats) -> Any:
    """Lower tail, median and upper tail of the posterior; each moment stands for its width."""
    top = np.max(scores)
    mass = width * np.exp(scores - top)
    mass /= np.sum(mass)
    out = np.empty(3)
    goals = (TAIL, 0.5, 1.0 - TAIL)
    for q in range(3):
        below = 0.0
        out[q] = moments[-1] + 0.5 * width[-1]
        for k in range(len(moments)):
            if below + mass[k] >= goals[q]:
                share = (goals[q] - below) / mass[k]
                out[q] = moments[k] + (share - 0.5) * width[k]
                break
            below += mass[k]
    return out[0], out[1], out[2]
