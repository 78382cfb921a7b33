"""Whether the van was moved to another place within a run of standing rows that shows no drive, and when.

A driver comes back to the van before it drives on. So when it was moved, no later row lies where it stood
before, and no earlier one where it stands after; its places lie far apart beside the noise; it stood at both
for a while; and the step between is longer than a walk, or a speed was reported. How much each tells is
known from logistic regression on true moves, and on other steps that lead as far, in simulated towns of
three makes and of recorded drivers. And each part ends where it begins, which the whole does not: that alone
tells of many short moves one after the other, as along a street where each door is served.
"""

from math import log, sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from geofence.compiling import kernel, lean
from geofence.motion import speed_scores
from geofence.parting import HOP_MPS
from geofence.rows import PLACE_S, place_about, step_m
from geofence.unseen import CRUISE_MPS, travel_s

Floats = npt.NDArray[np.float64]

LEAST_M = 6.0  # the places that a step leads between are this far apart when the van was moved ...
BESIDE = 3  # ... further than about so many steps before and after
LOOK_S = 600.0  # rows so long before and after are looked at for a driver who comes back
STANDS_S = 5.0, 200.0  # standing so briefly tells the least, so long the most
PACE_MPS = 1.3  # a walk
LEAST_NOISE_M = 2.0

# Log odds that the van was moved, and what adds to them:
NEVER = -16.5
NEARER = 1.93  # each e times that later rows stay further from where it stood, or earlier ones from where ...
FARTHER = 0.97  # ... it will stand: what comes nearer, and what does not
NOISE = -0.86  # each e times that fixes are noisier
CHOICE = -0.38  # each e times that there are more steps of which one may look like a move
STOOD = 1.11  # each e times that it stood longer, before or after
LONGER = 0.27  # each noise that the step is longer than a walk
ENDS = 0.5  # how much nearer each part ends to where it begins than the whole does: the log likelihood ...
ENDS_MOST = 10.0  # ... of that at most ...
ENDS_M = 5.0  # ... and how far apart a van's own places are, one axis, beside noise
TOLD = 0.61  # the log odds of a drive by the speed reported


@kernel()
def first_move(t: Floats, x: Floats, y: Floats, noise_m: Floats, speed_mps: Floats, a: int, b: int) -> int:
    """Last row before the van was first moved within the standing rows a..b; b when it was not.

    The likeliest move cuts the rows in two, of which the first part is looked at in the same way (binary
    segmentation; Scott and Knott 1974).
    """
    away_m, odds = np.empty(b - a + 1), np.empty(b - a + 1)
    while b > a:
        find_moves(t, x, y, noise_m, speed_mps, a, b, away_m, odds)
        k = int(np.argmax(odds[: b - a]))
        if odds[k] <= 0.0:
            break
        b = a + k
    return b


@lean()
def find_moves(
    t: Floats, x: Floats, y: Floats, noise_m: Floats, speed_mps: Floats, a: int, b: int, away_m: Floats,
    odds: Floats,
) -> None:  # fmt: skip
    """Fill in the log odds that the van was moved in each step of the standing rows a..b.

    And how far it led, `away_m`; -inf where it leads no further than those beside it.
    """
    _find_away(t, x, y, a, b, away_m)
    for k in range(a, b):
        way_m = away_m[k - a]
        odds[k - a] = -np.inf
        if way_m < LEAST_M or not _is_peak(away_m, k - a, b - a):
            continue
        if _may_have_moved(t, speed_mps, a, k, b, way_m):
            odds[k - a] = move_odds(t, x, y, noise_m, speed_mps, a, k, b)


@lean()
def _find_away(t: Floats, x: Floats, y: Floats, a: int, b: int, away_m: Floats) -> None:
    """How far apart the places just before and just after each step of the rows a..b are."""
    first, last = a, a
    left_x = left_y = next_x = next_y = 0.0
    for k in range(a, b):
        left_x, left_y = left_x + x[k], left_y + y[k]
        while t[k] - t[first] > PLACE_S:
            left_x, left_y, first = left_x - x[first], left_y - y[first], first + 1
        if k > a:
            next_x, next_y = next_x - x[k], next_y - y[k]
        while last < b and t[last + 1] - t[k + 1] <= PLACE_S:
            last += 1
            next_x, next_y = next_x + x[last], next_y + y[last]
        dx = next_x / (last - k) - left_x / (k + 1 - first)
        dy = next_y / (last - k) - left_y / (k + 1 - first)
        away_m[k - a] = sqrt(dx * dx + dy * dy)


