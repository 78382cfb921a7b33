"""The stops that a driver's routes plan, numbered in order, as the assignment of standstills needs them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from geofence.routes import Order, Route, Stop

EARLY_MS = 4 * 3_600_000  # a driver may begin so long before the plan
LATE_MS = 14 * 3_600_000  # ... and a plan without an end holds so long


@dataclass(frozen=True, slots=True, eq=False)
class PlannedStop:
    """A stop with its number in the plan and the route it belongs to."""

    number: int
    route_id: str
    stop: Stop


class Plan:
    """The stops of the routes that cover a working day; falsy when there are none."""

    def __init__(self, routes: Iterable[Route], from_ms: int, to_ms: int) -> None:
        self.stops: list[PlannedStop] = []
        self.of_customer: dict[str, list[PlannedStop]] = {}
        covering = (r for r in routes if covers(r, from_ms, to_ms))
        for route in sorted(covering, key=lambda r: (r.starts_ms, r.route_id)):
            for stop in route.stops:
                planned = PlannedStop(len(self.stops), route.route_id, stop)
                self.stops.append(planned)
                self.of_customer.setdefault(stop.customer_id, []).append(planned)

    def __bool__(self) -> bool:
        return bool(self.stops)

    def tells_the_same(self, other: "Plan") -> bool:
        """Whether it makes no difference to whom standstills served: times planned and regions do not."""
        return list(map(_essence, self.stops)) == list(map(_essence, other.stops))


def _essence(planned: PlannedStop) -> tuple[str, str, str, Order | None]:
    return planned.route_id, planned.stop.stop_id, planned.stop.customer_id, planned.stop.order


class Spanning(Protocol):
    """What says when a route begins and ends (None: open)."""

    @property
    def starts_ms(self) -> int: ...  # noqa: D102

    @property
    def ends_ms(self) -> int | None: ...  # noqa: D102


def covers(route: Spanning, from_ms: int, to_ms: int) -> bool:
    """Whether the route's day meets that span."""
    end = route.ends_ms if route.ends_ms is not None else route.starts_ms + LATE_MS
    return route.starts_ms - EARLY_MS <= to_ms and end + EARLY_MS >= from_ms
