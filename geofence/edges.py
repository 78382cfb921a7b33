"""When a vehicle came to stand, or left: the moment that explains the fixes about it best, and its bounds.

For every moment the fixes before it should be where a vehicle is that brakes to a halt at its place, and
those after it at that place, or on the driver's walk from it. How hard it brakes is not known: a few rates
are all tried and weighed. The likelihood of each moment gives the best estimate (the posterior median) and
the bounds (its tails), as in Bayesian change-point analysis (Smith 1975). A departure is an arrival with time
reversed.
"""

from math import exp, log, pi, sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from geofence.compiling import kernel, lean

Floats = npt.NDArray[np.float64]

WINDOW_S = 36.0  # fixes so long before and after count
MOST = 32  # fixes looked at; more are averaged in pairs, threes, ...
MOMENTS = 8  # looked at between two fixes
MOMENT_S = 1.5  # apart, or more
BRAKES_MPS2 = (0.5, 1.0, 2.0)  # braking to park, and pulling away: gently, as usual, hard
USUAL = 1  # of these
BRAKE_SPREAD = 0.25  # of the way that is left
BRAKE_M = 0.5
WALK_AFTER_S = 6.0  # a driver takes so long to get out of the van, and in
WALK_MPS = 1.0  # one axis
WALK_REACH_M = 25.0
DRIFT_S = 40.0  # over such times noise is correlated
PLACE_S = 10.0  # fixes so long after the moment tell the van's place
ROLLING_S = 6.0  # so long a vehicle may roll where it is about to stand
SAME_PLACE_M = 6.0  # a driver begins and ends so near the van, one axis
TOLD_S = 4.0  # fixes closer in time than this tell less each
ASTRAY = 0.03  # share of fixes that noise models do not explain
ASTRAY_M = 40.0
TAIL = 0.01
HOPELESS = 15.0
LONG_GAP_S = 6.0  # one look tells of the moments in a shorter gap
LEAST = 1e-12  # density of what fits nothing at all
NOTHING = 32.0  # exp(-NOTHING) is nothing beside that
TINY = 1e-200  # products are let go this far, no further
AGES = 700.0  # exp(AGES) is still a number

T, X, Y, NOISE_M, SPEED_MPS, MANY = range(6)
"""Rows of a window: seconds, place, noise, reported speed, how many fixes were averaged."""

KNOWN = 12
WEIGHT, STEP2, DRIFT2, AGE, TOLD_STILL, TOLD_WALK = range(6)
AWAY, NOISE2, AT_VAN, ELSEWHERE, OTHERWISE, BEST = range(6, KNOWN)
"""Rows of what is known of each fix: how much it tells, the variances of a step and of drift in the long run,
its age for drift (see `_age`), density of its speed while the driver is at the van and while he may walk;
and, for the place being looked at: how far from it, variance, density at it and astray; its score for the
best moment so far."""


@kernel(error_model="numpy")
def _normal2(d: float, variance: float) -> float:
    power = 0.5 * d * d / variance
    return exp(-power) / (2 * pi * variance) if power < NOTHING else 0.0


@kernel(error_model="numpy")
def _normal(d: float, sd: float) -> float:
    power = 0.5 * (d / sd) ** 2
    return exp(-power) / (sqrt(2 * pi) * sd) if power < NOTHING else 0.0


@kernel(error_model="numpy")
def way_m(seconds: float, speed_mps: float, brake_mps2: float) -> float:
    """Metres from its halt that a vehicle is so many seconds before it."""
    brake_s = speed_mps / brake_mps2
    if seconds <= brake_s:
        return 0.5 * brake_mps2 * seconds * seconds
    return speed_mps * (seconds - 0.5 * brake_s)


@kernel(error_model="numpy")
def _on_the_way(d: float, seconds: float, speed_mps: float, noise2: float, brake_mps2: float) -> float:
    """Density of a fix so far from where the vehicle, driving there, will halt in so many seconds."""
    way = way_m(seconds, speed_mps, brake_mps2)
    sd = sqrt(noise2 + (BRAKE_M + BRAKE_SPREAD * way) ** 2)
    return _normal(d - way, sd) / (2 * pi * max(d, sd))


