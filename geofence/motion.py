"""Standing or driving: a two-state hidden Markov model over the steps of a track, decoded by Viterbi.

Each fix is taken while the vehicle stands (the driver may walk) or drives. A step between two fixes is
scored by how well its length fits: standing keeps it within GPS noise and walking distance, driving makes it
long, and a step that holds an arrival or a departure lies between. Long steps may also hide a whole stop or a
whole move. (Viterbi 1967; Rabiner 1989.)
"""

from math import log, pi, sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from geofence.compiling import kernel, lean

Floats = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]

DRIVE, STAND = 0, 1

# What a step between two fixes may be, beyond its end states.
PLAIN, HIDDEN_MOVE, HIDDEN_STOP = 0, 1, 2

SWITCH_PER_S = 1.0 / 90.0  # arrivals and departures per second, in town
WALK_MPS = 0.8  # a walking driver, one axis
WALK_REACH_M = 25.0  # how far from the van walks lead, one axis
DRIVE_MPS = 7.0  # a driving van, one axis
STILL_MPS = 0.4  # speeds reported of a phone at rest
PACE_MPS = 1.2  # ... of a driver on foot
PACE_SD_MPS = 0.4
WALKING = 0.45  # share of such while the van stands
SPEED_DRIVE_MPS = 4.0
SPEED_LASTS_S = 10.0  # a reported speed tells of so long a time
HIDDEN_STOP_MIN_S = 45.0
HIDDEN_MOVE_MIN_S = 12.0
BASE_S_PER_M = 1.0  # steps are looked at over so long a time, by the noise of their fixes ...
BASE_MOST_S = 12.0  # ... and no longer
TIE = 1e-7  # scores this close are equal, wherever the decoding began
REFLECTED = 0.05  # share of steps to or from a fix that a reflected signal threw off: no smooth noise ...
REFLECTED_TIMES = 2.5  # ... so many times as far as the rest
OUTLIER = 1e-4  # share of steps that fit nothing


@kernel()
def _gauss2(d: float, scale: float) -> float:
    """Log density of a step of length d under an isotropic normal, with a floor for outliers."""
    return log((1.0 - OUTLIER) * np.exp(-0.5 * (d / scale) ** 2) / (2 * pi * scale * scale) + OUTLIER * 1e-5)


@kernel()
def _still(d: float, noise_m: float, walk: float) -> float:
    """Log density of a step of length d while standing: noise, mostly of the usual size, and a walk."""
    near = noise_m * noise_m + walk * walk
    wide = (REFLECTED_TIMES * noise_m) ** 2 + walk * walk
    p = (1.0 - REFLECTED) * np.exp(-0.5 * d * d / near) / (2 * pi * near)
    p += REFLECTED * np.exp(-0.5 * d * d / wide) / (2 * pi * wide)
    return log(p + OUTLIER * 1e-5)


@kernel()
def _part(d: float, still: float, drive: float) -> float:
    """Log density of a step that drives for a part of its time, any part alike (Gauss-Legendre, 3 points)."""
    p = 0.0
    for part, weight in ((0.1127, 5.0 / 18.0), (0.5, 8.0 / 18.0), (0.8873, 5.0 / 18.0)):
        scale2 = still * still + (part * drive) ** 2
        p += weight * np.exp(-0.5 * d * d / scale2) / (2 * pi * scale2)
    return log((1.0 - OUTLIER) * p + OUTLIER * 1e-5)


@kernel()
def step_scores(d: float, dt: float, noise_m: float, van_mps: float = DRIVE_MPS, share: float = 1.0) -> Any:
    """Log scores of one step: stand-stand, stand-drive (or back), drive-drive, hidden move, hidden stop.

    `van_mps` is how fast a van that drives is thought to go, one axis; the step in question is that `share`
    of what is looked at.
    """
    dt = max(dt, 0.5)
    walk = min(WALK_MPS * dt, WALK_REACH_M)
    drive = van_mps * dt
    still = sqrt(noise_m * noise_m + walk * walk)
    switch = 1.0 - np.exp(-SWITCH_PER_S * dt * share)
    stand = share * _still(d, noise_m, walk) + log(1.0 - 0.98 * switch)
    half = share * _part(d, still, drive) + log(switch)
    both = share * _gauss2(d, sqrt(noise_m * noise_m + drive * drive)) + log(1.0 - 0.98 * switch)
    move = stop = -1e9
    if share * dt >= HIDDEN_MOVE_MIN_S:
        usual = DRIVE_MPS * dt
        move = _gauss2(d, sqrt(still * still + 0.16 * usual * usual)) + 2 * log(switch)
        if share * dt >= HIDDEN_STOP_MIN_S:
            stop = move
    return stand, half, both, move, stop


@kernel()
def drive_mps(before_mps: float, after_mps: float, dt: float) -> Any:
    """How fast a driving van goes in a step, one axis, by the speeds reported at its ends where they are.

    They tell less of a longer step.
    """
    if before_mps != before_mps or after_mps != after_mps:
        return DRIVE_MPS
    told = min(max(before_mps, after_mps), DRIVE_MPS)
    lasting = np.exp(-dt / SPEED_LASTS_S)
    return lasting * told + (1.0 - lasting) * DRIVE_MPS


