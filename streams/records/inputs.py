"""Routes, fences, device events, manual records and weather: one JSON value to one domain object."""

from dataclasses import dataclass
from typing import Final

import msgspec

from geofence.errors import InvalidFence, InvalidRecord, InvalidRoute
from geofence.events import DeviceFenceEvent, FenceEventType
from geofence.fences import Fence
from geofence.geojson import fence_of
from geofence.ids import flaw_of
from geofence.routes import Order, Route, Stop
from geofence.times import format_time, parse_time, require_plausible
from models.weather import Weather
from streams.records.reasons import read, whole

Time = str | int | float


class OrderRecord(msgspec.Struct, omit_defaults=True):
    """What a stop needs, as far as the plan says."""

    weight_kg: float | None = None
    items: float | None = None
    boxes: float | None = None


class StopRecord(msgspec.Struct, omit_defaults=True):
    """One stop of a `routes` record."""

    stop_id: str
    customer_id: str
    sequence: int | float
    planned_arrival: Time | None = None
    order: OrderRecord | None = None


class RouteRecord(msgspec.Struct, omit_defaults=True):
    """A record of `routes`."""

    route_id: str
    driver_id: str
    starts_at: Time
    stops: list[StopRecord]
    ends_at: Time | None = None
    region: str | None = None


class DeviceEventRecord(msgspec.Struct):
    """A record of `device-fence-events`."""

    driver_id: str
    fence_id: str
    type: str
    ts: Time


class ManualWire(msgspec.Struct):
    """A record of `manual-records`."""

    stop_id: str
    driver_id: str
    customer_id: str
    arrived_at: Time
    departed_at: Time


class WeatherWire(msgspec.Struct, omit_defaults=True):
    """A record of `weather`."""

    region: str
    ts: Time
    temperature_c: float | None
    precipitation_mm: float | None
    snow_depth_cm: float | None = None
    wind_mps: float | None = None


@dataclass(frozen=True, slots=True)
class ManualRecord:
    """What a driver or dispatcher wrote down about a stop."""

    stop_id: str
    driver_id: str
    customer_id: str
    arrived_ms: int
    departed_ms: int


_route: Final = msgspec.json.Decoder(RouteRecord).decode
_device: Final = msgspec.json.Decoder(DeviceEventRecord).decode
_manual: Final = msgspec.json.Decoder(ManualWire).decode
_weather: Final = msgspec.json.Decoder(WeatherWire).decode
_object: Final = msgspec.json.Decoder(dict[str, object]).decode


def decode_fence(value: bytes) -> Fence:
    """A fence from a GeoJSON Feature; raises InvalidFence."""
    return fence_of(read(_object, value, InvalidFence))


def decode_route(value: bytes) -> Route:
    """A route with its stops in sequence; raises InvalidRoute."""
    record = read(_route, value, InvalidRoute)
    return Route(
        route_id=record.route_id,
        driver_id=record.driver_id,
        starts_ms=parse_time(record.starts_at, "starts_at"),
        stops=tuple(_stop(stop, f"stops[{i}]") for i, stop in enumerate(record.stops)),
        ends_ms=_optional_time(record.ends_at, "ends_at"),
        region=record.region,
    )


def decode_device_event(value: bytes) -> DeviceFenceEvent:
    """An entry or exit found on the phone; raises InvalidRecord."""
    record = read(_device, value, InvalidRecord)
    _require_names(driver_id=record.driver_id, fence_id=record.fence_id)
    if record.type not in (FenceEventType.ENTERED, FenceEventType.EXITED):
        raise InvalidRecord(f"{record.type!r} is neither 'entered' nor 'exited'", "type")
    ts_ms = require_plausible(parse_time(record.ts, "ts"), "ts")
    return DeviceFenceEvent(record.driver_id, record.fence_id, FenceEventType(record.type), ts_ms)


def decode_manual(value: bytes) -> ManualRecord:
    """A manual record; raises InvalidRecord."""
    record = read(_manual, value, InvalidRecord)
    _require_names(stop_id=record.stop_id, driver_id=record.driver_id, customer_id=record.customer_id)
    arrived_ms = require_plausible(parse_time(record.arrived_at, "arrived_at"), "arrived_at")
    departed_ms = require_plausible(parse_time(record.departed_at, "departed_at"), "departed_at")
    if departed_ms < arrived_ms:
        raise InvalidRecord("is before arrived_at", "departed_at")
    return ManualRecord(record.stop_id, record.driver_id, record.customer_id, arrived_ms, departed_ms)


def decode_weather(value: bytes) -> Weather:
    """The weather of a region at one time; raises InvalidRecord."""
    record = read(_weather, value, InvalidRecord)
    _require_names(region=record.region)
    for name, least in (
        ("precipitation_mm", 0),
        ("snow_depth_cm", 0),
        ("wind_mps", 0),
        ("temperature_c", -100),
    ):
        amount = getattr(record, name)
        if amount is not None and amount < least:
            raise InvalidRecord(f"{amount} is below {least}", name)
    return Weather(
        record.region,
        parse_time(record.ts, "ts"),
        record.temperature_c,
        record.precipitation_mm,
        record.snow_depth_cm,
        record.wind_mps,
    )


def route_record(route: Route) -> RouteRecord:
    """A route as the topic `routes` carries it."""
    return RouteRecord(
        route_id=route.route_id,
        driver_id=route.driver_id,
        starts_at=format_time(route.starts_ms),
        stops=[_stop_record(stop) for stop in route.stops],
        ends_at=None if route.ends_ms is None else format_time(route.ends_ms),
        region=route.region,
    )


def _stop_record(stop: Stop) -> StopRecord:
    order = stop.order
    return StopRecord(
        stop_id=stop.stop_id,
        customer_id=stop.customer_id,
        sequence=stop.sequence,
        planned_arrival=None if stop.planned_arrival_ms is None else format_time(stop.planned_arrival_ms),
        order=None if order is None else OrderRecord(order.weight_kg, order.items, order.boxes),
    )


def _stop(record: StopRecord, place: str) -> Stop:
    for name in ("stop_id", "customer_id"):
        if flaw := flaw_of(getattr(record, name)):
            raise InvalidRoute(flaw, f"{place}.{name}")
    return Stop(
        stop_id=record.stop_id,
        customer_id=record.customer_id,
        sequence=whole(record.sequence, f"{place}.sequence", InvalidRoute),
        planned_arrival_ms=_optional_time(record.planned_arrival, f"{place}.planned_arrival"),
        order=None if record.order is None else _order(record.order, f"{place}.order"),
    )


def _order(record: OrderRecord, place: str) -> Order:
    for name in ("weight_kg", "items", "boxes"):
        amount = getattr(record, name)
        if amount is not None and amount < 0:
            raise InvalidRoute(f"{amount} is negative", f"{place}.{name}")
    return Order(
        weight_kg=record.weight_kg,
        items=None if record.items is None else whole(record.items, f"{place}.items", InvalidRoute),
        boxes=None if record.boxes is None else whole(record.boxes, f"{place}.boxes", InvalidRoute),
    )


def _optional_time(value: Time | None, field: str) -> int | None:
    return None if value is None else parse_time(value, field)


def _require_names(**names: str) -> None:
    for field, name in names.items():
        if flaw := flaw_of(name):
            raise InvalidRecord(flaw, field)
