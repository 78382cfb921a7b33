"""How the rows of a decoded track lie to each other."""

from math import sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from geofence.compiling import lean

Floats = npt.NDArray[np.float64]


@lean()
def step_m(x: Floats, y: Floats, a: int, b: int) -> float:
    """Metres from row a to row b."""
    return sqrt((x[a] - x[b]) ** 2 + (y[a] - y[b]) ** 2)


@lean()
def mean_place(x: Floats, y: Floats, a: int, b: int) -> Any:
    """The middle of the rows from a to b, that one too."""
    return np.mean(x[a : b + 1]), np.mean(y[a : b + 1])
