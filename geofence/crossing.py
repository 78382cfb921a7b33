"""When a track crossed fences' boundaries before and after a standstill."""

from collections.abc import Sequence
from math import isnan
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from geofence.fences import Fence
from geofence.standstills import Standstill
from geofence.track import Decoded

Floats = npt.NDArray[np.float64]
FURTHEST = 120  # fixes looked at before
WITHIN_S = 90.0


class Crossed(NamedTuple):
    """Times of entry before a standstill and of exit after it.

    None where the track does not show the crossing, or the vehicle stood outside the fence.
    """

    entered_ms: int | None
    exited_ms: int | None


class _Part(NamedTuple):
    """The fixes that are looked at: the standstill is first..last, what is around it is begin..end."""

    begin: int
    first: int
    last: int
    end: int


def crossings(decoded: Decoded, fences: Sequence[Fence], standstill: Standstill) -> list[Crossed]:
    """The crossings of each fence, by straight lines between fixes.

    Fixes later than `WITHIN_S` after the standstill are not looked at.
    """
    a, b = min(standstill.first, len(decoded) - 1), max(standstill.last, 0)
    end = int(np.searchsorted(decoded.t, decoded.t[b] + WITHIN_S, side="right"))
    end = max(end, a + 1)  # a stop hidden by a silence has its first fix after its last
    part = _Part(max(a - FURTHEST, 0), min(a, b), max(a, b), end)
    found = np.full((len(fences), 2), np.nan)
    round_ones = [n for n, fence in enumerate(fences) if fence.radius_m is not None]
    if round_ones:
        circles = np.array([_circle(decoded, fences[n]) for n in round_ones])
        found[round_ones] = _cross_circles(decoded.t, decoded.x, decoded.y, *part, circles)
    for n, fence in enumerate(fences):
        if fence.radius_m is None:
            found[n] = _cross_shape(decoded, fence, part)
    return [Crossed(_ms(decoded, entered), _ms(decoded, exited)) for entered, exited in found.tolist()]


def _ms(decoded: Decoded, seconds: float) -> int | None:
    return None if isnan(seconds) else decoded.origin_ms + round(1000 * seconds)


def _circle(decoded: Decoded, fence: Fence) -> tuple[float, float, float]:
    assert fence.radius_m is not None
    return (*decoded.plane.to_plane(fence.lat, fence.lon), fence.radius_m)


def _cross_shape(decoded: Decoded, fence: Fence, part: _Part) -> tuple[float, float]:
    """Seconds of entry and exit, NaN where they do not show; fences stood outside of cost little."""

    def outside(begin: int, end: int) -> Floats:
        lat, lon = decoded.plane.all_to_degrees(decoded.x[begin:end], decoded.y[begin:end])
        return fence.distances_m(lat, lon)

    if not (outside(part.first, part.last + 1) <= 0).any():
        return np.nan, np.nan
    entered, exited = _cross(decoded.t, outside(part.begin, part.end), *part)
    return entered, exited


@njit(cache=True)
def _cross_circles(
    t: Floats, x: Floats, y: Floats, begin: int, first: int, last: int, end: int, circles: Floats
) -> Floats:
    """Seconds of entry and exit of each circle (east, north, radius in metres)."""
    found = np.empty((len(circles), 2))
    outside = np.empty(end - begin)
    for n in range(len(circles)):
        for k in range(begin, end):
            outside[k - begin] = np.hypot(x[k] - circles[n, 0], y[k] - circles[n, 1]) - circles[n, 2]
        found[n, 0], found[n, 1] = _cross(t, outside, begin, first, last, end)
    return found


@njit(cache=True)
def _cross(t: Floats, outside: Floats, begin: int, first: int, last: int, end: int) -> Any:
    """Entry going back from the first standing fix inside, exit going on from the last one.

    `outside` are the signed metres of the fixes begin..end, negative inside. NaN where the data ends inside.
    """
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
