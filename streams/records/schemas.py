"""JSON Schema (2020-12) of every record, made from the types that read and write them."""

from typing import Any, Final

import msgspec

from streams.records import inputs, outputs, pings

RECORDS: Final[dict[str, type]] = {
    "gps-pings": pings.PingRecord,
    "routes": inputs.RouteRecord,
    "device-fence-events": inputs.DeviceEventRecord,
    "manual-records": inputs.ManualWire,
    "weather": inputs.WeatherWire,
    "service-times": outputs.ServiceTimeRecord,
    "geofence-events": outputs.FenceEventRecord,
    "stop-predictions": outputs.StopPrediction,
    "dead-letters": outputs.DeadLetter,
}
"""Topic → the type of its records; geofences are GeoJSON Features (RFC 7946), which has its own schema."""


def schema_of(topic: str) -> dict[str, Any]:
    """The schema of a topic's records."""
    (reference,), components = msgspec.json.schema_components([RECORDS[topic]])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": topic,
        **reference,
        "$defs": components,
    }
