"""When a track crossed a fence's boundary before and after a standstill."""

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from geofence.fences import Fence
from geofence.standstills import Standstill
from geofence.track import Decoded

Floats = npt.NDArray[np.float64]
FURTHEST = 120  # fixes looked at before
WITHIN_S = 90.0


def crossing_ms(decoded: Decoded, fence: Fence, standstill: Standstill) -> tuple[int | None, int | None]:
    """Times of entry before a standstill and of exit after it, by straight lines between fixes.

    None where the track does not show the crossing, or the vehicle stood outside the fence. Fixes later than
    `WITHIN_S` after the standstill are not looked at.
    """
    a, b = min(standstill.first, len(decoded.t) - 1), max(standstill.last, 0)
    begin = max(a - FURTHEST, 0)
    end = int(np.searchsorted(decoded.t, decoded.t[b] + WITHIN_S, side="right"))
    outside = _outside(decoded, fence, begin, end)
    inside_from, inside_to = _hold(outside, min(a, b) - begin, max(a, b) - begin)
    if inside_from < 0:
        return None, None
    entered, exited = _cross(decoded.t[begin:end], outside, inside_from, inside_to)
    return (
        None if np.isnan(entered) else decoded.origin_ms + round(1000 * entered),
        None if np.isnan(exited) else decoded.origin_ms + round(1000 * exited),
    )


def _outside(decoded: Decoded, fence: Fence, begin: int, end: int) -> Floats:
    """Signed metres to the boundary of the fixes begin..end, negative inside."""
    x, y = decoded.x[begin:end], decoded.y[begin:end]
    if fence.radius_m is not None:
        east, north = decoded.plane.to_plane(fence.lat, fence.lon)
        return np.asarray(np.hypot(x - east, y - north) - fence.radius_m)
    lat, lon = decoded.plane.all_to_degrees(x, y)
    return fence.distances_m(lat, lon)


def _hold(outside: Floats, a: int, b: int) -> tuple[int, int]:
    """First and last fix inside among the standing ones a..b, or -1."""
    inside = np.flatnonzero(outside[max(a, 0) : b + 1] <= 0)
    if len(inside) == 0:
        return -1, -1
    return int(inside[0]) + max(a, 0), int(inside[-1]) + max(a, 0)


@njit(cache=True)
def _cross(t: Floats, outside: Floats, a: int, b: int) -> Any:
    """Entry time going back from fix a, exit time going on from fix b; NaN where the data ends inside."""
    entered = np.nan
    exited = np.nan
    for k in range(a, 0, -1):
        if outside[k - 1] > 0:
            share = outside[k - 1] / (outside[k - 1] - outside[k]) if outside[k] < outside[k - 1] else 1.0
            entered = t[k - 1] + min(share, 1.0) * (t[k] - t[k - 1])
            break
    for k in range(b, len(t) - 1):
        if outside[k + 1] > 0:
            share = -outside[k] / (outside[k + 1] - outside[k]) if outside[k + 1] > outside[k] else 0.0
            exited = t[k] + max(share, 0.0) * (t[k + 1] - t[k])
            break
    return entered, exited
