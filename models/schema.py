"""The columns of the training table: what a visit was, and what was known when its stop was planned."""

from typing import Final

import pyarrow as pa

TIME: Final = pa.timestamp("us", tz="UTC")

VISIT_FIELDS: Final = [
    pa.field("visit_id", pa.string()),
    pa.field("revision", pa.int64()),
    pa.field("status", pa.string()),
    pa.field("driver_id", pa.string()),
    pa.field("customer_id", pa.string()),
    pa.field("fence_id", pa.string()),
    pa.field("route_id", pa.string()),
    pa.field("stop_id", pa.string()),
    pa.field("arrived_at", TIME),
    pa.field("departed_at", TIME),
    pa.field("service_time_s", pa.float64()),
    pa.field("entered_at", TIME),
    pa.field("exited_at", TIME),
    pa.field("parking_search_s", pa.float64()),
    pa.field("arrived_between", pa.list_(TIME)),
    pa.field("departed_between", pa.list_(TIME)),
    pa.field("confidence", pa.float64()),
    pa.field("runner_up", pa.struct([("customer_id", pa.string()), ("confidence", pa.float64())])),
    pa.field("shared_with", pa.list_(pa.string())),
    pa.field("share_method", pa.string()),
    pa.field("pings", pa.int64()),
    pa.field("max_gap_s", pa.float64()),
    pa.field("median_accuracy_m", pa.float64()),
    pa.field("flags", pa.list_(pa.string())),
    pa.field("schema_version", pa.string()),
    pa.field("engine_version", pa.string()),
    pa.field("config_hash", pa.string()),
]
"""A `service-times` record, under its own names."""

STOP_FIELDS: Final = [
    pa.field("as_of", TIME),
    pa.field("planned_arrival", TIME),
    pa.field("sequence", pa.int64()),
    pa.field("route_stops", pa.int64()),
    pa.field("order_weight_kg", pa.float64()),
    pa.field("order_items", pa.int64()),
    pa.field("order_boxes", pa.int64()),
    pa.field("region", pa.string()),
    pa.field("area_type", pa.string()),
    pa.field("floor", pa.float64()),
    pa.field("elevator", pa.bool_()),
    pa.field("parking_difficulty", pa.float64()),
    pa.field("fence_lat", pa.float64()),
    pa.field("fence_lon", pa.float64()),
    pa.field("fence_density", pa.int64()),
    pa.field("temperature_c", pa.float64()),
    pa.field("precipitation_mm", pa.float64()),
    pa.field("snow_depth_cm", pa.float64()),
    pa.field("wind_mps", pa.float64()),
]
"""What was known of the stop when the route was planned: `as_of` is the route's start.

`fence_density` counts the fences within 500 m; `parking_difficulty` runs from 1 (easy) to 5 (hard).
"""

TRAINING: Final = pa.schema(VISIT_FIELDS + STOP_FIELDS)

QUARANTINE: Final = pa.schema(
    [
        pa.field("visit_id", pa.string()),
        pa.field("revision", pa.int64()),
        pa.field("driver_id", pa.string()),
        pa.field("arrived_at", TIME),
        pa.field("reasons", pa.list_(pa.string())),
        pa.field("row_json", pa.string()),
    ]
)
"""Rows that broke an expectation: each once a revision, with every reason and the row as it came."""

WITHDRAWN: Final = ("retracted", "quarantined")
"""Statuses of rows that only mark that an earlier revision no longer holds."""
