"""What a moving vehicle's track sweeps over: the cells along it, and when it is inside which shapes.

The track is taken as straight from fix to fix. A step that lasts too long, or leads too far, tells of no way.
"""

from math import ceil, floor, sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from geofence.cells import CELL_DEG, COLUMNS
from geofence.compiling import kernel, lean

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

SILENT_S = 120.0  # a step that lasts longer does not tell where the vehicle drove
APART_S = 60.0  # inside again so soon after: still the same pass
ROUNDING_M = 1e-6  # discs so near to the box about some steps are looked at too
MOST_SAMPLES = 100  # half cells that one step may lead through: some 16 km


@kernel()
def _wrapped(lon: float) -> float:
    return lon if -180.0 <= lon < 180.0 else (lon + 180.0) % 360.0 - 180.0


@kernel()
def _samples(dt: float, d_lat: float, d_lon: float) -> int:
    """Places to look at along a step, half a cell apart at most; none when it tells of no way."""
    if dt > SILENT_S:
        return 0
    n = max(1, ceil(max(abs(d_lat), abs(d_lon)) / (0.5 * CELL_DEG)))
    return n if n <= MOST_SAMPLES else 0


@kernel()
def cells_along(
    t: Floats,
    x: Floats,
    y: Floats,
    stretches: Ints,
    lat: float,
    lon: float,
    per_lat: float,
    per_lon: float,
) -> Any:
    """Cells that the steps of stretches lead through: rows of number, first and last step.

    Each of the `stretches` (n, 2) leads from one fix to another; a row holds steps of one stretch. A step is
    numbered by the fix it begins at. `lat`, `lon` is the origin of x and y in metres, which are `per_lat` and
    `per_lon` to a degree.
    """
    out = np.empty((16, 3), np.int64)
    count = 0
    for begin, end in stretches:
        since = count
        for k in range(begin, end):
            d_lat, d_lon = (y[k + 1] - y[k]) / per_lat, (x[k + 1] - x[k]) / per_lon
            n = _samples(t[k + 1] - t[k], d_lat, d_lon)
            for i in range(n):
                share = (i + 0.5) / n
                row = floor((lat + y[k] / per_lat + share * d_lat + 90.0) / CELL_DEG)
                east = _wrapped(lon + x[k] / per_lon + share * d_lon) + 180.0
                key = row * COLUMNS + min(floor(east / CELL_DEG), COLUMNS - 1)
                if count > since and out[count - 1, 0] == key:
                    out[count - 1, 2] = k
                    continue
                if count == len(out):
                    out = np.concatenate((out, np.empty_like(out)))
                out[count, 0], out[count, 1], out[count, 2] = key, k, k
                count += 1
    return out[:count]


@kernel()
def _within_disc(x: float, y: float, dx: float, dy: float, radius_m: float) -> Any:
    """Shares of a step from (x, y) by (dx, dy) between which it is in a disc about 0; else first > last."""
    a, b, c = dx * dx + dy * dy, x * dx + y * dy, x * x + y * y - radius_m * radius_m
    if a <= 0.0:
        return (0.0, 1.0) if c <= 0.0 else (1.0, 0.0)
    root = b * b - a * c
    if root < 0.0:
        return 1.0, 0.0
    root = sqrt(root)
    return max((-b - root) / a, 0.0), min((-b + root) / a, 1.0)


@lean()
def _within_edges(
    x: float,
    y: float,
    dx: float,
    dy: float,
    edges: Floats,
    lat: float,
    lon: float,
    per_lat: float,
    per_lon: float,
) -> Any:
    """The same for a shape with these edges: from the first moment inside to the last."""
    first, last = 1.0, 0.0
    begins = ends = False
    for m in range(len(edges)):
        ax, ay = _wrapped(edges[m, 1] - lon) * per_lon - x, (edges[m, 0] - lat) * per_lat - y
        bx, by = ax + (edges[m, 3] - edges[m, 1]) * per_lon, ay + (edges[m, 2] - edges[m, 0]) * per_lat
        if (ay > 0.0) != (by > 0.0) and ax + (bx - ax) * ay / (ay - by) > 0.0:
            begins = not begins
        if (ay > dy) != (by > dy) and ax + (bx - ax) * (ay - dy) / (ay - by) > dx:
            ends = not ends
        ex, ey = bx - ax, by - ay
        cross = dx * ey - dy * ex
        if cross != 0.0:
            share, along = (ax * ey - ay * ex) / cross, (ax * dy - ay * dx) / cross
            if 0.0 <= share <= 1.0 and 0.0 <= along <= 1.0:
                first, last = min(first, share), max(last, share)
    if begins:
        first, last = 0.0, max(last, 0.0)
    if ends:
        first, last = min(first, 1.0), 1.0
    return first, last


@kernel()
def insides(
    t: Floats,
    x: Floats,
    y: Floats,
    begin: int,
    end: int,
    shapes: Floats,
    edges: Floats,
    lat: float,
    lon: float,
    per_lat: float,
    per_lon: float,
) -> Any:
    """When the steps begin..end were inside which of a cell's shapes: rows of shape, first and last second.

    Moments inside a shape that are at most `APART_S` apart are one row.
    """
    out = np.empty((8, 3), np.float64)
    count = 0
    west, east = np.min(x[begin : end + 2]) - ROUNDING_M, np.max(x[begin : end + 2]) + ROUNDING_M
    south, north = np.min(y[begin : end + 2]) - ROUNDING_M, np.max(y[begin : end + 2]) + ROUNDING_M
    for s in range(len(shapes)):
        cx, cy = _wrapped(shapes[s, 1] - lon) * per_lon, (shapes[s, 0] - lat) * per_lat
        radius_m = shapes[s, 2]
        if max(west - cx, cx - east, south - cy, cy - north) > radius_m:
            continue
        own = edges[int(shapes[s, 3]) : int(shapes[s, 4])]
        row = -1
        for k in range(begin, end + 1):
            dt, dx, dy = t[k + 1] - t[k], x[k + 1] - x[k], y[k + 1] - y[k]
            first, last = _within_disc(x[k] - cx, y[k] - cy, dx, dy, radius_m)
            if first > last or _samples(dt, dy / per_lat, dx / per_lon) == 0:
                continue
            if len(own) > 0:
                first, last = _within_edges(x[k], y[k], dx, dy, own, lat, lon, per_lat, per_lon)
                if first > last:
                    continue
            if row >= 0 and t[k] + first * dt - out[row, 2] <= APART_S:
                out[row, 2] = t[k] + last * dt
                continue
            if count == len(out):
                out = np.concatenate((out, np.empty_like(out)))
            row = count
            out[row, 0], out[row, 1], out[row, 2] = s, t[k] + first * dt, t[k] + last * dt
            count += 1
    return out[:count]
