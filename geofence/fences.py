"""Customer geofences and the live R-tree that finds those near a place."""

from array import array
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import asin, cos, degrees, radians, sin
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import shapely
from rtree import index
from shapely.geometry.base import BaseGeometry

from geofence.cells import NEAR_M, Cell, Cells, cell_of, keys_of, within_reach
from geofence.edged import all_signed_m, signed_m
from geofence.errors import InvalidFence
from geofence.geometry import EARTH_RADIUS_M, METRES_PER_DEGREE, distance_m, wrap_degrees
from geofence.ids import flaw_of

Floats = npt.NDArray[np.float64]

NO_FACTS: Final[Mapping[str, Any]] = {}
"""One for all fences without facts."""

SLACK: Final = 1.05
"""The R-tree is asked for that much more: flat-Earth errors of shapes up to 100 km stay below it."""

CHANGES_KEPT: Final = 10_000
"""So many changes are remembered for those who ask what has changed."""

Box = tuple[float, float, float, float]
"""West, south, east, north in degrees; east may exceed 180 where a shape crosses the antimeridian."""


@dataclass(frozen=True, slots=True)
class Fence:
    """The area of one customer: a circle (`radius_m` about lat, lon) or a shape (WGS 84 lon/lat polygon).

    `lat`, `lon` is the circle's centre or the shape's representative point. `facts` are the customer's
    properties as published (`floor`, `elevator`, `parking_difficulty`, `area_type`, `region`, ...).
    """

    fence_id: str
    customer_id: str
    lat: float
    lon: float
    radius_m: float | None = None
    shape: BaseGeometry | None = None
    dwell_s: float | None = None
    valid_from_ms: int | None = None
    valid_to_ms: int | None = None
    facts: Mapping[str, Any] = field(default_factory=lambda: NO_FACTS)
    _local: Floats | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name, identifier in (("fence_id", self.fence_id), ("customer_id", self.customer_id)):
            if flaw := flaw_of(identifier):
                raise InvalidFence(flaw, name)
        if (self.radius_m is None) == (self.shape is None):
            raise InvalidFence("needs a radius_m or a shape, not both", "geometry")
        if self.radius_m is not None and not 0 < self.radius_m <= 50_000:
            raise InvalidFence(f"{self.radius_m} is not between 0 and 50,000 metres", "radius_m")
        if not (-90 <= self.lat <= 90 and -180 <= self.lon <= 180):
            raise InvalidFence(f"({self.lat}, {self.lon}) is not on Earth", "geometry.coordinates")
        if self.shape is not None and (self.shape.is_empty or not self.shape.is_valid):
            raise InvalidFence(shapely.is_valid_reason(self.shape), "geometry.coordinates")
        if self.dwell_s is not None and not 0 <= self.dwell_s <= 86_400:
            raise InvalidFence(f"{self.dwell_s} is not between 0 and 86,400 seconds", "dwell_s")

    def box(self) -> Box:
        """The smallest box that holds the fence."""
        if self.shape is not None:
            west, south, east, north = self.shape.bounds
            return west, south, east, north
        assert self.radius_m is not None
        return box_around(self.lat, self.lon, self.radius_m)

    def spread_m(self) -> float:
        """How far about its middle a shape's customer may be; a circle's is at its centre."""
        if self.radius_m is not None:
            return 0.0
        west, south, east, north = self.box()
        return 0.2 * distance_m(south, west, north, east)

    def distance_m(self, lat: float, lon: float) -> float:
        """Metres from a place to the boundary: negative inside, positive outside."""
        if self.radius_m is not None:
            return distance_m(lat, lon, self.lat, self.lon) - self.radius_m
        east = wrap_degrees(lon - self.lon) * self._metres_per_lon()
        away: float = signed_m(self._in_plane(), east, (lat - self.lat) * METRES_PER_DEGREE)
        return away

    def distances_m(self, lat: Floats, lon: Floats) -> Floats:
        """`distance_m` of many places at once."""
        if self.radius_m is not None:
            return _haversines_m(lat, lon, self.lat, self.lon) - self.radius_m
        east = ((lon - self.lon + 180.0) % 360.0 - 180.0) * self._metres_per_lon()
        away: Floats = all_signed_m(self._in_plane(), east, (lat - self.lat) * METRES_PER_DEGREE)
        return away

    def edges(self) -> Floats:
        """Longitude and latitude of both ends of each edge of a shape, holes' too, a row each."""
        assert self.shape is not None
        parts = shapely.get_parts(self.shape)
        rings = [ring for part in parts for ring in (part.exterior, *part.interiors)]
        lines = [shapely.get_coordinates(ring) for ring in rings]
        return np.concatenate([np.hstack([line[:-1], line[1:]]) for line in lines])

    def _in_plane(self) -> Floats:
        """The edges of a shape in metres about lat, lon; made once."""
        if self._local is None:
            assert self.shape is not None
            west, _, east, _ = self.shape.bounds
            turns = 360.0 * round(((west + east) / 2 - self.lon) / 360.0)
            scale = self._metres_per_lon(), METRES_PER_DEGREE
            local = (self.edges() - (self.lon + turns, self.lat) * 2) * (*scale, *scale)
            object.__setattr__(self, "_local", local)
            return local
        return self._local

    def _metres_per_lon(self) -> float:
        return METRES_PER_DEGREE * max(cos(radians(self.lat)), 1e-6)

    def valid_at(self, ts_ms: int) -> bool:
        """Whether the fence stands at that time; `valid_to` itself is outside."""
        return (self.valid_from_ms is None or self.valid_from_ms <= ts_ms) and (
            self.valid_to_ms is None or ts_ms < self.valid_to_ms
        )


