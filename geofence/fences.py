"""Customer geofences and the live R-tree that finds those near a place."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import cos, hypot, radians
from typing import Any

import shapely
from rtree import index
from shapely.geometry.base import BaseGeometry

from geofence.errors import InvalidFence
from geofence.geometry import METRES_PER_DEGREE, LocalPlane, distance_m, wrap_degrees

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
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.fence_id:
            raise InvalidFence("is empty", "fence_id")
        if not self.customer_id:
            raise InvalidFence("is empty", "customer_id")
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

    def distance_m(self, lat: float, lon: float) -> float:
        """Metres from a place to the boundary: negative inside, positive outside."""
        if self.radius_m is not None:
            return distance_m(lat, lon, self.lat, self.lon) - self.radius_m
        assert self.shape is not None
        plane = LocalPlane(lat, lon)
        local = shapely.transform(self.shape, lambda c: _to_plane(plane, c))
        origin = shapely.Point(0.0, 0.0)
        distance = float(local.boundary.distance(origin))
        return -distance if local.contains(origin) else distance

    def valid_at(self, ts_ms: int) -> bool:
        """Whether the fence stands at that time; `valid_to` itself is outside."""
        return (self.valid_from_ms is None or self.valid_from_ms <= ts_ms) and (
            self.valid_to_ms is None or ts_ms < self.valid_to_ms
        )


def box_around(lat: float, lon: float, radius_m: float) -> Box:
    """A box that holds the circle of that radius."""
    d_lat = radius_m / METRES_PER_DEGREE
    d_lon = d_lat / max(cos(radians(min(89.9, abs(lat) + d_lat))), 1e-6)
    return lon - d_lon, lat - d_lat, lon + d_lon, lat + d_lat


def _to_plane(plane: LocalPlane, lon_lat: Any) -> Any:
    flat = lon_lat.copy()
    for i, (lon, lat) in enumerate(lon_lat):
        flat[i] = plane.to_plane(lat, lon)
    return flat


class FenceSet:
    """All fences there are, each with its versions over time, in an R-tree that changes live."""

    def __init__(self, fences: Iterable[Fence] = ()) -> None:
        self._versions: dict[str, list[Fence]] = {}
        self._numbers: dict[str, list[int]] = {}
        self._by_number: dict[int, Fence] = {}
        self._of_customer: dict[str, set[str]] = {}
        self._next = 0
        self._tree = index.Index(self._bulk(fences), interleaved=True) if fences else index.Index()

    def __len__(self) -> int:
        return len(self._versions)

    def __iter__(self) -> Iterator[Fence]:
        return iter(self._by_number.values())

    def __contains__(self, fence_id: str) -> bool:
        return fence_id in self._versions

    def put(self, fence: Fence) -> None:
        """Add a fence or a version of it.

        A version without `valid_from` replaces all others; one with it stands beside the earlier ones and
        holds from then on; the same `valid_from` replaces that version.
        """
        if fence.valid_from_ms is None:
            self.remove(fence.fence_id)
        else:
            for old in self._versions.get(fence.fence_id, []):
                if old.valid_from_ms == fence.valid_from_ms:
                    self._drop(old)
                    break
        number = self._register(fence)
        for box in _split(fence.box()):
            self._tree.insert(number, box)

    def remove(self, fence_id: str) -> None:
        """Take away every version of a fence; an unknown id is ignored."""
        for fence in list(self._versions.get(fence_id, [])):
            self._drop(fence)

    def get(self, fence_id: str, ts_ms: int) -> Fence | None:
        """The version of a fence that holds at that time."""
        versions = [f for f in self._versions.get(fence_id, []) if f.valid_at(ts_ms)]
        return max(versions, key=_from) if versions else None

    def of_customer(self, customer_id: str, ts_ms: int) -> list[Fence]:
        """The fences of a customer that hold at that time, by fence id."""
        found = (self.get(i, ts_ms) for i in sorted(self._of_customer.get(customer_id, ())))
        return [f for f in found if f is not None]

    def near(self, lat: float, lon: float, within_m: float, ts_ms: int) -> list[tuple[Fence, float]]:
        """Fences whose boundary is at most `within_m` from a place (or around it), with that signed distance.

        Sorted by distance, then fence id.
        """
        found = []
        for fence in self.in_box(box_around(lat, lon, within_m), ts_ms):
            distance = fence.distance_m(lat, lon)
            if distance <= within_m:
                found.append((fence, distance))
        return sorted(found, key=lambda pair: (pair[1], pair[0].fence_id))

    def in_box(self, box: Box, ts_ms: int) -> list[Fence]:
        """Fences that hold at that time and whose own box meets this one, by fence id."""
        numbers = {n for part in _split(box) for n in self._tree.intersection(part)}
        fences = (self._by_number[n] for n in numbers)
        return sorted(
            (f for f in fences if f.valid_at(ts_ms) and self.get(f.fence_id, ts_ms) is f),
            key=lambda f: f.fence_id,
        )

    def _bulk(self, fences: Iterable[Fence]) -> Iterator[tuple[int, Box, None]]:
        latest: dict[tuple[str, int | None], Fence] = {(f.fence_id, f.valid_from_ms): f for f in fences}
        for fence in latest.values():
            number = self._register(fence)
            for box in _split(fence.box()):
                yield number, box, None

    def _register(self, fence: Fence) -> int:
        number = self._next
        self._next += 1
        self._by_number[number] = fence
        self._versions.setdefault(fence.fence_id, []).append(fence)
        self._numbers.setdefault(fence.fence_id, []).append(number)
        self._of_customer.setdefault(fence.customer_id, set()).add(fence.fence_id)
        return number

    def _drop(self, fence: Fence) -> None:
        versions, numbers = self._versions[fence.fence_id], self._numbers[fence.fence_id]
        at = versions.index(fence)
        for box in _split(fence.box()):
            self._tree.delete(numbers[at], box)
        del self._by_number[numbers[at]], versions[at], numbers[at]
        if not any(f.customer_id == fence.customer_id for f in versions):
            self._of_customer[fence.customer_id].discard(fence.fence_id)
        if not versions:
            del self._versions[fence.fence_id], self._numbers[fence.fence_id]


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


def span_m(box: Box) -> float:
    """Length of a box's diagonal."""
    west, south, east, north = box
    mid = (south + north) / 2
    return hypot((east - west) * cos(radians(mid)), north - south) * METRES_PER_DEGREE
