"""Fences by the cells of a grid: what lies along a road is found without asking the R-tree at every fix."""

from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import chain
from math import asin, cos, degrees, floor, radians, sin, sqrt
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from geofence.compiling import kernel
from geofence.geometry import EARTH_RADIUS_M, METRES_PER_DEGREE, distance_m

if TYPE_CHECKING:
    from geofence.fences import Box, Fence

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

CELL_DEG: Final = 0.01
COLUMNS: Final = round(360 / CELL_DEG)
MARGIN: Final = 0.3  # of a cell: fences so near are those of the cell too; a quarter is needed
MOST_CELLS: Final = 50_000
NEAR_M: Final = 1_000.0  # fences are seldom looked for further off than that
NO_EDGES: Final = np.empty((0, 4))
DEGREES: Final = degrees(1.0)
MANY_CELLS: Final = 1_000  # of a fence over more than these, the cells are not told


@dataclass(frozen=True, slots=True)
class Cell:
    """The fences in and about a cell, all their versions, by fence id; and as numbers for compiled code.

    `shapes` (n, 9): latitude and longitude of a disc's middle, its radius in metres, the rows begin..end of
    `edges` that bound the fence within it (none for a circle), latitude and longitude of the fence, how far
    its shape spreads in metres, and the cosine of the disc's latitude. `edges` (m, 4): latitude and longitude
    of both ends. `owners` (n, 2): the number of the fence's version in the set it is of, and the hash of the
    customer's id. `lasting`: each of them holds at any time.
    """

    fences: "tuple[Fence, ...]"
    shapes: Floats
    edges: Floats
    owners: Ints
    lasting: bool


class Cells:
    """The cells looked at so far, each made when it is first asked for."""

    def __init__(
        self, find: "Callable[[Box], Mapping[int, Fence]]", lasts: "Callable[[Fence], bool]"
    ) -> None:
        self._find = find
        self._lasts = lasts
        self._made: dict[int, Cell | None] = {}

    def at(self, key: int) -> Cell | None:
        """A cell by the number that `sweep.cells_along` gives it; None where no fence is."""
        try:
            return self._made[key]
        except KeyError:
            if len(self._made) >= MOST_CELLS:
                self._made.clear()
            cell = self._made[key] = self._make(key)
            return cell

    def about(self, lat: float, lon: float, within_m: float) -> tuple[bool, Cell | None]:
        """Whether the cell of a place holds all fences within a distance of it, and that cell."""
        margin_m = MARGIN * CELL_DEG * METRES_PER_DEGREE * cos(radians(min(abs(lat) + CELL_DEG, 90.0)))
        if within_m > margin_m:
            return False, None
        return True, self.at(key_of(lat, lon))

    def forget(self, box: "Box") -> None:
        """A fence with this box has come or gone."""
        if not self._made:
            return
        keys = keys_of(box, MARGIN)
        if keys is None:
            self._made.clear()
            return
        for key in keys:
            self._made.pop(key, None)

    def _make(self, key: int) -> Cell | None:
        row, column = divmod(key, COLUMNS)
        south, west = (row - MARGIN) * CELL_DEG - 90, (column - MARGIN) * CELL_DEG - 180
        side = (1 + 2 * MARGIN) * CELL_DEG
        box = west, max(south, -90.0), west + side, min(south + side, 90.0)
        fences = self._find(box)
        return cell_of(fences, all(map(self._lasts, fences.values()))) if fences else None


def key_of(lat: float, lon: float) -> int:
    """The number of the cell that a place is in."""
    column = min(floor((lon + 180.0) % 360.0 / CELL_DEG), COLUMNS - 1)
    return floor((lat + 90.0) / CELL_DEG) * COLUMNS + column


def keys_of(box: "Box", margin: float = 0.0) -> frozenset[int] | None:
    """The numbers of the cells that a box meets, widened by a margin of a cell; None for too many."""
    west, south, east, north = box
    rows = range(floor((south + 90) / CELL_DEG - margin), floor((north + 90) / CELL_DEG + margin) + 1)
    columns = range(floor((west + 180) / CELL_DEG - margin), floor((east + 180) / CELL_DEG + margin) + 1)
    if len(rows) * len(columns) > MANY_CELLS:
        return None
    return frozenset(row * COLUMNS + column % COLUMNS for row in rows for column in columns)


def cell_of(fences: "Mapping[int, Fence]", lasting: bool) -> Cell:
    """These fences, given by number, as a cell; `lasting`: each holds at any time."""
    numbers = [n for _, n in sorted((fence.fence_id, n) for n, fence in fences.items())]
    by_id = tuple(fences[n] for n in numbers)
    rows = array("d")
    edges: list[Floats] = [NO_EDGES]
    count = 0
    for fence in by_id:
        if fence.radius_m is not None:
            place = fence.lat, fence.lon
            rows.extend((*place, fence.radius_m, count, count, *place, 0.0, cos(radians(fence.lat))))
            continue
        own, disc = fence.edges()[:, [1, 0, 3, 2]], _disc(fence)
        place = fence.lat, fence.lon
        rows.extend((*disc, count, count + len(own), *place, fence.spread_m(), cos(radians(disc[0]))))
        edges.append(own)
        count += len(own)
    owners = array("q", chain.from_iterable((n, hash(fences[n].customer_id)) for n in numbers))
    shapes = np.frombuffer(rows).reshape(len(by_id), 9)
    return Cell(
        by_id, shapes, np.concatenate(edges), np.frombuffer(owners, np.int64).reshape(len(by_id), 2), lasting
    )


@kernel()
def within_reach(shapes: Floats, places: Floats, within_m: float) -> Any:
    """Which discs of a cell come within a distance of any of these places (latitude, longitude).

    And how far off their edges are at the nearest, in metres; haversine (Sinnott 1984).
    """
    found, away = np.empty(len(shapes), np.int64), np.empty(len(shapes))
    scale = np.cos(np.radians(places[:, 0]))
    count = 0
    for n in range(len(shapes)):
        nearest, reach = np.inf, (within_m + shapes[n, 2]) / EARTH_RADIUS_M
        for k in range(len(places)):
            if abs(shapes[n, 0] - places[k, 0]) > DEGREES * reach:
                continue
            half, scales = 0.5 * radians(shapes[n, 1] - places[k, 1]), scale[k] * shapes[n, 8]
            if abs(half) < 0.5 and 3.6 * scales * half * half > reach * reach:  # sin² x > 0.9 x² there
                continue
            a = scales * sin(half) ** 2 + sin(0.5 * radians(shapes[n, 0] - places[k, 0])) ** 2
            nearest = min(nearest, 2 * EARTH_RADIUS_M * asin(min(1.0, sqrt(a))) - shapes[n, 2])
        if nearest <= within_m:
            found[count], away[count] = n, nearest
            count += 1
    return found[:count], away[:count]


def _disc(fence: "Fence") -> tuple[float, float, float]:
    """Middle and radius of a disc that holds the fence."""
    west, south, east, north = fence.box()
    lat, lon = (south + north) / 2, (west + east) / 2
    corners = [(south, west), (south, east), (north, west), (north, east)]
    return lat, lon, 1.01 * max(distance_m(lat, lon, *corner) for corner in corners)