def widened(box: Box, by_m: float) -> Box:
    """A box that holds all within so many metres of this one."""
    west, south, east, north = box
    corners = [box_around(lat, lon, by_m) for lat in (south, north) for lon in (west, east)]
    wests, souths, easts, norths = zip(*corners, strict=True)
    return min(wests), min(souths), max(easts), max(norths)


def cells_near(fence: Fence) -> frozenset[int] | None:
    """The cells of all places within `NEAR_M` of the fence, see `cells.key_of`; None for too many."""
    return keys_of(widened(fence.box(), 1.1 * NEAR_M))


def wide_m(within_m: float) -> float:
    """So far is looked for what may be within a distance, however distances are rounded."""
    return within_m * SLACK + 0.01


def box_around(lat: float, lon: float, radius_m: float) -> Box:
    """A box that holds the circle of that radius; all longitudes where it comes near a pole."""
    d_lat = radius_m / METRES_PER_DEGREE * (1 + 1e-9)
    if abs(lat) + d_lat >= 89.9:
        return -180.0, lat - d_lat, 180.0, lat + d_lat
    d_lon = degrees(asin(sin(radians(d_lat)) / cos(radians(lat))))
    return lon - d_lon, lat - d_lat, lon + d_lon, lat + d_lat


def _haversines_m(lat: Floats, lon: Floats, to_lat: float, to_lon: float) -> Floats:
    a = np.sin(np.radians(lat - to_lat) / 2) ** 2
    a += np.cos(np.radians(lat)) * cos(radians(to_lat)) * np.sin(np.radians(lon - to_lon) / 2) ** 2
    away: Floats = 2 * EARTH_RADIUS_M * np.arcsin(np.minimum(1.0, np.sqrt(a)))
    return away


