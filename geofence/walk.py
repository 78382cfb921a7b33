"""Whose door the driver walked to while the van stood, and when one customer's part ended and the next began.

Every fix is taken at the van or at the door of the customer being served. One standing may serve several, one
after the other: the moments of change follow from how long the orders should take, from which door is nearer
to the fixes, and from when the driver was back at the van.
"""

from math import sqrt
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from geofence.compiling import lean

Floats = npt.NDArray[np.float64]

AT_VAN: Final = 0.4  # share of the time that a driver is at the van
VAN_SD_M: Final = 6.0
DOOR_SD_M: Final = 13.0  # a place of work about the geocoded door
ELSEWHERE_SD_M: Final = 35.0  # a driver who serves nobody may be anywhere near
NOWHERE: Final = 1e-6  # density of a fix that nothing explains
CORRELATED_S: Final = 25.0  # fixes closer than this tell the same
MOST_WEIGHT: Final = 2.0  # independent looks at one door at most: its geocode is wrong once for all
LENGTH_LOG_SD: Final = 0.35  # how the lengths of services vary beside what their orders need
MOMENTS: Final = 25  # moments of change that are looked at
NEAR_SD_M: Final = 3.0  # the driver at the van, beside noise
RINGS_M: Final = (10.0, 18.0, 30.0, 50.0)  # ... and away from it
VAN_S: Final = 40.0  # mean time at the van ...
AWAY_S: Final = 120.0  # ... and away from it
ON_THE_WAY: Final = 0.1  # share of changes without a return to the van
BOUND_TAIL: Final = 0.01  # chance that a change lies beyond each of its bounds
BOUND_SD: Final = 2.33  # the same in standard deviations
IMPOSSIBLE: Final = -1e18


class Walk(NamedTuple):
    """The fixes of one standing (`t` in seconds, `x`, `y` in metres), the van's place, noise and silences."""

    t: Floats
    x: Floats
    y: Floats
    park: tuple[float, float]
    noise_m: float
    begin_s: float
    end_s: float
    max_gap_s: float


@njit(cache=True)
def weights_of(walk: Walk) -> Floats:
    """How many independent looks each fix counts for."""
    edges = _edges(walk.t, walk.begin_s, walk.end_s)
    weights = np.empty(len(walk.t))
    for k in range(len(weights)):
        weights[k] = min(max(edges[k + 1] - edges[k], 0.1), CORRELATED_S) / CORRELATED_S
    return weights


@njit(cache=True)
def single_score(walk: Walk, weights: Floats, x: float, y: float, spread_m: float) -> float:
    """Log likelihood ratio of serving one door (metres) all the time against serving nobody."""
    gain = _gain(walk, x, y, spread_m)
    score = whole = 0.0
    for k in range(len(gain)):
        score += weights[k] * gain[k]
        whole += weights[k]
    return float(score * min(1.0, MOST_WEIGHT / whole))


@njit(cache=True)
def summed_gain(walk: Walk, weights: Floats, x: float, y: float, spread_m: float) -> Floats:
    """Log likelihood ratio, up to each moment, of serving this door against nobody."""
    return _up_to_moments(walk, weights * _gain(walk, x, y, spread_m))


@njit(cache=True)
def moments(walk: Walk, weights: Floats) -> Any:
    """Weights up to each moment, and the chance of being at the van then."""
    van = _at_van(walk, weights)
    grid = np.linspace(walk.begin_s, walk.end_s, MOMENTS)
    return _up_to_moments(walk, weights), np.interp(grid, walk.t, van)


@lean()
def by_need(share: Floats, changes: Floats) -> None:
    """Changes where the fixes tell nothing: by what the orders need, with the spread of such services."""
    at = 0.0
    for m in range(len(share) - 1):
        at += share[m]
        spread = BOUND_SD * LENGTH_LOG_SD * sqrt(2.0) * at * (1 - at)
        changes[m, 0], changes[m, 1], changes[m, 2] = at, max(0.0, at - spread), min(1.0, at + spread)


