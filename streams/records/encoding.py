"""Any record to the bytes of one JSON object."""

from collections.abc import Callable
from typing import Any, Final

import msgspec

from geofence.events import DeviceFenceEvent, FenceEvent, Ping, ServiceTime
from geofence.fences import Fence
from geofence.geojson import feature_of
from geofence.routes import Route
from geofence.times import format_time
from models.weather import Weather
from streams.records.inputs import (
    DeviceEventRecord,
    ManualRecord,
    ManualWire,
    WeatherWire,
    route_record,
)
from streams.records.outputs import fence_event_record, service_time_record

_encode: Final = msgspec.json.Encoder().encode


class PingOut(msgspec.Struct, omit_defaults=True):
    """A ping as it is written: times as text, unknown values left out."""

    driver_id: str
    ts: str
    lat: float
    lon: float
    accuracy_m: float | None = None
    speed_mps: float | None = None
    heading_deg: float | None = None


def encode(record: Any) -> bytes:
    """One JSON object with the contract's fields, of a domain object or a wire struct (DeadLetter, ...)."""
    return _encode(to_wire(record))


def to_wire(record: Any) -> Any:
    """The wire form of a domain object; what is wire form already stays as it is."""
    convert = _CONVERT.get(type(record))
    return record if convert is None else convert(record)


def to_fields(record: Any) -> dict[str, Any]:
    """The fields of a record by their wire names, times as RFC 3339 text."""
    fields: dict[str, Any] = msgspec.to_builtins(to_wire(record))
    return fields


def _ping(ping: Ping) -> PingOut:
    return PingOut(
        ping.driver_id,
        format_time(ping.ts_ms),
        ping.lat,
        ping.lon,
        ping.accuracy_m,
        ping.speed_mps,
        ping.heading_deg,
    )


def _device(event: DeviceFenceEvent) -> DeviceEventRecord:
    return DeviceEventRecord(event.driver_id, event.fence_id, event.type.value, format_time(event.ts_ms))


def _manual(record: ManualRecord) -> ManualWire:
    return ManualWire(
        record.stop_id,
        record.driver_id,
        record.customer_id,
        format_time(record.arrived_ms),
        format_time(record.departed_ms),
    )


def _weather(record: Weather) -> WeatherWire:
    return WeatherWire(
        record.region,
        format_time(record.ts_ms),
        record.temperature_c,
        record.precipitation_mm,
        record.snow_depth_cm,
        record.wind_mps,
    )


_CONVERT: Final[dict[type, Callable[[Any], Any]]] = {
    ServiceTime: service_time_record,
    FenceEvent: fence_event_record,
    Ping: _ping,
    Route: route_record,
    Fence: feature_of,
    DeviceFenceEvent: _device,
    ManualRecord: _manual,
    Weather: _weather,
}
