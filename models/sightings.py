"""Where drivers stood for customers on past days: at visits, and at planned stops that were not found."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from geofence.events import ServiceTime, VisitStatus
from geofence.evidence import SERVICE_MEDIAN_S, idle_dwell, service_dwell
from geofence.fences import FenceSet
from geofence.geometry import distance_m
from geofence.halts import Halt
from geofence.plan import EARLY_MS, LATE_MS
from geofence.routes import Route

Place = tuple[float, float]
"""Latitude and longitude."""

MISSED_WEIGHT: Final = 0.6
"""What a standstill at the right place in the sequence counts for, beside a visit found with confidence 1."""

LEAST_CONFIDENCE: Final = 0.4
"""Visits less certain than this tell nothing."""

NEIGHBOURS: Final = 2
"""So many found stops before and after bound the time of one that was not found: stops are swapped."""

LEAST_OVERLAP: Final = 0.3
SURE: Final = 0.6
"""Visits less certain than this leave their standstill to others."""

AT_PLACE_M: Final = 35.0
"""A standstill further from where its customer really is may have been another's."""

DAY_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True)
class Sighting:
    """One standstill that was, or may have been, a service at a customer.

    `alone` tells that nobody else was served from it; `missed` that no visit was found for the planned stop.
    """

    customer_id: str
    driver_id: str
    at_ms: int
    park: Place
    door: Place | None
    weight: float
    alone: bool
    missed: bool

    @property
    def place(self) -> Place:
        """Where the customer was, as far as this tells: at the door that was walked to, else by the van."""
        return self.park if self.door is None or not self.alone else self.door

    @property
    def occasion(self) -> tuple[str, int]:
        """The driver's day it belongs to."""
        return self.driver_id, self.at_ms // DAY_MS


def standing(records: Iterable[ServiceTime]) -> list[ServiceTime]:
    """What holds in the end: the highest revision of each visit, without the retracted, by arrival."""
    last: dict[str, ServiceTime] = {}
    for record in records:
        known = last.get(record.visit_id)
        if known is None or record.revision >= known.revision:
            last[record.visit_id] = record
    found = [r for r in last.values() if r.status is not VisitStatus.RETRACTED]
    return sorted(found, key=lambda r: (r.arrived_ms, r.visit_id))


def of_visits(visits: Iterable[ServiceTime], halts: Mapping[str, Sequence[Halt]]) -> list[Sighting]:
    """The standstill of each visit that is certain enough: the longest part of it, by driver's `halts`."""
    found = []
    for visit in visits:
        if visit.confidence < LEAST_CONFIDENCE:
            continue
        halt = max(halts.get(visit.driver_id, ()), key=lambda h: _overlap_s(h, visit), default=None)
        if halt is None or _overlap_s(halt, visit) < LEAST_OVERLAP * visit.service_time_s:
            continue
        found.append(_sighting(visit.customer_id, halt, visit.confidence, alone=not visit.shared_with))
    return found


def of_missed_stops(
    visits: Sequence[ServiceTime],
    halts: Mapping[str, Sequence[Halt]],
    routes: Iterable[Route],
    fences: FenceSet,
    places: Mapping[str, Place],
    within_m: float,
) -> list[Sighting]:
    """Standstills that may have been planned stops for which no visit was found.

    It lies within `within_m` of the customer's fence, lasts as a service does, falls between
    the stops found before and after in the sequence, and is no other planned stop's: of those only the ones
    count that lie at their customer's place, learned (`places`) or published. Where there is none, it may
    have been served from the standstill of the stop found before or after. Several share the weight.
    """
    of_driver: dict[str, list[ServiceTime]] = defaultdict(list)
    for visit in visits:
        of_driver[visit.driver_id].append(visit)
    found = []
    for route in routes:
        driven = of_driver[route.driver_id]
        free = _unclaimed(halts.get(route.driver_id, ()), driven, route, fences, places)
        served = {v.stop_id: v for v in driven if v.route_id == route.route_id and v.stop_id is not None}
        if not served:
            continue
        for at, stop in enumerate(route.stops):
            if stop.stop_id in served:
                continue
            from_ms, to_ms = _window(route, at, served)
            near = [
                h
                for h in free
                if h.arrived_ms >= from_ms
                and h.departed_ms <= to_ms
                and _away_m(h, stop.customer_id, fences) <= within_m
            ]
            alone = bool(near)
            if not alone:
                beside = _beside(route, at, served, halts.get(route.driver_id, ()))
                near = [h for h in beside if _away_m(h, stop.customer_id, fences) <= within_m]
            weight = MISSED_WEIGHT / max(1, len(near))
            found += [_sighting(stop.customer_id, h, weight, alone, missed=True) for h in near]
    return found