@njit(cache=True)
def _edges(t: Floats, begin_s: float, end_s: float) -> Floats:
    """The time that each fix stands for lies between two of these."""
    edges = np.empty(len(t) + 1)
    edges[0], edges[len(t)] = begin_s, end_s
    for k in range(1, len(t)):
        edges[k] = 0.5 * (t[k] + t[k - 1])
    return edges


@njit(cache=True)
def _up_to_moments(walk: Walk, values: Floats) -> Floats:
    """Sums of values of the fixes up to each moment."""
    begin_s, end_s = walk.begin_s, walk.end_s
    summed = np.zeros(len(values) + 1)
    for k in range(len(values)):
        summed[k + 1] = summed[k] + values[k]
    return np.interp(np.linspace(begin_s, end_s, MOMENTS), _edges(walk.t, begin_s, end_s), summed)


@njit(cache=True)
def _change(chances: Floats) -> Any:
    """Median and bounds of a change with those chances at moments evenly spread over the time."""
    step = 1 / (MOMENTS - 1)
    summed = np.cumsum(chances)
    low = np.searchsorted(summed, BOUND_TAIL * summed[-1]) - 1
    high = np.searchsorted(summed, (1 - BOUND_TAIL) * summed[-1]) + 1
    k = np.searchsorted(summed, 0.5 * summed[-1])
    at = k + 0.5 - (summed[k] - 0.5 * summed[-1]) / chances[k]
    return min(max(at, 0.0), MOMENTS - 1.0) * step, max(0.0, low * step), min(1.0, high * step)


@njit(cache=True)
def _normal(d2: float, sd: float) -> float:
    return np.exp(-0.5 * d2 / (sd * sd)) / (2 * np.pi * sd * sd)


@njit(cache=True)
def _gain(walk: Walk, cx: float, cy: float, spread_m: float) -> Floats:
    """Log likelihood ratio of each fix for this door against nobody's."""
    x, y, (px, py), noise_m = walk.x, walk.y, walk.park, walk.noise_m
    van_sd = sqrt(VAN_SD_M**2 + noise_m**2)
    door_sd = sqrt(DOOR_SD_M**2 + noise_m**2 + spread_m**2)
    free_sd = sqrt(ELSEWHERE_SD_M**2 + noise_m**2)
    out = np.empty(len(x))
    for k in range(len(x)):
        to_van = (x[k] - px) ** 2 + (y[k] - py) ** 2
        to_door = (x[k] - cx) ** 2 + (y[k] - cy) ** 2
        van = _normal(to_van, van_sd)
        served = AT_VAN * van + (1 - AT_VAN) * _normal(to_door, door_sd)
        nobody = AT_VAN * van + (1 - AT_VAN) * _normal(to_van, free_sd)
        out[k] = np.log(served + NOWHERE) - np.log(nobody + NOWHERE)
    return out


@njit(cache=True)
def _later(p: float, seconds: float) -> float:
    """Chance of being at the van after so many seconds."""
    rest = VAN_S / (VAN_S + AWAY_S)
    return rest + (p - rest) * np.exp(-(1 / VAN_S + 1 / AWAY_S) * seconds)


@njit(cache=True)
def _at_van(walk: Walk, weights: Floats) -> Floats:
    """Chance that the driver was at the van at each fix: a hidden Markov chain (Rabiner 1989)."""
    t, x, y, (px, py) = walk.t, walk.x, walk.y, walk.park
    n = len(t)
    sd = sqrt(NEAR_SD_M**2 + walk.noise_m**2)
    here, away, chance = np.empty(n), np.empty(n), np.empty(n)
    for k in range(n):
        r = sqrt((x[k] - px) ** 2 + (y[k] - py) ** 2)
        ring = 0.0
        for radius in RINGS_M:
            z = (r - radius) / sd
            ring += 0.25 * np.exp(-0.5 * z * z) / (2 * np.pi * radius * sd * 2.5066)
        here[k] = (_normal(r * r, sd) + NOWHERE) ** weights[k]
        away[k] = (ring + NOWHERE) ** weights[k]
    p = 0.8
    for k in range(n):
        if k > 0:
            p = _later(p, t[k] - t[k - 1])
        p = p * here[k] / (p * here[k] + (1 - p) * away[k])
        chance[k] = p
    b_here, b_away = 0.8, 0.2
    for k in range(n - 1, -1, -1):
        if k < n - 1:
            stay, back = _later(1.0, t[k + 1] - t[k]), _later(0.0, t[k + 1] - t[k])
            h, a = b_here * here[k + 1], b_away * away[k + 1]
            b_here, b_away = stay * h + (1 - stay) * a, back * h + (1 - back) * a
            whole = b_here + b_away
            b_here, b_away = b_here / whole, b_away / whole
        p = chance[k] * b_here
        chance[k] = p / (p + (1 - chance[k]) * b_away)
    return chance


