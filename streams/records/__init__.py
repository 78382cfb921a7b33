"""The wire: JSON bytes to domain objects and back, as the contract defines them."""

from geofence.times import format_time, parse_time
from streams.records.encoding import encode, to_fields, to_wire
from streams.records.inputs import (
    ManualRecord,
    decode_device_event,
    decode_fence,
    decode_manual,
    decode_route,
    decode_weather,
)
from streams.records.outputs import (
    SCHEMA_VERSION,
    DeadLetter,
    ModelRef,
    ServiceTimeRecord,
    StopPrediction,
    TopFactor,
    decode_service_time,
    engine_version,
)
from streams.records.pings import BadMessage, DecodedPings, decode_packed, decode_pings

__all__ = [
    "SCHEMA_VERSION",
    "BadMessage",
    "DeadLetter",
    "DecodedPings",
    "ManualRecord",
    "ModelRef",
    "ServiceTimeRecord",
    "StopPrediction",
    "TopFactor",
    "decode_device_event",
    "decode_fence",
    "decode_manual",
    "decode_packed",
    "decode_pings",
    "decode_route",
    "decode_service_time",
    "decode_weather",
    "encode",
    "engine_version",
    "format_time",
    "parse_time",
    "to_fields",
    "to_wire",
]