@kernel(error_model="numpy")
def _anywhere(d: float, seconds: float, speed_mps: float, noise2: float) -> float:
    """The same when it comes there in some other way."""
    return _normal2(d, noise2 + (5.0 + 0.5 * speed_mps * seconds) ** 2)


@kernel(error_model="numpy")
def _told_driving(speed_mps: float, seconds: float, cruise_mps: float, brake_mps2: float) -> float:
    """Density of a speed reported so many seconds before the halt; 1 where none is."""
    if speed_mps != speed_mps:
        return 1.0
    mean = min(brake_mps2 * seconds, cruise_mps)
    return 0.8 * _normal(speed_mps - mean, 0.5 + 0.5 * mean) + 0.2 / 15.0


@kernel(error_model="numpy")
def _told_standing(speed_mps: float, walk_mps: float) -> float:
    """Density of a speed reported while the vehicle stands and the driver may walk; 1 where none is."""
    if speed_mps != speed_mps:
        return 1.0
    return _normal(speed_mps, 0.4) + 0.9 * _normal(speed_mps, walk_mps) + 0.05 / 15.0


@lean(error_model="numpy")
def _standing(f: Floats, k: int, seconds: float) -> float:
    """Density of fix k so many seconds after the vehicle came to stand, place and speed."""
    away: float = f[AT_VAN, k]
    if seconds > WALK_AFTER_S:
        walk = min(WALK_MPS * (seconds - WALK_AFTER_S), WALK_REACH_M)
        away = _normal2(f[AWAY, k], f[NOISE2, k] + walk * walk)
    told = f[TOLD_STILL, k] if seconds < WALK_AFTER_S else f[TOLD_WALK, k]
    density: float = ((1 - ASTRAY) * (0.4 * f[AT_VAN, k] + 0.6 * away) + f[ELSEWHERE, k]) * told
    return density


@lean(error_model="numpy")
def _driving(f: Floats, k: int, seconds: float, speed_mps: float, cruise_mps: float, brake: float) -> float:
    """Density of fix k so many seconds before the vehicle comes to stand, place and speed."""
    d, noise2 = f[AWAY, k], f[NOISE2, k]
    p = 0.75 * _on_the_way(d, seconds, cruise_mps, noise2, brake)
    p += 0.25 * _anywhere(d, seconds, cruise_mps, noise2)
    return p * _told_driving(speed_mps, seconds, cruise_mps, brake)


@kernel()
def _window(
    t: Floats, x: Floats, y: Floats, noise_m: Floats, speed_mps: Floats,
    edge: int, begin: int, end: int, direction: int,
) -> Any:  # fmt: skip
    """Fixes about row `edge` in the given direction of time, averaged when many: t, x, y, noise, speed, n;
    and which of them row `edge` went into.
    """
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
    return out, abs(edge - lo) // each


@kernel(error_model="numpy")
def _known(w: Floats, jitter_m: float) -> Floats:
    """What is known of each fix of a window whatever the moment, and room for what depends on it."""
    n = w.shape[1]
    f = np.empty((KNOWN, n))
    for k in range(n):
        around = w[T, min(k + 1, n - 1)] - w[T, max(k - 1, 0)]
        f[WEIGHT, k] = min(1.0, 0.5 * around / TOLD_S)
        f[STEP2, k] = jitter_m * jitter_m / w[MANY, k]
        f[DRIFT2, k] = 2.0 * w[NOISE_M, k] ** 2
        f[AGE, k] = _age(w, w[T, k])
        f[TOLD_STILL, k] = _told_standing(w[SPEED_MPS, k], 0.4)
        f[TOLD_WALK, k] = _told_standing(w[SPEED_MPS, k], 1.2)
    return f