@kernel()
def speed_scores(speed_mps: float) -> Any:
    """Log scores of a reported speed while standing (a walk at most) and while driving; zero if not reported.

    Speed is measured by Doppler shift, so a standing phone reports none even where its position wanders.
    """
    if speed_mps != speed_mps:
        return 0.0, 0.0
    still = 0.8 * np.exp(-0.5 * (speed_mps / STILL_MPS) ** 2) / STILL_MPS
    walk = 0.4 * np.exp(-0.5 * ((speed_mps - PACE_MPS) / PACE_SD_MPS) ** 2) / PACE_SD_MPS
    stand = (1.0 - WALKING) * still + WALKING * walk + 1e-5
    drive = speed_mps / SPEED_DRIVE_MPS**2 * np.exp(-speed_mps / SPEED_DRIVE_MPS) + 0.004
    return log(stand), log(drive)


@lean()
def base_of(t: Floats, noise_m: Floats, i: int) -> Any:
    """The fixes before and after step i between which it is looked at: noise hides where short steps lead.

    And the last fix that was asked for; the answer stays when that one does.
    """
    want = min(BASE_S_PER_M * 0.5 * (noise_m[i - 1] + noise_m[i]), BASE_MOST_S)
    a, b, asked = i - 1, i, i
    while t[b] - t[a] < want:
        asked = b + 1
        back = a > 0 and t[b] - t[a - 1] <= 2.0 * want
        ahead = b + 1 < len(t) and t[b + 1] - t[a] <= 2.0 * want
        if not (back or ahead):
            break
        if back and (not ahead or t[i - 1] - t[a] <= t[b] - t[i]):
            a -= 1
        else:
            b += 1
    return a, b, asked


@lean()
def _scores_of(t: Floats, x: Floats, y: Floats, noise_m: Floats, speed_mps: Floats, i: int) -> Any:
    """The scores of step i, and the last fix that they depend on."""
    a, b, asked = base_of(t, noise_m, i)
    away_m = sqrt((x[b] - x[a]) ** 2 + (y[b] - y[a]) ** 2)
    noise = sqrt(noise_m[b] ** 2 + noise_m[a] ** 2)
    base_s = t[b] - t[a]
    share = (t[i] - t[i - 1]) / base_s if base_s > 0.0 else 1.0
    told = drive_mps(speed_mps[i - 1], speed_mps[i], base_s)
    return step_scores(away_m, base_s, noise, told, share), asked


@lean()
def _forward(
    t: Floats, x: Floats, y: Floats, noise_m: Floats, speed_mps: Floats, start: int, sure: int, begin: int,
    back: Bytes, how: Bytes,
) -> Any:  # fmt: skip
    """Note the best way to each state of each fix: the state before it, and the kind of step.

    Returns the scores of standing and of driving in the end, and up to where no fix after the first `sure`
    was asked for.
    """
    s, d = speed_scores(speed_mps[begin])
    certain = sure
    stand = s if start != DRIVE else -1e9
    drive = d if start != STAND else -1e9
    for i in range(begin + 1, len(t)):
        (ss, half, dd, move, stop), asked = _scores_of(t, x, y, noise_m, speed_mps, i)
        if asked >= sure:
            certain = min(certain, i)
        if move > ss:
            ss = move
            how[i, STAND] = HIDDEN_MOVE
        if stop > dd:
            dd = stop
            how[i, DRIVE] = HIDDEN_STOP
        s, d = speed_scores(speed_mps[i])
        if stand + ss >= drive + half - TIE:
            new_stand = stand + ss
            back[i, STAND] = STAND
        else:
            new_stand = drive + half
            back[i, STAND] = DRIVE
            how[i, STAND] = PLAIN
        if drive + dd >= stand + half - TIE:
            new_drive = drive + dd
            back[i, DRIVE] = DRIVE
        else:
            new_drive = stand + half
            back[i, DRIVE] = STAND
            how[i, DRIVE] = PLAIN
        stand, drive = new_stand + s, new_drive + d
    return stand, drive, certain


@kernel()
def decode(
    t: Floats, x: Floats, y: Floats, noise_m: Floats, speed_mps: Floats, start: int, sure: int, begin: int = 0
) -> Any:
    """States and step kinds of a track, and up to where they are final; fixes before `begin` are known.

    `start` is DRIVE, STAND or -1 (unknown) for the first fix. Returns (state of each fix, kind of the step
    that ends at each fix, n): whatever comes later, the first n fixes keep their states, provided that the
    first `sure` fixes stay (later ones may yet be discredited).
    """
    n = len(t)
    states = np.zeros(n, np.uint8)
    kinds = np.zeros(n, np.uint8)
    if n == 0:
        return states, kinds, 0
    back = np.zeros((n, 2), np.uint8)
    how = np.zeros((n, 2), np.uint8)
    stand, drive, certain = _forward(t, x, y, noise_m, speed_mps, start, sure, begin, back, how)
    final = _merge_index(back[begin:certain])
    state = STAND if stand > drive + TIE else DRIVE
    for i in range(n - 1, begin - 1, -1):
        states[i] = state
        kinds[i] = how[i, state]
        state = back[i, state]
    return states, kinds, final


@kernel()
def _merge_index(back: Bytes) -> int:
    """How many leading fixes have the same state on both surviving paths."""
    n = len(back)
    a, b = 0, 1
    for i in range(n - 1, 0, -1):
        a, b = back[i, a], back[i, b]
        if a == b:
            return i
    return 0