def _beside(route: Route, at: int, served: Mapping[str, ServiceTime], halts: Sequence[Halt]) -> list[Halt]:
    """The standstills of the stops found just before and after: it may have been served from one of them."""
    before = [served[s.stop_id] for s in route.stops[:at] if s.stop_id in served][-1:]
    after = [served[s.stop_id] for s in route.stops[at + 1 :] if s.stop_id in served][:1]
    found: list[Halt] = []
    for visit in (*before, *after):
        halt = max(halts, key=lambda h: _overlap_s(h, visit), default=None)
        if halt is not None and _overlap_s(halt, visit) > 0 and halt not in found:
            found.append(halt)
    return found


def _sighting(customer_id: str, halt: Halt, weight: float, alone: bool, missed: bool = False) -> Sighting:
    return Sighting(customer_id, halt.driver_id, halt.arrived_ms, halt.park, halt.door, weight, alone, missed)


def _unclaimed(
    halts: Sequence[Halt],
    visits: Sequence[ServiceTime],
    route: Route,
    fences: FenceSet,
    places: Mapping[str, Place],
) -> list[Halt]:
    """The standstills of a route's day that last as a service does and were no planned stop's visit."""
    from_ms, to_ms = _span(route)
    claims = [v for v in visits if v.stop_id is not None and v.confidence >= SURE]
    of_day = [h for h in halts if from_ms <= h.arrived_ms <= to_ms and _like_a_service(h)]
    return [h for h in of_day if not any(_claims(v, h, fences, places) for v in claims)]


def _claims(visit: ServiceTime, halt: Halt, fences: FenceSet, places: Mapping[str, Place]) -> bool:
    """Whether a standstill belongs to a visit and lies where its customer is."""
    if _overlap_s(halt, visit) <= 0:
        return False
    here = halt.park if halt.door is None else halt.door
    known = places.get(visit.customer_id)
    if known is not None:
        return distance_m(*here, *known) <= AT_PLACE_M or bool(visit.shared_with)
    there = fences.of_customer(visit.customer_id, halt.arrived_ms)
    return any(f.distance_m(*place) <= 0 for f in there for place in (here, halt.park))


def _like_a_service(halt: Halt) -> bool:
    return service_dwell(halt.seconds, SERVICE_MEDIAN_S) > idle_dwell(round(halt.seconds, 1))


def _span(route: Route) -> tuple[int, int]:
    end = route.ends_ms if route.ends_ms is not None else route.starts_ms + LATE_MS
    return route.starts_ms - EARLY_MS, end + EARLY_MS


def _window(route: Route, at: int, served: Mapping[str, ServiceTime]) -> tuple[int, int]:
    """Between which times the stop number `at` must have been served if it was."""
    from_ms, to_ms = _span(route)
    before = [served[s.stop_id] for s in route.stops[:at] if s.stop_id in served][-NEIGHBOURS:]
    after = [served[s.stop_id] for s in route.stops[at + 1 :] if s.stop_id in served][:NEIGHBOURS]
    earliest = min((v.departed_ms for v in before), default=from_ms)
    latest = max((v.arrived_ms for v in after), default=to_ms)
    return earliest, latest


def _away_m(halt: Halt, customer_id: str, fences: FenceSet) -> float:
    """From the middle of the customer's nearest fence."""
    there = fences.of_customer(customer_id, halt.arrived_ms)
    return min((distance_m(*halt.park, f.lat, f.lon) for f in there), default=float("inf"))


def _overlap_s(halt: Halt, visit: ServiceTime) -> float:
    return (min(halt.departed_ms, visit.departed_ms) - max(halt.arrived_ms, visit.arrived_ms)) / 1000