class FenceSet:
    """All fences there are, each with its versions over time, in an R-tree that changes live.

    A fence that goes leaves its box in the tree, which is built anew when half of it is such leavings: taking
    boxes out of a tree packed in bulk costs a hundred times as much. Of one thread: the tree's library lets
    others run while it works, and a second caller would corrupt its memory.
    """

    def __init__(self, fences: Iterable[Fence] = ()) -> None:
        self._fences: dict[int, Fence] = {}  # by number
        self._count = 0  # numbers given; none is given twice
        self._numbers: dict[str, tuple[int, ...]] = {}  # by fence id: its versions
        self._of_customer: dict[str, tuple[str, ...]] = {}
        self._gone = 0
        self._doubtful: set[int] = set()  # numbers in the tree of versions that have gone or may not hold
        self.version = 0
        """Grows with every fence that comes or goes."""
        self._changed: deque[Fence] = deque(maxlen=CHANGES_KEPT)
        self.cells = Cells(self._versions_in_box, self._lasts)
        for fence in fences:
            if not self.holds(fence):
                self._register(fence)
        self._tree = self._build()

    def __len__(self) -> int:
        return len(self._numbers)

    def __iter__(self) -> Iterator[Fence]:
        return iter(self._fences.values())

    def __contains__(self, fence_id: str) -> bool:
        return fence_id in self._numbers

    def holds(self, fence: Fence) -> bool:
        """Whether putting the fence would change nothing."""
        if fence.fence_id not in self._numbers:
            return False
        versions = self.versions(fence.fence_id)
        return fence in versions and (len(versions) == 1 or fence.valid_from_ms is not None)

    def put(self, fence: Fence) -> None:
        """Add a fence or a version of it.

        A version without `valid_from` replaces all others; one with it stands beside the earlier ones and
        holds from then on; the same `valid_from` replaces that version.
        """
        if self.holds(fence):
            return
        number = self._register(fence)
        for box in _split(fence.box()):
            self._tree.insert(number, box)
        self._note(fence)
        self._tidy()

    def remove(self, fence_id: str) -> None:
        """Take away every version of a fence; an unknown id is ignored."""
        for number in self._numbers.get(fence_id, ()):
            self._drop(number)
        self._tidy()

    def changed_since(self, version: int) -> list[Fence] | None:
        """Fences that came or went since that version; None when it is too long ago to tell."""
        count = self.version - version
        return None if count > len(self._changed) else list(self._changed)[len(self._changed) - count :]

    def get(self, fence_id: str, ts_ms: int) -> Fence | None:
        """The version of a fence that holds at that time: the latest to begin of those valid then."""
        versions = [f for f in self.versions(fence_id) if f.valid_at(ts_ms)]
        return max(versions, key=_from) if versions else None

    def versions(self, fence_id: str) -> list[Fence]:
        """All versions of a fence, in the order they came."""
        return [self._fences[n] for n in self._numbers.get(fence_id, ())]

    def at(self, number: int) -> Fence | None:
        """The version of a fence with this number in `Cell.owners`; None when it has gone."""
        return self._fences.get(number)

    def of_customer(self, customer_id: str, ts_ms: int) -> list[Fence]:
        """The fences of a customer that hold at that time, by fence id."""
        found = (self.get(i, ts_ms) for i in sorted(self._of_customer.get(customer_id, ())))
        return [f for f in found if f is not None and f.customer_id == customer_id]

    def near(self, lat: float, lon: float, within_m: float, ts_ms: int) -> list[tuple[Fence, float]]:
        """Fences whose boundary is at most `within_m` from a place (or around it), with that signed distance.

        Sorted by distance, then fence id.
        """
        places = [(lat, lon)]
        cell = self.about(places, within_m, ts_ms)
        if cell is None:
            return []
        near = []
        for n in within_reach(cell.shapes, np.array(places), wide_m(within_m))[0].tolist():
            fence = cell.fences[n]
            off = fence.distance_m(lat, lon)
            if off <= within_m and (cell.lasting or self.holds_at(fence, ts_ms)):
                near.append((fence, off))
        return sorted(near, key=lambda pair: (pair[1], pair[0].fence_id))

    def about(self, places: Sequence[tuple[float, float]], within_m: float, ts_ms: int) -> Cell | None:
        """A cell with all fences near any of some places, not far apart; None when there are none."""
        apart_m = max(distance_m(*places[0], *p) for p in places[1:]) if len(places) > 1 else 0.0
        whole, cell = self.cells.about(*places[0], wide_m(within_m) + apart_m)
        if not whole:
            there = self._holding_in(box_around(*places[0], wide_m(within_m) + SLACK * apart_m), ts_ms)
            cell = cell_of(there, lasting=True) if there else None
        return cell

    def off_m(self, fence: Fence, disc_m: float, places: Sequence[tuple[float, float]]) -> float:
        """Signed distance of the nearest of some places, which are so far off the disc about the fence."""
        return disc_m if fence.shape is None else min(fence.distance_m(*place) for place in places)

    def count_in(self, box: Box, ts_ms: int) -> int:
        """How many fences hold at that time whose own box meets this one."""
        numbers = self._numbers_in(box)
        doubtful = [self._fences.get(n) for n in numbers & self._doubtful]
        return len(numbers) - sum(f is None or not self.holds_at(f, ts_ms) for f in doubtful)

    def ids_in(self, box: Box) -> set[str]:
        """The fences whose own box meets this one, or that of a version did."""
        return {f.fence_id for f in self._versions_in_box(box).values()}

    def _holding_in(self, box: Box, ts_ms: int) -> dict[int, Fence]:
        """The same by number."""
        return {n: f for n, f in self._versions_in_box(box).items() if self.holds_at(f, ts_ms)}

    def _versions_in_box(self, box: Box) -> dict[int, Fence]:
        """By number."""
        return {n: self._fences[n] for n in self._numbers_in(box) if n in self._fences}

    def _numbers_in(self, box: Box) -> set[int]:
        """Those that have gone too."""
        return {n for part in _split(box) for n in self._tree.intersection(part)}

    def holds_at(self, fence: Fence, ts_ms: int) -> bool:
        """Whether this is the version of its fence that holds at that time."""
        numbers = self._numbers.get(fence.fence_id, ())
        if len(numbers) == 1:
            return self._fences[numbers[0]] is fence and fence.valid_at(ts_ms)
        return self.get(fence.fence_id, ts_ms) is fence

    def _lasts(self, fence: Fence) -> bool:
        """Whether the fence holds at any time, being the only version without end."""
        sole = len(self._numbers[fence.fence_id]) == 1
        return sole and fence.valid_from_ms is None and fence.valid_to_ms is None

    def _register(self, fence: Fence) -> int:
        for number in self._numbers.get(fence.fence_id, ()):
            if fence.valid_from_ms in (None, self._fences[number].valid_from_ms):
                self._drop(number)
            else:
                self.cells.forget(self._fences[number].box())
        number = self._count
        self._count += 1
        self._fences[number] = fence
        self._numbers[fence.fence_id] = (*self._numbers.get(fence.fence_id, ()), number)
        if not self._lasts(fence):
            self._doubtful.update(self._numbers[fence.fence_id])
        fence_ids = self._of_customer.get(fence.customer_id, ())
        if fence.fence_id not in fence_ids:
            self._of_customer[fence.customer_id] = (*fence_ids, fence.fence_id)
        return number

    def _note(self, fence: Fence) -> None:
        self.version += 1
        self._changed.append(fence)
        self.cells.forget(fence.box())

    def _drop(self, number: int) -> None:
        fence = self._fences.pop(number)
        self._note(fence)
        self._doubtful.add(number)
        self._gone += 1
        _take(self._numbers, fence.fence_id, number)
        if all(f.customer_id != fence.customer_id for f in self.versions(fence.fence_id)):
            _take(self._of_customer, fence.customer_id, fence.fence_id)

    def _tidy(self) -> None:
        if self._gone > 100 and self._gone > len(self._fences):
            self._tree = self._build()

    def _build(self) -> Any:
        """A tree of the fences there are."""
        self._gone = 0
        self._doubtful.intersection_update(self._fences)
        numbers, corners = array("q"), array("d")
        for number, fence in self._fences.items():
            for box in _split(fence.box()):
                numbers.append(number)
                corners.extend(box)
        if not numbers:
            return index.Index()
        boxes = np.frombuffer(corners).reshape(-1, 4)
        return index.Index((np.frombuffer(numbers, np.int64), boxes[:, :2].copy(), boxes[:, 2:].copy()))


def _take(tuples: dict[str, tuple[Any, ...]], key: str, item: Any) -> None:
    """Take an item out of the tuple of a key, and the key when nothing is left."""
    left = tuple(i for i in tuples[key] if i != item)
    if left:
        tuples[key] = left
    else:
        del tuples[key]


def _from(fence: Fence) -> float:
    return float("-inf") if fence.valid_from_ms is None else fence.valid_from_ms


def _split(box: Box) -> list[Box]:
    """The box in parts that lie within [-180, 180]: two where it crosses the antimeridian."""
    west, south, east, north = box
    if east - west >= 360:
        return [(-180.0, south, 180.0, north)]
    west_in, east_in = wrap_degrees(west), wrap_degrees(east)
    if west_in <= east_in:
        return [(west_in, south, east_in, north)]
    return [(west_in, south, 180.0, north), (-180.0, south, east_in, north)]