@lean(error_model="numpy")
def _age(w: Floats, t: float) -> float:
    """The lesser of two by the greater is how much of drift lasts between their times.

    Counted from the middle of the window, as far as numbers go.
    """
    return exp(min(max((t - w[T, w.shape[1] // 2]) / DRIFT_S, -AGES), AGES))


@lean(error_model="numpy")
def _place(w: Floats, m: int) -> Any:
    """Where the vehicle stands if fix m is the first that stands, and the age at which that is seen."""
    px = py = mid = 0.0
    k = m
    while k < w.shape[1] and w[T, k] - w[T, m] <= PLACE_S:
        px, py, mid = px + w[X, k], py + w[Y, k], mid + w[T, k]
        k += 1
    return px / (k - m), py / (k - m), _age(w, mid / (k - m))


@lean(error_model="numpy")
def _seen_from(w: Floats, f: Floats, k: int, px: float, py: float, age: float, stands: bool) -> None:
    """Note of fix k, which drives or stands, how it lies to a place that was seen at an age."""
    d = sqrt((w[X, k] - px) ** 2 + (w[Y, k] - py) ** 2)
    lasting = f[AGE, k] / age if f[AGE, k] < age else age / f[AGE, k]
    f[AWAY, k] = d
    f[NOISE2, k] = f[STEP2, k] + f[DRIFT2, k] * (1.0 - lasting)
    if stands:
        f[AT_VAN, k] = _normal2(d, f[NOISE2, k])
        f[ELSEWHERE, k] = ASTRAY * _normal2(d, f[NOISE2, k] + ASTRAY_M**2)


@lean(error_model="numpy")
def _look(
    w: Floats, f: Floats, m: int, at: float, base: float, best: float, cruise: float,
    px: float, py: float, age: float, scores: Floats, seen: int,
) -> Any:  # fmt: skip
    """Score of a moment before fix m; fixes are looked at from it outwards until there is no hope.

    There is none when the fixes so far explain it much worse than the best moment, as scored in `f[BEST]`.
    So many fixes to each side are `seen` from its place already; returned anew.
    """
    n = w.shape[1]
    score = base
    behind = base - best  # as far as was looked, `best` being the base of the best
    for i in range(max(m, n - m)):
        for k in (m + i, m - 1 - i):
            if 0 <= k < n:
                if i >= seen:
                    _seen_from(w, f, k, px, py, age, k >= m)
                if k < m:
                    p = _driving(f, k, at - w[T, k], w[SPEED_MPS, k], cruise, BRAKES_MPS2[USUAL])
                else:
                    p = _standing(f, k, w[T, k] - at)
                scores[k] = f[WEIGHT, k] * log(p + LEAST)
                score += scores[k]
                behind += scores[k] - f[BEST, k]
        if behind < -HOPELESS:
            return -np.inf, max(seen, i + 1)
    return score, n


@lean(error_model="numpy")
def _closely(w: Floats, f: Floats, m: int, at: float, base: float, cruise: float) -> float:
    """Score of a moment before fix m, whichever way the vehicle braked."""
    whole, product = base, 1.0
    for k in range(m, w.shape[1]):
        p = _standing(f, k, w[T, k] - at) + LEAST
        if f[WEIGHT, k] < 1.0:
            whole += f[WEIGHT, k] * log(p)
        else:
            product *= p
            if product < TINY:
                whole, product = whole + log(product), 1.0
    whole += log(product)
    for k in range(m):
        f[OTHERWISE, k] = 0.25 * _anywhere(f[AWAY, k], at - w[T, k], cruise, f[NOISE2, k])
    gently = _braked(w, f, m, at, cruise, BRAKES_MPS2[0])
    usually = _braked(w, f, m, at, cruise, BRAKES_MPS2[1])
    hard = _braked(w, f, m, at, cruise, BRAKES_MPS2[2])
    top = max(gently, usually, hard)
    return whole + top + log(exp(gently - top) + exp(usually - top) + exp(hard - top))


@lean(error_model="numpy")
def _braked(w: Floats, f: Floats, m: int, at: float, cruise: float, brake: float) -> float:
    """Score of the fixes before fix m, up to a moment."""
    score, product = 0.0, 1.0
    for k in range(m):
        seconds = at - w[T, k]
        p = f[OTHERWISE, k] + 0.75 * _on_the_way(f[AWAY, k], seconds, cruise, f[NOISE2, k], brake)
        p = p * _told_driving(w[SPEED_MPS, k], seconds, cruise, brake) + LEAST
        if f[WEIGHT, k] < 1.0:
            score += f[WEIGHT, k] * log(p)
        else:
            product *= p
            if product < TINY:
                score, product = score + log(product), 1.0
    return score + log(product)


@kernel(error_model="numpy")
def _search(
    w: Floats, f: Floats, middle: int, cruise_mps: float, other_x: float, other_y: float, other_known: bool
) -> Any:
    """The best score of the moments before each fix, what its place alone adds to it, and the best of all.

    From the fix `middle` outwards, so that the bad ones are soon seen to be.
    """
    n = w.shape[1]
    looked, based, best, best_base = np.full(n, -np.inf), np.zeros(n), -np.inf, -np.inf
    scores = np.empty(n)
    f[BEST] = -np.inf
    first = min(max(middle, 1), n - 1)
    for i in range(2 * n):
        m = first + ((i + 1) // 2 if i % 2 else -(i // 2))
        if not 1 <= m < n:
            continue
        px, py, age = _place(w, m)
        if other_known:
            apart = sqrt((px - other_x) ** 2 + (py - other_y) ** 2)
            based[m] = log(_normal2(apart, SAME_PLACE_M**2 + 4.0 * w[NOISE_M, m] ** 2) + 1e-7)
        gap = w[T, m] - w[T, m - 1]
        seen = 0
        looks = 1 if gap <= LONG_GAP_S else 3
        for s in range(looks):
            at = w[T, m - 1] + gap * (s + 0.5) / looks
            score, seen = _look(w, f, m, at, based[m], best_base, cruise_mps, px, py, age, scores, seen)
            looked[m] = max(looked[m], score)
            if score > best:
                best, best_base = score, based[m]
                f[BEST] = scores
    return looked, based, best


@kernel(error_model="numpy")
def _weighed(w: Floats, f: Floats, looked: Floats, based: Floats, best: float, cruise_mps: float) -> Any:
    """Lower tail, median and upper tail of all moments for which there is hope."""
    n = w.shape[1]
    moments, width, scores = np.empty(n * MOMENTS), np.empty(n * MOMENTS), np.empty(n * MOMENTS)
    count = 0
    for m in range(1, n):
        if looked[m] < best - HOPELESS:
            continue
        px, py, age = _place(w, m)
        for k in range(n):
            _seen_from(w, f, k, px, py, age, k >= m)
        gap = w[T, m] - w[T, m - 1]
        steps = min(MOMENTS, max(1, round(gap / MOMENT_S)))
        for s in range(steps):
            at = w[T, m - 1] + gap * (s + 0.5) / steps
            moments[count], width[count] = at, gap / steps
            scores[count] = _closely(w, f, m, at, based[m], cruise_mps)
            count += 1
    return _quantiles(moments[:count], width[:count], scores[:count])


@kernel(error_model="numpy")
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
    w, middle = _window(t, x, y, noise_m, speed_mps, edge, begin, end, direction)
    n = w.shape[1]
    if n < 2:
        return t[edge], t[edge], t[edge]
    f = _known(w, jitter_m)
    looked, based, best = _search(w, f, middle, cruise_mps, other_x, other_y, other_known)
    low, best, high = _weighed(w, f, looked, based, best, cruise_mps)
    for k in range(1, n):  # between two fixes anything may have happened
        if w[T, k - 1] <= best <= w[T, k]:
            low, high = min(low, w[T, k - 1]), max(high, _shown(w, k))
    if direction > 0:
        return best, low, high
    return -best, -high, -low


@kernel(error_model="numpy")
def _shown(w: Floats, k: int) -> float:
    """When fix k, the first that seems to stand, is seen to: a place does not tell rolling from rest."""
    at: float = w[T, k]
    if w[SPEED_MPS, k] != w[SPEED_MPS, k] and k + 1 < w.shape[1]:
        at = min(w[T, k + 1], at + ROLLING_S)
    return at


@kernel()
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
