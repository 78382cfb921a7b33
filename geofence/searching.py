"""Slow drives at the beginning and the end of a run of standing rows: the search for a place to park, mostly.

A driver on foot is slower than a van that searches, and comes back to it; step by step the two look alike.
What all steps up to a row tell together is weighed: the run stands from the row on before which the steps
tell the most of a drive (cumulative sums of log likelihood ratios; Page 1954).
"""

from math import exp, log, pi, sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from geofence.compiling import lean
from geofence.motion import DRIVE, speed_scores
from geofence.rows import step_m

Floats = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]

STEP_S = 8.0  # steps are looked at over so long a time, or more where fixes are noisy ...
STEP_S_PER_M = 1.0
STEP_MOST_S = 15.0
LEAST_NOISE_M = 2.0
CRAWL_MPS = 2.7  # a van that searches
CRAWL_SD_MPS = 0.9
PAUSES = 0.15  # share of steps in which it turns or waits ...
PAUSE_MPS = 1.3  # ... and gets about so far, one axis
PACE_MPS = 1.1  # a driver on foot
PACE_SD_MPS = 0.4
RESTS = 0.55  # share of steps in which a driver stays where he is
ASTRAY = 0.05  # share of steps to fixes that a reflected signal threw off ...
ASTRAY_TIMES = 2.5  # ... so many times as far as the rest
LEAST = 1e-9
TOLD_MOST = 2.5  # a reported speed tells no more than this
SURE = 5.0  # log odds of a drive from which it is one ...
HOPELESS = -12.0  # ... and with which nothing more is looked at


@lean()
def _centred(d: float, sd: float) -> float:
    """Density (per square metre) of a step of length d that leads nowhere."""
    return exp(-0.5 * (d / sd) ** 2) / (2 * pi * sd * sd)


@lean()
def _ring(d: float, way_m: float, sd: float) -> float:
    """Density of a step of length d that leads so far, in any direction."""
    return exp(-0.5 * ((d - way_m) / sd) ** 2) / (sqrt(2 * pi) * sd * 2 * pi * max(d, sd))


@lean()
def _crawls(d: float, dt: float, noise: float) -> float:
    """Log likelihood ratio of a slow drive against a standing van, by a step of length d."""
    drive = (1 - PAUSES) * _ring(d, CRAWL_MPS * dt, sqrt(noise * noise + (CRAWL_SD_MPS * dt) ** 2))
    drive += PAUSES * _centred(d, sqrt(noise * noise + (PAUSE_MPS * dt) ** 2))
    stand = RESTS * _centred(d, noise) + ASTRAY * _centred(d, ASTRAY_TIMES * noise)
    pace_sd = sqrt(noise * noise + (PACE_SD_MPS * dt) ** 2)
    stand += (1 - RESTS - ASTRAY) * _ring(d, PACE_MPS * dt, pace_sd)
    return log((drive + LEAST) / (stand + LEAST))


@lean()
def _told(speed_mps: float, seconds: float) -> float:
    """The same by a speed reported so long after the one before; 0 where none is."""
    stand, drive = speed_scores(speed_mps)
    odds: float = min(max(drive - stand, -TOLD_MOST), TOLD_MOST)
    return odds * min(seconds / STEP_S, 1.0)


@lean()
def standing_part(
    t: Floats, x: Floats, y: Floats, noise_m: Floats, speed_mps: Floats, states: Bytes, i: int, j: int
) -> Any:
    """The first and the last row between which the van stands, of the rows i..j; (j + 1, j) if it never does.

    The others drive slowly, before it and after it: that is noted in `states`.
    """
    first = _standing_from(t, x, y, noise_m, speed_mps, i, j)
    last = _standing_from(t, x, y, noise_m, speed_mps, j, first)
    if first == last and i < j:
        first, last = j + 1, j
    for k in range(i, first):
        states[k] = DRIVE
    for k in range(last + 1, j + 1):
        states[k] = DRIVE
    return first, last


@lean()
def beyond(t: Floats, row: int, limit: int) -> int:
    """The row as far as which the van, that drives slowly up to a row, may in fact have stood before it."""
    direction = 1 if limit > row else -1
    k = row + direction
    while k != limit and abs(t[k] - t[row]) < STEP_MOST_S:
        k += direction
    return k


@lean()
def _standing_from(
    t: Floats, x: Floats, y: Floats, noise_m: Floats, speed_mps: Floats, begin: int, end: int
) -> int:
    """The row from which on the van stands, of those from `begin` towards `end`, which may go back in time.

    The rows before it drive slowly; `begin` where none does.
    """
    direction = 1 if end >= begin else -1
    found, best, odds = begin, SURE, 0.0
    since = k = begin
    while k != end and odds > HOPELESS:
        k += direction
        noise = max(sqrt(noise_m[k] ** 2 + noise_m[since] ** 2), LEAST_NOISE_M)
        step_s = min(max(STEP_S, STEP_S_PER_M * noise), STEP_MOST_S)
        while since != k - direction and abs(t[k] - t[since + direction]) >= step_s:
            since += direction
        whole_s, own_s = abs(t[k] - t[since]), abs(t[k] - t[k - direction])
        if whole_s > 0.0:
            odds += own_s / whole_s * _crawls(step_m(x, y, since, k), whole_s, noise)
        odds += _told(speed_mps[k], own_s)
        if odds > best:
            found, best = k, odds
    return found
