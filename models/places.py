"""Learned places: where drivers really park and where the door is, as corrected fences with evidence."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import ceil, exp, sqrt
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from geofence.errors import InvalidFence, InvalidSetting
from geofence.events import ServiceTime
from geofence.fences import Fence, FenceSet
from geofence.geometry import LocalPlane, distance_m
from geofence.halts import Halt
from geofence.routes import Route
from models.geocodes import wrong_geocodes
from models.sightings import Place, Sighting, of_missed_stops, of_visits, standing

Points = npt.NDArray[np.float64]

TOGETHER_M: Final = 30.0
"""Standstills so near each other are one parking place."""

ERROR_M: Final = 20.0
"""A place known no better than this is believed much less."""

DOOR_SHARE: Final = 0.25
"""So many of the visits must show the walk to the door before the fence is put there, not at the parking."""

PARKED_OFF_M: Final = 20.0
"""Vans stand so far from the door anyway: a fence must be further off by this to be put at the parking."""

SMALLEST_M, LARGEST_M, MARGIN_M = 30.0, 80.0, 12.0
"""Bounds of a suggested radius, and what it exceeds the way to most parking places by."""

SAME_DOOR_M, APART_M = 15.0, 25.0
"""Learned places nearer than this are one door, and fences further apart than this are two addresses."""

MANY: Final = 3
"""So many visits make a place that standstills of others are told by."""

SURE: Final = 0.6

EVIDENCE: Final = "suggested_from"
"""The property of a suggested fence that holds its evidence."""


@dataclass(frozen=True, slots=True)
class Learning:
    """When a corrected fence is suggested."""

    min_visits: int = 3
    """On so many driver's days at least a vehicle must have stood there."""

    min_move_m: float = 25.0
    """Smaller corrections are not worth a new version."""

    search_m: float = 150.0
    """Standstills of planned stops that were not found are looked for within this of the fence's middle."""

    def __post_init__(self) -> None:
        if self.min_visits < 1:
            raise InvalidSetting("min_visits: must be at least 1")
        if not 0 < self.search_m <= 1000 or not 0 <= self.min_move_m <= 1000:
            raise InvalidSetting("search_m, min_move_m: must be between 0 and 1,000 metres")


@dataclass(frozen=True, slots=True)
class Learned:
    """What past days tell of one customer's place.

    `visits` counts driver's days that agree, `missed` those among them for which no visit had been found,
    `against` the ones that do not agree; half of them stood within `spread_m` of the place.
    """

    customer_id: str
    parking: Place
    door: Place | None
    radius_m: float
    visits: int
    missed: int
    against: int
    spread_m: float
    confidence: float

    @property
    def centre(self) -> Place:
        """Where the fence should be: at the door when that is known."""
        return self.parking if self.door is None else self.door


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A new version of a fence, its evidence in `facts["suggested_from"]`."""

    fence: Fence
    confidence: float
    moved_m: float


def suggest(
    records: Iterable[ServiceTime],
    halts: Mapping[str, Sequence[Halt]],
    fences: FenceSet,
    routes: Iterable[Route] = (),
    learning: Learning | None = None,
) -> list[Suggestion]:
    """Corrected fences for customers whose drivers park elsewhere than their fence says, by fence id.

    `records` are all revisions; `halts` the standstills of each driver (`geofence.halts`). A new version
    holds from the end of what it was learned from on, so earlier days keep the old one.
    """
    learning = Learning() if learning is None else learning
    visits = standing(records)
    found = of_visits(visits, halts)
    sure = {p.customer_id: p.centre for p in learn(found, MANY) if p.confidence >= SURE}
    found += of_missed_stops(visits, halts, routes, fences, sure, learning.search_m)
    if not found:
        return []
    from_ms = 1000 * ceil(max(h.departed_ms for of in halts.values() for h in of) / 1000)
    weighed = _weighed(list(learn(found, learning.min_visits)), fences, from_ms)
    places = _doubted(weighed, fences, from_ms)
    made = (_suggestion(place, fences, from_ms, learning.min_move_m) for place in places)
    return sorted((s for s in made if s is not None), key=lambda s: s.fence.fence_id)


def learn(sightings: Iterable[Sighting], min_visits: int) -> Iterator[Learned]:
    """The place of each customer that is stood for at one place on at least `min_visits` driver's days."""
    of_customer: dict[str, list[Sighting]] = defaultdict(list)
    for sighting in sightings:
        of_customer[sighting.customer_id].append(sighting)
    for customer_id in sorted(of_customer):
        learned = _learn(customer_id, of_customer[customer_id], min_visits)
        if learned is not None:
            yield learned