@lean()
def _is_peak(away_m: Floats, k: int, n: int) -> bool:
    """Whether step k of n leads as far as any beside it."""
    further = 0
    for m in range(max(k - BESIDE, 0), min(k + BESIDE + 1, n)):
        further += away_m[m] > away_m[k]
    return further == 0


@lean()
def move_odds(
    t: Floats, x: Floats, y: Floats, noise_m: Floats, speed_mps: Floats, a: int, k: int, b: int
) -> float:
    """Log odds that the van was moved between row k of the standing rows a..b and the next."""
    noise = max(0.5 * (noise_m[k] + noise_m[k + 1]), LEAST_NOISE_M)
    odds = NEVER + NOISE * log(noise) + CHOICE * log(b - a + 1)
    odds += STOOD * (log(_stood_s(t, a, k)) + log(_stood_s(t, k + 1, b)))
    odds += LONGER * _longer(t, x, y, noise, a, k, b) + TOLD * _told(speed_mps, a, k, b)
    first, last = place_about(t, x, y, a, k), place_about(t, x, y, b, k + 1)
    left, reached = place_about(t, x, y, k, a), place_about(t, x, y, k + 1, b)
    later = min(_nearest_m(t, x, y, k + 1, b, left, k + 1), _nearest_m(t, x, y, k + 1, b, first, k + 1))
    earlier = min(_nearest_m(t, x, y, a, k, reached, k), _nearest_m(t, x, y, a, k, last, k))
    nearer, farther = max(min(later, earlier), 1.0), max(later, earlier, 1.0)
    odds += NEARER * log(nearer) + FARTHER * log(farther)
    nearer_ends2 = _apart2(first, last) - _apart2(first, left) - _apart2(reached, last)
    ends: float = nearer_ends2 / (4.0 * (noise * noise + ENDS_M * ENDS_M))
    return odds + ENDS * min(max(ends, 0.0), ENDS_MOST)


@lean()
def _apart2(a: Any, b: Any) -> float:
    """How far apart two places are, squared metres."""
    dx, dy = a[0] - b[0], a[1] - b[1]
    apart2: float = dx * dx + dy * dy
    return apart2


@lean()
def _stood_s(t: Floats, first: int, last: int) -> float:
    """Seconds from one row to another, as far as they tell."""
    seconds: float = t[last] - t[first]
    return min(max(seconds, STANDS_S[0]), STANDS_S[1])


@lean()
def _longer(t: Floats, x: Floats, y: Floats, noise: float, a: int, k: int, b: int) -> float:
    """How many times the noise the step from row k, or one beside it, is longer than a walk."""
    longer = -np.inf
    for m in range(max(k - 1, a), min(k + 2, b)):
        longer = max(longer, step_m(x, y, m, m + 1) - PACE_MPS * (t[m + 1] - t[m]))
    return min(max(longer / noise, -3.0), 5.0)


@lean()
def _told(speed_mps: Floats, a: int, k: int, b: int) -> float:
    """Log odds of a drive by the speeds reported about the step from row k; 0 where one is missing."""
    fastest = 0.0
    for m in range(max(a, k - 1), min(b, k + 2) + 1):
        if speed_mps[m] != speed_mps[m]:
            return 0.0
        fastest = max(fastest, speed_mps[m])
    stand, drive = speed_scores(fastest)
    odds: float = drive - stand
    return min(max(odds, -3.0), 6.0)


@lean()
def _nearest_m(t: Floats, x: Floats, y: Floats, a: int, b: int, place: Any, at: int) -> float:
    """How near any three rows in turn come to a place, of those of a..b that are not long from row `at`."""
    px, py = place
    few = min(3, b - a + 1)
    nearest = np.inf
    for k in range(a, b + 2 - few):
        if t[k + few - 1] >= t[at] - LOOK_S and t[k] <= t[at] + LOOK_S:
            away = 0.0
            for m in range(k, k + few):
                away += sqrt((x[m] - px) ** 2 + (y[m] - py) ** 2)
            nearest = min(nearest, away / few)
    return nearest


@lean()
def _may_have_moved(t: Floats, speed_mps: Floats, a: int, k: int, b: int, way_m: float) -> bool:
    """Whether the van may have gone so far about the step from row k to the next, within the rows a..b.

    Speed is measured by Doppler shift: where it is reported, a drive shows, unless it fits between two fixes.
    """
    if t[k + 1] - t[k] >= 2.0 * travel_s(0.5 * way_m, CRUISE_MPS):
        return True
    shown = False
    for m in range(max(k - 2, a), min(k + 4, b + 1)):
        shown = shown or not speed_mps[m] <= HOP_MPS  # none reported either
    return shown
