"""Whose door the driver walked to while the van stood, and when one customer's part ended and the next began.

Every fix is taken at the van or at the door of the customer being served. One standing may serve several, one
after the other: the moments of change follow from how long the orders should take, from which door is nearer
to the fixes, and from when the driver was back at the van.
"""

from math import exp, log, pi, sqrt
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from geofence.compiling import kernel, lean
from geofence.moving import find_moves

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

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
MOVED_MOST: Final = 0.9  # however likely the van was moved, it may not have been
UNMOVED: Final = 1.0  # ... and is less likely to have been than where standings are cut: log odds
BOUND_TAIL: Final = 0.01  # chance that a change lies beyond each of its bounds
BOUND_SD: Final = 2.33  # the same in standard deviations
TINY: Final = 1e-300
LOG_STEPS: Final = np.log(np.maximum(np.arange(MOMENTS), 1.0))


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


class Looks(NamedTuple):
    """Of each fix: how many independent looks it counts for, and its density at the van and at nobody's door.

    And of each moment of change: the fix that stands for it, and the share of that fix's time gone by then.
    """

    weights: Floats
    at_van: Floats
    nobody: Floats
    fix: Ints
    share: Floats


class Turns(NamedTuple):
    """What the fixes tell of each moment of change, whichever doors are looked at.

    Their weight up to it; how likely a change is there beside other moments, and how many times likelier
    moves of the van make it: see `back_at`, `moved_at`.
    """

    weight: Floats
    back: Floats
    moved: Floats


@kernel()
def looks_of(walk: Walk) -> Looks:
    """What holds of the fixes whichever door is looked at; there must be some."""
    n = len(walk.t)
    edges = _edges(walk.t, walk.begin_s, walk.end_s)
    weights, at_van, nobody = np.empty(n), np.empty(n), np.empty(n)
    van_sd, free_sd = sqrt(VAN_SD_M**2 + walk.noise_m**2), sqrt(ELSEWHERE_SD_M**2 + walk.noise_m**2)
    for k in range(n):
        weights[k] = min(max(edges[k + 1] - edges[k], 0.1), CORRELATED_S) / CORRELATED_S
        to_van = (walk.x[k] - walk.park[0]) ** 2 + (walk.y[k] - walk.park[1]) ** 2
        at_van[k] = AT_VAN * normal(to_van, van_sd)
        nobody[k] = at_van[k] + (1 - AT_VAN) * normal(to_van, free_sd) + NOWHERE
    fix, share = np.empty(MOMENTS, np.int64), np.empty(MOMENTS)
    k = 0
    for m in range(MOMENTS):
        at = walk.begin_s + (walk.end_s - walk.begin_s) * m / (MOMENTS - 1)
        while k < n - 1 and edges[k + 1] <= at:
            k += 1
        fix[m], share[m] = k, min((at - edges[k]) / max(edges[k + 1] - edges[k], 1e-9), 1.0)
    return Looks(weights, at_van, nobody, fix, share)


@lean()
def weigh_door(
    walk: Walk, looks: Looks, x: float, y: float, spread_m: float, gains: Floats, summed: Floats
) -> float:
    """Log likelihood ratio of serving one door (metres) all the time against serving nobody.

    Fills in that of each fix, and their sums (by weight) up to each moment.
    """
    door_sd = sqrt(DOOR_SD_M**2 + walk.noise_m**2 + spread_m**2)
    score = whole = 0.0
    for k in range(len(gains)):
        to_door = (walk.x[k] - x) ** 2 + (walk.y[k] - y) ** 2
        served = looks.at_van[k] + (1 - AT_VAN) * normal(to_door, door_sd)
        gains[k] = looks.weights[k] * log((served + NOWHERE) / looks.nobody[k])
        score += gains[k]
        whole += looks.weights[k]
    sum_up(looks, gains, summed)
    return score * min(1.0, MOST_WEIGHT / whole)


@lean()
def sum_up(looks: Looks, values: Floats, summed: Floats) -> None:
    """Sums of values of the fixes up to each moment."""
    total, k = 0.0, 0
    for m in range(MOMENTS):
        while k < looks.fix[m]:
            total += values[k]
            k += 1
        summed[m] = total + looks.share[m] * values[k]


@kernel()
def turns_of(walk: Walk, looks: Looks) -> Turns:
    """What the fixes tell of changes; there must be some."""
    weight, back = np.empty(MOMENTS), back_at(walk, at_van(walk, looks.weights))
    sum_up(looks, looks.weights, weight)
    return Turns(weight, back, moved_at(walk, back))


@kernel()
def back_at(walk: Walk, chances: Floats) -> Floats:
    """How likely a change is at each moment, beside others: most are when the driver is back at the van.

    `chances` of that at each fix: see `at_van`.
    """
    van = np.interp(np.linspace(walk.begin_s, walk.end_s, MOMENTS), walk.t, chances)
    back: Floats = (ON_THE_WAY + (1 - ON_THE_WAY) * van) / (ON_THE_WAY + (1 - ON_THE_WAY) * np.mean(van))
    back[-1] = 1.0  # the end is no change
    return back


@kernel()
def moved_at(walk: Walk, back: Floats) -> Floats:
    """How many times as likely as by `back_at` a change is at each moment, by moves of the van.

    They are so short that the standing was not cut there: each is likelier to be none.
    """
    n, moved = len(walk.t), np.zeros(MOMENTS)
    noise_m, unknown, odds = np.full(n, walk.noise_m), np.full(n, np.nan), np.empty(n)
    find_moves(walk.t, walk.x, walk.y, noise_m, unknown, 0, n - 1, np.empty(n), odds)
    for k in range(n - 1):
        if odds[k] > -np.inf:
            share = (0.5 * (walk.t[k] + walk.t[k + 1]) - walk.begin_s) / max(walk.end_s - walk.begin_s, 1e-9)
            m = round(min(max(share * (MOMENTS - 1), 1.0), MOMENTS - 2.0))
            moved[m] = max(moved[m], 1.0 / (1.0 + exp(UNMOVED - odds[k])))
    moved /= max(1.0, np.sum(moved) / MOVED_MOST)
    return 1.0 - np.sum(moved) + (MOMENTS - 1) * moved / back