def _learn(customer_id: str, seen: list[Sighting], min_visits: int) -> Learned | None:
    seen.sort(key=lambda s: (s.at_ms, s.driver_id))
    plane = LocalPlane(*seen[0].park)
    parks = _in_plane([s.park for s in seen], plane)
    agreeing = _densest(_in_plane([s.place for s in seen], plane), seen)
    if len(agreeing) < min_visits:
        return None
    parking, spread_m = geometric_median(parks[agreeing])
    door = _door([seen[i] for i in agreeing], plane)
    centre = parking if door is None else door
    away = np.hypot(*(parks[agreeing] - centre).T)
    weight = sum(seen[i].weight for i in agreeing)
    rest = _others(seen, agreeing)
    elsewhere = _densest(_in_plane([s.place for s in rest], plane), rest)
    rival = sum(rest[i].weight for i in elsewhere)
    error_m = spread_m / sqrt(len(agreeing))
    return Learned(
        customer_id=customer_id,
        parking=plane.to_degrees(*parking),
        door=None if door is None else plane.to_degrees(*door),
        radius_m=float(np.clip(round(np.quantile(away, 0.9) + MARGIN_M), SMALLEST_M, LARGEST_M)),
        visits=len(agreeing),
        missed=sum(seen[i].missed for i in agreeing),
        against=len({s.occasion for s in seen}) - len(agreeing),
        spread_m=round(spread_m, 1),
        confidence=round(weight / (weight + rival + 0.5) * exp(-0.5 * (error_m / ERROR_M) ** 2), 3),
    )


def _densest(places: Points, seen: Sequence[Sighting]) -> list[int]:
    """Of each driver's day the sighting nearest to the place with most weight about it, where near enough."""
    apart = np.hypot(*(places[:, None, :] - places[None, :, :]).transpose(2, 0, 1))
    best: dict[tuple[str, int], int] = {}
    most = -1.0
    for middle in range(len(places)):
        chosen: dict[tuple[str, int], int] = {}
        for i in np.argsort(apart[middle], kind="stable").tolist():
            if apart[middle, i] <= TOGETHER_M:
                chosen.setdefault(seen[i].occasion, i)
        weight = sum(seen[i].weight for i in chosen.values())
        if weight > most + 1e-9:
            best, most = chosen, weight
    return sorted(best.values())


def _weighed(places: list[Learned], fences: FenceSet, at_ms: int) -> list[Learned]:
    """The places, each trusted as far as its geocode seems to be wrong beside the others of the town."""
    weighed = {}
    for at_door in (True, False):
        alike = [p for p in places if (p.door is not None) == at_door]
        off = [_published_m(p.customer_id, p.centre, fences, at_ms) for p in alike]
        for place, chance in zip(alike, wrong_geocodes(off), strict=True):
            weighed[place.customer_id] = replace(place, confidence=round(place.confidence * chance, 3))
    return [weighed[place.customer_id] for place in places]


def _doubted(places: list[Learned], fences: FenceSet, at_ms: int) -> Iterator[Learned]:
    """The places; those that are rather a neighbour's, by the neighbour's fence and visits, at half trust."""
    for place in places:
        own_m = _published_m(place.customer_id, place.centre, fences, at_ms)
        taken = any(
            other.customer_id != place.customer_id
            and other.visits >= place.visits
            and distance_m(*other.centre, *place.centre) <= SAME_DOOR_M
            and _published_m(other.customer_id, place.centre, fences, at_ms) < own_m - APART_M
            for other in places
        )
        yield replace(place, confidence=round(place.confidence / 2, 3)) if taken else place


def _published_m(customer_id: str, place: Place, fences: FenceSet, at_ms: int) -> float:
    """From a place to the middle of a customer's nearest fence."""
    there = fences.of_customer(customer_id, at_ms)
    return min((distance_m(*place, f.lat, f.lon) for f in there), default=float("inf"))


def _others(seen: Sequence[Sighting], agreeing: Sequence[int]) -> list[Sighting]:
    """The sightings of the driver's days that do not agree."""
    days = {seen[i].occasion for i in agreeing}
    return [s for s in seen if s.occasion not in days]


def _door(agreeing: Sequence[Sighting], plane: LocalPlane) -> Points | None:
    """Where the drivers walked to, when enough of the visits that served nobody else show it."""
    doors = [s.door for s in agreeing if s.door is not None and s.alone]
    if len(doors) < max(2, DOOR_SHARE * len(agreeing)):
        return None
    return geometric_median(_in_plane(doors, plane))[0]


