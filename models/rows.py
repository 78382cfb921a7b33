"""Rows of the training table, and the stops still to come, built by the same pure functions."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from geofence.fences import SLACK, Fence, FenceSet, box_around, widened
from geofence.routes import Order, Route, Stop
from models.weather import Weather, WeatherBook

Row = dict[str, Any]

DAY_MS: Final = 86_400_000
DENSITY_WITHIN_M: Final = 500.0
DENSITY_PERIOD_MS: Final = 28 * DAY_MS
DENSITIES_KEPT: Final = 200_000
FEW_CHANGES: Final = 100  # of fences, after which densities are forgotten one by one
PARKING_WORDS: Final = {
    **dict.fromkeys(("none", "easy", "low"), 1.0),
    **dict.fromkeys(("medium", "moderate"), 3.0),
    **dict.fromkeys(("hard", "high", "difficult"), 5.0),
}
YES: Final = frozenset({"yes", "true", "1", "1.0", "y"})
NO: Final = frozenset({"no", "false", "0", "0.0", "n"})
TIMES: Final = ("arrived_at", "departed_at", "entered_at", "exited_at")
PAIRS: Final = ("arrived_between", "departed_between")


def from_ms(ts_ms: int) -> datetime:
    """The moment of so many milliseconds since 1970, UTC."""
    return datetime.fromtimestamp(ts_ms / 1000, UTC)


def moment(value: str | datetime | None) -> datetime | None:
    """An RFC 3339 text as a moment; a moment as it is."""
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def training_row(record: Mapping[str, Any], facts: Row) -> Row:
    """The row of one `service-times` record (as on the wire) and the facts of its stop (`stop_facts`)."""
    row = {**record, **facts}
    for name in TIMES:
        row[name] = moment(record.get(name))
    for name in PAIRS:
        pair = record.get(name)
        row[name] = None if pair is None else [moment(value) for value in pair]
    for name in ("schema_version", "engine_version"):
        value = record.get(name)
        row[name] = None if value is None else str(value)
    return row


def stop_facts(
    as_of_ms: int,
    route: Route | None = None,
    stop: Stop | None = None,
    fence: Fence | None = None,
    density: int | None = None,
    weather: Weather | None = None,
) -> Row:
    """What is known of a stop at `as_of_ms`: everything the model may see beside the customer's history."""
    order = (stop.order if stop else None) or Order()
    facts: Mapping[str, Any] = fence.facts if fence else {}
    planned_ms = stop.planned_arrival_ms if stop else None
    return {
        "as_of": from_ms(as_of_ms),
        "planned_arrival": None if planned_ms is None else from_ms(planned_ms),
        "sequence": stop.sequence if stop else None,
        "route_stops": len(route.stops) if route else None,
        "order_weight_kg": order.weight_kg,
        "order_items": order.items,
        "order_boxes": order.boxes,
        "region": region_of(route, fence),
        "area_type": _text(facts.get("area_type")),
        "floor": _number(facts.get("floor")),
        "elevator": _flag(facts.get("elevator")),
        "parking_difficulty": _parking(facts.get("parking_difficulty")),
        "fence_lat": fence.lat if fence else None,
        "fence_lon": fence.lon if fence else None,
        "fence_density": density,
        "temperature_c": weather.temperature_c if weather else None,
        "precipitation_mm": weather.precipitation_mm if weather else None,
        "snow_depth_cm": weather.snow_depth_cm if weather else None,
        "wind_mps": weather.wind_mps if weather else None,
    }


def region_of(route: Route | None, fence: Fence | None) -> str | None:
    """The customer's region, else the route's."""
    own = _text(fence.facts.get("region")) if fence else None
    return own if own is not None else (route.region if route else None)


