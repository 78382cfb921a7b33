"""How far places lie off a shape, given by its edges in a plane, holes' too; compiled: it is asked often."""

from math import sqrt

import numpy as np
import numpy.typing as npt

from geofence.compiling import kernel, lean

Floats = npt.NDArray[np.float64]


@lean()
def signed_m(edges: Floats, x: float, y: float) -> float:
    """Metres from a place to the nearest edge: negative inside, positive outside.

    `edges` (n, 4): x and y of both ends. Inside is where a ray to the east meets an odd number of them.
    """
    nearest, inside = np.inf, False
    for k in range(len(edges)):
        ax, ay = edges[k, 0] - x, edges[k, 1] - y
        bx, by = edges[k, 2] - x, edges[k, 3] - y
        ex, ey = bx - ax, by - ay
        length2 = ex * ex + ey * ey
        share = min(max(-(ax * ex + ay * ey) / length2, 0.0), 1.0) if length2 > 0.0 else 0.0
        nearest = min(nearest, (ax + share * ex) ** 2 + (ay + share * ey) ** 2)
        if (ay > 0.0) != (by > 0.0) and ax + ex * ay / (ay - by) > 0.0:
            inside = not inside
    return -sqrt(nearest) if inside else sqrt(nearest)


@kernel()
def all_signed_m(edges: Floats, x: Floats, y: Floats) -> Floats:
    """`signed_m` of many places."""
    found = np.empty(len(x))
    for k in range(len(x)):
        found[k] = signed_m(edges, x[k], y[k])
    return found