def geometric_median(points: Points) -> tuple[Points, float]:
    """The point with the least sum of distances to these (n, 2), and the median distance to it.

    Up to half of the points may be anywhere without moving it far (Weiszfeld 1937; Vardi and Zhang 2000).
    """
    middle: Points = np.median(points, axis=0)
    for _ in range(60):
        away = np.maximum(np.hypot(*(points - middle).T), 1e-3)
        moved: Points = (points / away[:, None]).sum(axis=0) / (1 / away).sum()
        if np.hypot(*(moved - middle)) < 0.01:
            break
        middle = moved
    apart = np.hypot(*(points[:, None, :] - points[None, :, :]).transpose(2, 0, 1)).sum(axis=0)
    if apart.min() <= np.hypot(*(points - middle).T).sum():
        middle = points[int(apart.argmin())]
    return middle, float(np.median(np.hypot(*(points - middle).T)))


def _in_plane(places: Sequence[Place], plane: LocalPlane) -> Points:
    return np.array([plane.to_plane(*place) for place in places]).reshape(-1, 2)


def _suggestion(place: Learned, fences: FenceSet, from_ms: int, min_move_m: float) -> Suggestion | None:
    """The nearest fence of the customer moved to the place; None when it is right enough as it is."""
    known = fences.of_customer(place.customer_id, from_ms)
    if not known:
        return None
    lat, lon = place.centre
    old = min(known, key=lambda f: (distance_m(lat, lon, f.lat, f.lon), f.fence_id))
    moved_m = distance_m(lat, lon, old.lat, old.lon)
    error_m = place.spread_m / sqrt(place.visits)
    least_m = min_move_m if place.door is not None else min_move_m + PARKED_OFF_M
    if moved_m < max(least_m, 2 * error_m) or (old.shape is not None and old.distance_m(lat, lon) <= 0):
        return None
    facts = {**old.facts, EVIDENCE: _evidence(place, old, moved_m)}
    radius_m = place.radius_m if old.radius_m is None else max(place.radius_m, min(old.radius_m, LARGEST_M))
    lat, lon = round(lat, 7), round(lon, 7)
    new = replace(old, lat=lat, lon=lon, radius_m=radius_m, shape=None, valid_from_ms=from_ms, facts=facts)
    return Suggestion(new, place.confidence, moved_m)


def _evidence(place: Learned, old: Fence, moved_m: float) -> dict[str, Any]:
    told = {k: v for k, v in asdict(place).items() if k not in ("customer_id", "parking", "door", "radius_m")}
    centre = "parking" if place.door is None else "door"
    return {**told, "centre": centre, "parking": _lon_lat(place.parking), **moved_from(old, moved_m)}


def moved_from(old: Fence, moved_m: float) -> dict[str, Any]:
    """What the evidence says of the version that a suggestion corrects."""
    return {
        "moved_m": round(moved_m, 1),
        "old_centre": _lon_lat((old.lat, old.lon)),
        "old_radius_m": old.radius_m,
    }


def _lon_lat(place: Place) -> list[float]:
    return [round(place[1], 7), round(place[0], 7)]


def apply(
    fences: Iterable[Fence], suggested: Iterable[Fence], min_confidence: float, whole_past: bool = False
) -> tuple[list[Fence], int]:
    """The fences with each suggestion that is certain enough after the version it corrects, and how many.

    With `whole_past` the new one stands in for the old and holds for all times. Raises InvalidFence for a
    suggestion without evidence or of a fence that is not there.
    """
    chosen: dict[str, Fence] = {}
    known = list(fences)
    ids = {f.fence_id for f in known}
    for fence in suggested:
        if confidence_of(fence) < min_confidence:
            continue
        if fence.fence_id not in ids:
            raise InvalidFence(f"{fence.fence_id!r} is no fence of the collection", "fence_id")
        chosen[fence.fence_id] = fence
    if whole_past:
        kept = [f for f in known if f.fence_id not in chosen]
        return kept + [replace(f, valid_from_ms=None) for f in chosen.values()], len(chosen)
    kept = [f for f in known if (f.fence_id, f.valid_from_ms) not in {_version(c) for c in chosen.values()}]
    return kept + list(chosen.values()), len(chosen)


def _version(fence: Fence) -> tuple[str, int | None]:
    return fence.fence_id, fence.valid_from_ms


def confidence_of(fence: Fence) -> float:
    """How sure a suggested fence is, from 0 to 1. Raises InvalidFence when it carries no evidence."""
    evidence = fence.facts.get(EVIDENCE)
    confidence = evidence.get("confidence") if isinstance(evidence, Mapping) else None
    if not isinstance(confidence, int | float) or isinstance(confidence, bool):
        raise InvalidFence("is missing: this is no suggestion", f"{EVIDENCE}.confidence")
    return float(confidence)
