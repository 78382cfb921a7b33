"""What two fixes far apart in time may hide: a stop on the way, or a move while the phone was silent."""

from math import sqrt

import numpy as np
import numpy.typing as npt

from geofence import runs
from geofence.compiling import kernel, lean
from geofence.motion import DRIVE, HIDDEN_MOVE_MIN_S
from geofence.rows import step_m

Floats = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]

BRAKE_MPS2 = 1.8  # comfortable braking and pulling away
CRUISE_MPS = 8.0  # when the track tells no speed
CRUISE_WITHIN_S = 90.0
ROAD_FACTOR = 1.2  # roads are longer than the straight line
UNSEEN_M = 10.0  # the place of a stop that no fix shows is known no better


@kernel()
def travel_s(d: float, speed_mps: float) -> float:
    """Seconds to cover the last d metres to a halt: braking alone when near, cruise before it when far."""
    brake = speed_mps * speed_mps / (2 * BRAKE_MPS2)
    if d <= brake:
        return sqrt(2 * d / BRAKE_MPS2)
    return (d - brake) / speed_mps + speed_mps / BRAKE_MPS2


@lean()
def cruise_mps(t: Floats, x: Floats, y: Floats, states: Bytes, at: int, direction: int) -> float:
    """Speed of the few driving steps next to row `at`, towards `direction` (-1 before, 1 after)."""
    length = 0.0
    time = 0.0
    k = at
    for _ in range(8):
        m = k + direction
        if (
            m < 0
            or m >= len(t)
            or states[m] != DRIVE
            or states[k] != DRIVE
            or abs(t[m] - t[at]) > CRUISE_WITHIN_S
        ):
            break
        d = step_m(x, y, k, m)
        dt = abs(t[m] - t[k])
        if d > 2.0 * dt:
            length += d
            time += dt
        k = m
    if time < 4.0:
        return CRUISE_MPS
    return min(max(length / time, 4.0), 30.0)


@lean()
def hidden_stop(t: Floats, x: Floats, y: Floats, states: Bytes, i: int, row: Floats) -> None:
    """A stop between two fixes that both drive: what the way between them does not explain is standing.

    Writes its row (see `runs`).
    """
    d = step_m(x, y, i - 1, i)
    before = cruise_mps(t, x, y, states, i - 1, -1)
    after = cruise_mps(t, x, y, states, i, 1)
    half = 0.5 * d * ROAD_FACTOR
    arrive = min(t[i - 1] + travel_s(half, before), 0.5 * (t[i - 1] + t[i]))
    depart = max(t[i] - travel_s(half, after), arrive)
    park_x, park_y = 0.5 * (x[i] + x[i - 1]), 0.5 * (y[i] + y[i - 1])
    row[runs.FIRST], row[runs.LAST] = i, i - 1
    row[runs.ARRIVED], row[runs.ARRIVED_LOW], row[runs.ARRIVED_HIGH] = arrive, t[i - 1], t[i]
    row[runs.DEPARTED], row[runs.DEPARTED_LOW], row[runs.DEPARTED_HIGH] = depart, t[i - 1], t[i]
    row[runs.SEARCH_S], row[runs.PARK_X], row[runs.PARK_Y] = 0.0, park_x, park_y
    row[runs.DOOR_X], row[runs.DOOR_Y], row[runs.WALKED], row[runs.NOISE_M] = park_x, park_y, 0.0, UNSEEN_M
    row[runs.MAX_GAP_S] = t[i] - t[i - 1]
    row[runs.HOW] = runs.HIDDEN
    row[runs.PARTED] = 0.0


@lean()
def hides_move(t: Floats, x: Floats, y: Floats, a: int, b: int) -> bool:
    """Whether the rows a and b, a step apart, leave open when the move between them was."""
    gap: float = t[b] - t[a]
    took: float = 2.0 * moved_by(t, x, y, a, b) - t[a] - t[b]
    return gap > HIDDEN_MOVE_MIN_S and took < 0.5 * gap


@lean()
def moved_by(t: Floats, x: Floats, y: Floats, a: int, b: int) -> float:
    """When a move hidden between the rows a and b, a step apart, ended, if it was in the middle."""
    d = step_m(x, y, a, b) * ROAD_FACTOR
    took = 2.0 * travel_s(0.5 * d, CRUISE_MPS)
    ended: float = 0.5 * (t[a] + t[b] + min(took, t[b] - t[a]))
    return ended
