"""How the rows of a decoded track lie to each other."""

from math import sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from geofence.compiling import lean

Floats = npt.NDArray[np.float64]

PLACE_S = 15.0  # rows so near in time tell of one place


@lean()
def step_m(x: Floats, y: Floats, a: int, b: int) -> float:
    """Metres from row a to row b."""
    return sqrt((x[a] - x[b]) ** 2 + (y[a] - y[b]) ** 2)


@lean()
def mean_place(x: Floats, y: Floats, a: int, b: int) -> Any:
    """The middle of the rows from a to b, that one too."""
    return np.mean(x[a : b + 1]), np.mean(y[a : b + 1])


@lean()
def place_about(t: Floats, x: Floats, y: Floats, at: int, towards: int) -> Any:
    """The middle of the rows within `PLACE_S` of row `at`, that one too, looking towards another row."""
    direction = 1 if towards >= at else -1
    k = at
    sx, sy, count = x[k], y[k], 1.0
    while k != towards and abs(t[k + direction] - t[at]) <= PLACE_S:
        k += direction
        sx, sy, count = sx + x[k], sy + y[k], count + 1.0
    return sx / count, sy / count