@lean()
def by_need(share: Floats, changes: Floats) -> None:
    """Changes where the fixes tell nothing: by what the orders need, with the spread of such services."""
    at = 0.0
    for m in range(len(share) - 1):
        at += share[m]
        spread = BOUND_SD * LENGTH_LOG_SD * sqrt(2.0) * at * (1 - at)
        changes[m, 0], changes[m, 1], changes[m, 2] = at, max(0.0, at - spread), min(1.0, at + spread)


@kernel()
def _edges(t: Floats, begin_s: float, end_s: float) -> Floats:
    """The time that each fix stands for lies between two of these."""
    edges = np.empty(len(t) + 1)
    edges[0], edges[len(t)] = begin_s, end_s
    for k in range(1, len(t)):
        edges[k] = 0.5 * (t[k] + t[k - 1])
    return edges


@kernel()
def _change(chances: Floats) -> Any:
    """Median and bounds of a change with those chances at moments evenly spread over the time."""
    step = 1 / (MOMENTS - 1)
    summed = np.cumsum(chances)
    low = np.searchsorted(summed, BOUND_TAIL * summed[-1]) - 1
    high = np.searchsorted(summed, (1 - BOUND_TAIL) * summed[-1]) + 1
    k = np.searchsorted(summed, 0.5 * summed[-1])
    at = k + 0.5 - (summed[k] - 0.5 * summed[-1]) / chances[k]
    return min(max(at, 0.0), MOMENTS - 1.0) * step, max(0.0, low * step), min(1.0, high * step)


@kernel()
def normal(d2: float, sd: float) -> float:
    """Density (per square metre) of a place in the plane, so far squared from the mean of a normal one."""
    return np.exp(-0.5 * d2 / (sd * sd)) / (2 * np.pi * sd * sd)


@kernel()
def _later(p: float, seconds: float) -> float:
    """Chance of being at the van after so many seconds."""
    rest = VAN_S / (VAN_S + AWAY_S)
    return rest + (p - rest) * np.exp(-(1 / VAN_S + 1 / AWAY_S) * seconds)


@kernel()
def at_van(walk: Walk, weights: Floats) -> Floats:
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
        here[k] = (normal(r * r, sd) + NOWHERE) ** weights[k]
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


@lean()
def _length_chances(share: float, log_sd: float, chances: Floats) -> None:
    """Density of each length, in steps between moments, of what usually takes that share of all.

    But for a factor, see `log_factor`.
    """
    usual = log(share * (MOMENTS - 1))
    for steps in range(1, MOMENTS):
        z = LOG_STEPS[steps] - usual
        chances[steps] = exp(-0.5 * (z / log_sd) ** 2 - z)


@kernel()
def log_factor(share: float, log_sd: float) -> float:
    """The log of what these densities are to be multiplied by."""
    return -log(share * (MOMENTS - 1) * log_sd * sqrt(2 * pi))


@kernel()
def one_by_one(gains: Floats, turns: Turns, share: Floats, log_sd: Floats, changes: Floats) -> Any:
    """Customers served one after another: log likelihood ratio against nobody, and where the changes are.

    And the log density of all lengths, but for the factors of each.

    `gains` (a row each) are sums up to each moment, `share` the parts of the time that the services usually
    take, `log_sd` how that varies. Sums over all moments of change. Fills in `changes`: when one customer's
    part ends and the next begins, the estimate and its bounds, as fractions of the time. Moves tell that
    there was a change, but not when: too many are none.
    """
    weight, back, members, last = turns.weight, turns.back, len(gains), MOMENTS - 1
    length, part = np.empty(MOMENTS), np.empty((members, MOMENTS, MOMENTS))
    ahead, usual = np.zeros((members + 1, MOMENTS)), np.zeros((members + 1, MOMENTS))
    ahead[0, 0] = usual[0, 0] = 1.0  # the first part begins at the first moment
    for m in range(members):
        _length_chances(share[m], log_sd[m], length)
        for k in range(last, MOMENTS) if m == members - 1 else range(1, last):
            for j in range(k if m > 0 else 1):
                w = weight[k] - weight[j]
                gain = (gains[m, k] - gains[m, j]) * (min(1.0, MOST_WEIGHT / w) if w > 0 else 1.0)
                part[m, j, k] = length[k - j] * exp(gain) * back[k]
                ahead[m + 1, k] += ahead[m, j] * part[m, j, k]
                usual[m + 1, k] += usual[m, j] * length[k - j]
    behind, by_moves = np.zeros(MOMENTS), 0.0
    behind[last] = 1.0
    for m in range(members - 1, 0, -1):
        before = np.zeros(MOMENTS)
        for k in range(last, MOMENTS) if m == members - 1 else range(1, last):
            for j in range(1, k):
                before[j] += part[m, j, k] * behind[k]
        behind = before
        chances = ahead[m] * behind
        changes[m - 1] = _change(chances)
        by_moves += log(max(np.sum(chances * turns.moved) / max(np.sum(chances), TINY), TINY))
    lengths = log(max(usual[members, last], TINY))
    return log(max(ahead[members, last], TINY)) + by_moves - lengths, lengths
