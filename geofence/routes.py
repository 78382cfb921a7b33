"""A driver's plan for a day: the stops, in their planned order."""

from dataclasses import dataclass, field

from geofence.errors import InvalidRoute
from geofence.ids import flaw_of


@dataclass(frozen=True, slots=True)
class Order:
    """What a stop needs; None where the plan does not say."""

    weight_kg: float | None = None
    items: int | None = None
    boxes: int | None = None


@dataclass(frozen=True, slots=True)
class Stop:
    """One planned stop; `sequence` orders the stops of a route."""

    stop_id: str
    customer_id: str
    sequence: int
    planned_arrival_ms: int | None = None
    order: Order | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """The plan of one driver from `starts_ms` to `ends_ms` (None: open); stops are kept in sequence."""

    route_id: str
    driver_id: str
    starts_ms: int
    stops: tuple[Stop, ...] = field(default=())
    ends_ms: int | None = None
    region: str | None = None

    def __post_init__(self) -> None:
        for name in ("route_id", "driver_id"):
            if flaw := flaw_of(getattr(self, name)):
                raise InvalidRoute(flaw, name)
        if self.ends_ms is not None and self.ends_ms < self.starts_ms:
            raise InvalidRoute("is before starts_at", "ends_at")
        seen: set[str] = set()
        for stop in self.stops:
            if stop.stop_id in seen:
                raise InvalidRoute(f"{stop.stop_id!r} appears twice", "stops.stop_id")
            seen.add(stop.stop_id)
        object.__setattr__(self, "stops", tuple(sorted(self.stops, key=lambda s: (s.sequence, s.stop_id))))
