"""When each of several customers served in one standing was done, told anew with a place of work for each.

Whom a standing served is weighed by the doors as published (see `walk`). Drivers work some way from there,
though: the fixes of each customer's part of the time tell where, by a robust mean about its door. How far
they spread about these places, and how long they stray alike, says how much they tell of the changes.
"""

from math import exp, log, sqrt
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from geofence.compiling import kernel, lean
from geofence.groups import SPREAD_M, Near, X, Y
from geofence.hypotheses import G_SIZE, G_START, M_CANDIDATE, Groups
from geofence.walk import (
    AT_VAN,
    LENGTH_LOG_SD,
    MOMENTS,
    NOWHERE,
    Looks,
    Turns,
    Walk,
    at_van,
    back_at,
    looks_of,
    normal,
    one_by_one,
    sum_up,
)

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

WORK_SD_M: Final = 4.0  # a driver at work about the place of work, beside noise
DOOR_OFF_M: Final = 10.0  # ... and that place about the published door
STEPS: Final = 4  # towards the robust mean
STRAYED_M: Final = 40.0  # fixes farther off tell nothing of how they spread
SPREAD_KNOWN: Final = 2.0  # looks that their usual spread counts for
ALIKE_S: Final = 20.0  # how long fixes usually stray alike ...
ALIKE_KNOWN: Final = 20.0  # ... and the pairs of fixes that this counts for
ALIKE_MOST: Final = 0.98
ABOUT: Final = 0.2  # share of the time away from the van that a driver is at no place of work
TRUST: Final = 0.8  # share of what the fixes tell by all this that is believed
MOST_LOOKS: Final = 100.0  # independent looks at a standing at most


@kernel()
def divide(
    groups: Groups, kept: Ints, needs: Floats, near: Near, walk: Walk, rests: Ints, changes: Floats
) -> None:
    """Tell the `changes` anew within those groups of `kept` (rows) that serve several without a break.

    `needs`, `rests` and `changes` as in `weighing.weigh`.
    """
    if len(walk.t) == 0 or len(kept) == 0 or np.max(groups.whole[kept, G_SIZE]) == 1:
        return
    looks = looks_of(walk)
    van = at_van(walk, looks.weights)
    none = np.zeros(MOMENTS)  # what is told here counts in full, and moves tell nothing
    turns = Turns(none, back_at(walk, van), none + 1.0)
    for g in kept:
        begin, size = groups.whole[g, G_START], groups.whole[g, G_SIZE]
        if size > 1 and rests[g] < 0 and walk.end_s - walk.begin_s >= size:
            doors = near.real[groups.members[begin : begin + size, M_CANDIDATE]]
            need = needs[begin : begin + size]
            gains = told(walk, looks, 1.0 - van, doors, changes[g])
            one_by_one(gains, turns, need / np.sum(need), np.full(size, LENGTH_LOG_SD), changes[g])


@kernel()
def told(walk: Walk, looks: Looks, away: Floats, doors: Floats, changes: Floats) -> Floats:
    """Log likelihood ratios of serving each customer (rows of `Near.real`), summed up to each moment.

    Learned from the parts that end at these `changes`; `away` are chances of being away from the van.
    """
    members, n = len(doors), len(walk.t)
    places, of = np.empty((members, 2)), np.empty(n, np.int64)
    least = walk.noise_m**2 + WORK_SD_M**2
    first = 0
    for m in range(members):
        last = n
        if m < members - 1:
            last = np.searchsorted(walk.t, walk.begin_s + changes[m, 0] * (walk.end_s - walk.begin_s))
        of[first:last] = m
        places[m] = place(walk, looks, away, doors[m], least, first, last)
        first = last
    variance, each = spread(walk, looks, away, places, of, least)
    work_sd, about = sqrt(variance), looks.nobody - looks.at_van
    gains, of_fixes = np.empty((members, MOMENTS)), np.empty(n)
    for m in range(members):
        for k in range(n):
            at_work = normal((walk.x[k] - places[m, 0]) ** 2 + (walk.y[k] - places[m, 1]) ** 2, work_sd)
            served = (1 - ABOUT) * ((1 - AT_VAN) * at_work + NOWHERE) + ABOUT * about[k]
            of_fixes[k] = TRUST * each * log((looks.at_van[k] + served) / looks.nobody[k])
        sum_up(looks, of_fixes, gains[m])
    return gains


@lean()
def place(walk: Walk, looks: Looks, away: Floats, door: Floats, least: float, first: int, last: int) -> Any:
    """Where a customer was served: the mean of these fixes about its door, those far off counting less.

    `least` is the variance that they have at the least. Reweighted as for a t distribution.
    """
    own = least / (DOOR_OFF_M**2 + door[SPREAD_M] ** 2)
    x, y = door[X], door[Y]
    for _ in range(STEPS):
        total, at_x, at_y = own, own * door[X], own * door[Y]
        for k in range(first, last):
            d2 = (walk.x[k] - x) ** 2 + (walk.y[k] - y) ** 2
            w = looks.weights[k] * away[k] / (1 + d2 / (4 * least))
            total, at_x, at_y = total + w, at_x + w * walk.x[k], at_y + w * walk.y[k]
        x, y = at_x / total, at_y / total
    return x, y


@lean()
def spread(walk: Walk, looks: Looks, away: Floats, places: Floats, of: Ints, least: float) -> Any:
    """The variance of fixes about the places (of x, as of y), and how many independent looks each is worth.

    `of` says whose place each fix belongs to. They stray alike: the mean of an autoregressive series of
    correlation r is known as well as that of (1 - r) / (1 + r) as many independent ones.
    """
    n = len(walk.t)
    total, whole, alike, pairs = SPREAD_KNOWN * least, SPREAD_KNOWN, 0.0, 0.0
    x = y = d2 = np.inf
    for k in range(n):
        x_before, y_before, d2_before = x, y, d2
        x, y = walk.x[k] - places[of[k], 0], walk.y[k] - places[of[k], 1]
        d2 = x * x + y * y
        weight = looks.weights[k] * away[k]
        total, whole = total + weight * 0.5 * min(d2, STRAYED_M**2), whole + weight
        if k > 0 and of[k] == of[k - 1] and max(d2, d2_before) < STRAYED_M**2:
            both = away[k] * away[k - 1]
            alike += both * 0.5 * (x * x_before + y * y_before)
            pairs += both * 0.25 * (d2 + d2_before)
    variance = max(least, total / whole)
    usually = exp(-(walk.end_s - walk.begin_s) / n / ALIKE_S)
    r = (alike + ALIKE_KNOWN * variance * usually) / (pairs + ALIKE_KNOWN * variance)
    r = min(max(r, 0.0), ALIKE_MOST)
    return variance, min((1 - r) / (1 + r), MOST_LOOKS / n)