class Facts:
    """Stop facts from the fences and the weather there are, which may change in the meantime."""

    def __init__(self, fences: FenceSet, weather: WeatherBook | None = None) -> None:
        self._fences = fences
        self._weather = weather if weather is not None else WeatherBook()
        self._densities: dict[str, tuple[int, int]] = {}  # by fence: start of the period, how many
        self._version = fences.version

    def of_visit(self, record: Mapping[str, Any], route: Route | None) -> Row:
        """The facts of a detected visit, as of the start of its route (without one: of its day, UTC)."""
        arrived = moment(record["arrived_at"])
        assert arrived is not None
        arrived_ms = round(arrived.timestamp() * 1000)
        as_of_ms = route.starts_ms if route else arrived_ms - arrived_ms % DAY_MS
        stop = _stop(route, record.get("stop_id"))
        fence = self._fence_of(record["customer_id"], as_of_ms) or self._fence_of(
            record["customer_id"], arrived_ms
        )
        return self._facts(as_of_ms, route if stop else None, stop, fence)

    def of_route(self, route: Route) -> Iterator[Row]:
        """The stops of a route to come: their facts with stop, route, driver and customer."""
        for stop in route.stops:
            fence = self._fence_of(stop.customer_id, route.starts_ms)
            yield {
                "stop_id": stop.stop_id,
                "route_id": route.route_id,
                "driver_id": route.driver_id,
                "customer_id": stop.customer_id,
                **self._facts(route.starts_ms, route, stop, fence),
            }

    def of_routes(self, routes: Iterable[Route]) -> list[Row]:
        """The stops of many routes, in their order."""
        return [row for route in routes for row in self.of_route(route)]

    def _fence_of(self, customer_id: str, ts_ms: int) -> Fence | None:
        """The customer's first fence: a plan names the customer, not the fence."""
        fences = self._fences.of_customer(customer_id, ts_ms)
        return fences[0] if fences else None

    def _facts(self, as_of_ms: int, route: Route | None, stop: Stop | None, fence: Fence | None) -> Row:
        planned_ms = stop.planned_arrival_ms if stop else None
        weather = self._weather.at(region_of(route, fence), as_of_ms if planned_ms is None else planned_ms)
        density = None if fence is None else self._density(fence, as_of_ms)
        return stop_facts(as_of_ms, route, stop, fence, density, weather)

    def _density(self, fence: Fence, as_of_ms: int) -> int:
        """How many fences lie within 500 m, this one included, at the start of the four-week period."""
        if self._version != self._fences.version:
            self._forget_changed()
        start_ms = as_of_ms - as_of_ms % DENSITY_PERIOD_MS
        counted_ms, density = self._densities.get(fence.fence_id, (None, 0))
        if counted_ms != start_ms:
            if len(self._densities) >= DENSITIES_KEPT:
                self._densities.clear()
            box = box_around(fence.lat, fence.lon, DENSITY_WITHIN_M)
            density = max(1, self._fences.count_in(box, start_ms))
            self._densities[fence.fence_id] = start_ms, density
        return density

    def _forget_changed(self) -> None:
        """Forget the densities about fences that came or went."""
        changed = self._fences.changed_since(self._version)
        self._version = self._fences.version
        if changed is None or len(changed) > FEW_CHANGES:
            self._densities.clear()
            return
        for fence in changed:
            for fence_id in self._fences.ids_in(widened(fence.box(), SLACK * DENSITY_WITHIN_M)):
                self._densities.pop(fence_id, None)


def _stop(route: Route | None, stop_id: str | None) -> Stop | None:
    return next((s for s in route.stops if s.stop_id == stop_id), None) if route else None


def _text(value: Any) -> str | None:
    return None if value is None or value == "" else str(value)


def _number(value: Any) -> float | None:
    try:
        return None if value is None else float(value)
    except (TypeError, ValueError, OverflowError):  # JSON has whole numbers that no float holds
        return None


def _flag(value: Any) -> bool | None:
    word = str(value).strip().lower()
    return True if word in YES else False if word in NO else None


def _parking(value: Any) -> float | None:
    number = _number(value)
    if number is not None:
        return number
    return PARKING_WORDS.get(str(value).strip().lower())
