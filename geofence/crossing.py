"""When a track crossed fences' boundaries before and after a standstill."""

from collections.abc import Sequence
from math import isnan, sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from geofence.clock import NEVER_MS
from geofence.compiling import kernel, lean
from geofence.decoding import T, X, Y
from geofence.evidence import Candidate
from geofence.fences import Fence
from geofence.standstills import Standstill
from geofence.track import Decoded

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
_Part = tuple[int, int, int, int]
FURTHEST = 120  # fixes looked at before
WITHIN_S = 90.0


def crossings(decoded: Decoded, near: Sequence[Candidate], standstill: Standstill) -> list[list[int]]:
    """The times of entry before a standstill and of exit after it, for each candidate's fence.

    By straight lines between fixes; NEVER_MS where the track does not show the crossing, or the vehicle stood
    outside the fence. Fixes later than `WITHIN_S` after the standstill are not looked at.
    """
    d = decoded
    circles: list[float] = []
    for fence, middle, _, _ in near:
        circles += (*middle, fence.radius_m or 0.0)
    between = standstill.first, standstill.last
    within = np.array(circles).reshape(len(near), 3)
    found: list[list[int]] = _cross_circles(d.floats, d.count, d.origin_ms, *between, within).tolist()
    for n, candidate in enumerate(near):
        if candidate.fence.shape is not None:
            crossed = _cross_shape(d, candidate.fence, _part(d.t, *between))
            found[n] = [_ms(d.origin_ms, seconds) for seconds in crossed]
    return found


@kernel()
def _ms(origin_ms: int, seconds: float) -> int:
    return NEVER_MS if isnan(seconds) else origin_ms + int(np.rint(1000 * seconds))


def _cross_shape(decoded: Decoded, fence: Fence, part: _Part) -> tuple[float, float]:
    """Seconds of entry and exit, NaN where they do not show; fences stood outside of cost little."""

    def outside(begin: int, end: int) -> Floats:
        lat, lon = decoded.plane.all_to_degrees(decoded.x[begin:end], decoded.y[begin:end])
        return fence.distances_m(lat, lon)

    begin, first, last, end = part
    if not (outside(first, last + 1) <= 0).any():
        return np.nan, np.nan
    entered, exited = _cross(decoded.t, outside(begin, end), part)
    return entered, exited


@kernel()
def _part(t: Floats, first: int, last: int) -> Any:
    """The fixes to look at, begin..end, and the standing ones; a hidden stop has its first after its last."""
    a, b = min(first, len(t) - 1), max(last, 0)
    end = max(np.searchsorted(t, t[b] + WITHIN_S, side="right"), a + 1)
    return max(a - FURTHEST, 0), min(a, b), max(a, b), end


@kernel()
def _cross_circles(
    floats: Floats, count: int, origin_ms: int, first: int, last: int, circles: Floats
) -> Ints:
    """Times of entry and exit of each circle (east, north, radius in metres)."""
    t, x, y = floats[T, :count], floats[X, :count], floats[Y, :count]
    part = _part(t, first, last)
    begin, first, last, end = part
    found = np.full((len(circles), 2), NEVER_MS)
    outside = np.empty(end - begin)
    for n in range(len(circles)):
        east, north, radius_m = circles[n]
        if not _any_inside(x, y, first, last, east, north, radius_m):
            continue
        for k in range(begin, end):
            outside[k - begin] = sqrt((x[k] - east) ** 2 + (y[k] - north) ** 2) - radius_m
        entered, exited = _cross(t, outside, part)
        found[n, 0], found[n, 1] = _ms(origin_ms, entered), _ms(origin_ms, exited)
    return found


@lean()
def _any_inside(
    x: Floats, y: Floats, first: int, last: int, east: float, north: float, radius_m: float
) -> bool:
    """Whether any of the fixes first..last is in a circle."""
    for k in range(first, last + 1):
        if (x[k] - east) ** 2 + (y[k] - north) ** 2 <= radius_m * radius_m:
            return True
    return False


@lean()
def _cross(t: Floats, outside: Floats, part: _Part) -> Any:
    """Entry going back from the first standing fix inside, exit going on from the last one.

    `outside` are the signed metres of the fixes begin..end, negative inside. NaN where the data ends inside.
    """
    begin, first, last, end = part
    entered = np.nan
    exited = np.nan
    a, b = first, last
    while a <= last and outside[a - begin] > 0:
        a += 1
    while b >= a and outside[b - begin] > 0:
        b -= 1
    if a > b:
        return entered, exited
    for k in range(a - begin, 0, -1):
        if outside[k - 1] > 0:
            share = outside[k - 1] / (outside[k - 1] - outside[k]) if outside[k] < outside[k - 1] else 1.0
            entered = t[begin + k - 1] + min(share, 1.0) * (t[begin + k] - t[begin + k - 1])
            break
    for k in range(b - begin, end - begin - 1):
        if outside[k + 1] > 0:
            share = -outside[k] / (outside[k + 1] - outside[k]) if outside[k + 1] > outside[k] else 0.0
            exited = t[begin + k] + max(share, 0.0) * (t[begin + k + 1] - t[begin + k])
            break
    return entered, exited