@njit(cache=True)
def _forward(score: Floats) -> Floats:
    """Log sums over all ways to get, member by member, from the first moment to each."""
    members, n, _ = score.shape
    ahead = np.full((members + 1, n), IMPOSSIBLE)
    ahead[0, 0] = 0.0
    for m in range(members):
        for k in range(1, n):
            top = IMPOSSIBLE
            last = k if m > 0 else 1  # the first part begins at the first moment
            for j in range(last):
                top = max(top, ahead[m, j] + score[m, j, k])
            if top > 0.9 * IMPOSSIBLE:
                total = 0.0
                for j in range(last):
                    if ahead[m, j] > 0.9 * IMPOSSIBLE:
                        total += np.exp(ahead[m, j] + score[m, j, k] - top)
                ahead[m + 1, k] = top + np.log(total)
    return ahead


@njit(cache=True)
def _backward(score: Floats) -> Floats:
    """Log sums over all ways to get from each moment to the last."""
    members, n, _ = score.shape
    behind = np.full((members + 1, n), IMPOSSIBLE)
    behind[members, n - 1] = 0.0
    for m in range(members - 1, 0, -1):
        for j in range(n - 1):
            top = IMPOSSIBLE
            for k in range(j + 1, n):
                top = max(top, behind[m + 1, k] + score[m, j, k])
            if top > 0.9 * IMPOSSIBLE:
                total = 0.0
                for k in range(j + 1, n):
                    if behind[m + 1, k] > 0.9 * IMPOSSIBLE:
                        total += np.exp(behind[m + 1, k] + score[m, j, k] - top)
                behind[m, j] = top + np.log(total)
    return behind


@njit(cache=True)
def one_by_one(
    walk: Walk, gains: Floats, weight: Floats, van: Floats, share: Floats, changes: Floats
) -> float:
    """Customers served one after another: log likelihood ratio against nobody, and where the changes are.

    `gains` (a row each) and `weight` are sums up to each moment, `van` the chance of being at
    the van there, `share` the parts of the time that the services should take. A change is likely where the
    driver was at the van. Sums over all moments of change. Fills in `changes`: when one customer's part ends
    and the next begins, the estimate and its bounds, as fractions of the time.
    """
    members, n = gains.shape
    grid = np.linspace(walk.begin_s, walk.end_s, n)
    whole = grid[n - 1] - grid[0]
    mean = np.mean(van)
    length = np.full((members, n, n), IMPOSSIBLE)
    score = np.full((members, n, n), IMPOSSIBLE)
    for m in range(members):
        for k in range(1, n):
            if (k == n - 1) != (m == members - 1):
                continue
            change = 0.0
            if m < members - 1:
                change = np.log(ON_THE_WAY + (1 - ON_THE_WAY) * van[k])
                change -= np.log(ON_THE_WAY + (1 - ON_THE_WAY) * mean)
            for j in range(k if m > 0 else 1):
                z = np.log(max(grid[k] - grid[j], 1e-3) / (share[m] * whole))
                length[m, j, k] = -0.5 * (z / LENGTH_LOG_SD) ** 2 - z
                w = weight[k] - weight[j]
                gain = (gains[m, k] - gains[m, j]) * (min(1.0, MOST_WEIGHT / w) if w > 0 else 0.0)
                score[m, j, k] = length[m, j, k] + gain + change
    ahead, behind = _forward(score), _backward(score)
    total = ahead[members, n - 1]
    chances = np.exp(ahead[1:members] + behind[1:members] - total)
    for m in range(members - 1):
        changes[m, 0], changes[m, 1], changes[m, 2] = _change(chances[m])
    return float(total - _forward(length)[members, n - 1])
