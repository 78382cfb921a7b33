"""Writes a simulation as files: fences, routes, pings, weather, manual records and truth."""

import gzip
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import msgspec
import numpy as np
import numpy.typing as npt

from geofence.events import PingBatch
from geofence.fences import Fence
from geofence.geojson import feature_of
from geofence.routes import Route
from geofence.times import format_time
from simulation.manual import ManualRecord
from simulation.recording import Simulation
from simulation.scoring import Served
from simulation.weather import HOUR_MS, Weather

FILES = ("fences.geojson", "routes.jsonl", "pings.jsonl.gz", "weather.jsonl", "manual.jsonl", "truth.jsonl")
"""What `write` leaves in its directory."""

_PACKING = 4
_to_json = msgspec.json.Encoder().encode


def write(simulation: Simulation, directory: Path, done: Callable[[], None] = lambda: None) -> int:
    """Play all days into files of that directory (made if missing), a day in memory at a time.

    Equal settings give equal bytes. `done` is called after each driver's day. Returns the number of pings.
    """
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "fences.geojson").write_bytes(fences_geojson(simulation.town.fences))
    (directory / "weather.jsonl").write_bytes(_lines(weather_records(simulation.weather)))
    with ExitStack() as stack:
        routes, manual, truth = (
            stack.enter_context((directory / f"{name}.jsonl").open("wb"))
            for name in ("routes", "manual", "truth")
        )
        pings = stack.enter_context(_packed(stack.enter_context((directory / "pings.jsonl.gz").open("wb"))))
        count = 0
        for day in simulation.days(done):
            routes.write(_lines(route_record(r) for r in day.routes))
            manual.write(_lines(manual_record(m) for m in day.manual))
            truth.write(_lines(truth_record(t) for t in day.truth))
            pings.write(ping_lines(day.pings))
            count += len(day.pings)
    return count


def ping_lines(pings: PingBatch) -> bytes:
    """One JSON object a line; what is NaN is left out."""
    times = np.datetime_as_string(pings.ts_ms.astype("datetime64[ms]")).tolist()
    accuracy = _optional("accuracy_m", pings.accuracy_m)
    speed = _optional("speed_mps", pings.speed_mps)
    columns = zip(
        pings.driver_ids, times, pings.lat.tolist(), pings.lon.tolist(), accuracy, speed, strict=True
    )
    return "".join(
        f'{{"driver_id": "{d}", "ts": "{t}Z", "lat": {lat}, "lon": {lon}{a}{s}}}\n'
        for d, t, lat, lon, a, s in columns
    ).encode()


def fences_geojson(fences: Iterable[Fence]) -> bytes:
    """A FeatureCollection, one Feature a line."""
    features = b",\n".join(_to_json(feature_of(f)) for f in fences)
    return b'{"type": "FeatureCollection", "features": [\n' + features + b"\n]}\n"


def route_record(route: Route) -> dict[str, Any]:
    """The route as published."""
    stops = [
        {
            "stop_id": s.stop_id,
            "customer_id": s.customer_id,
            "sequence": s.sequence,
            "planned_arrival": None if s.planned_arrival_ms is None else format_time(s.planned_arrival_ms),
            "order": None
            if s.order is None
            else {"weight_kg": s.order.weight_kg, "items": s.order.items, "boxes": s.order.boxes},
        }
        for s in route.stops
    ]
    return {
        "route_id": route.route_id,
        "driver_id": route.driver_id,
        "starts_at": format_time(route.starts_ms),
        "ends_at": None if route.ends_ms is None else format_time(route.ends_ms),
        "region": route.region,
        "stops": stops,
    }


def truth_record(row: Served) -> dict[str, Any]:
    """One row of truth; times in epoch seconds."""
    return {
        "driver_id": row.driver_id,
        "stop_id": row.stop_id,
        "customer_id": row.customer_id,
        "arrived_at": row.arrived_s,
        "departed_at": row.departed_s,
        "edge": row.edge,
        "group": row.group,
        "law_s": row.law_s,
    }


def manual_record(record: ManualRecord) -> dict[str, Any]:
    """One manual record as published."""
    return {
        "stop_id": record.stop_id,
        "driver_id": record.driver_id,
        "customer_id": record.customer_id,
        "arrived_at": format_time(record.arrived_ms),
        "departed_at": format_time(record.departed_ms),
    }


def weather_records(weather: Weather) -> Iterator[dict[str, Any]]:
    """The weather of every region and hour, by region."""
    for region, hours in weather.hours.items():
        for number, air in enumerate(hours):
            yield {
                "region": region,
                "ts": format_time(weather.start_ms + number * HOUR_MS),
                "temperature_c": air.temperature_c,
                "precipitation_mm": air.precipitation_mm,
                "snow_depth_cm": air.snow_depth_cm,
                "wind_mps": air.wind_mps,
            }


def _optional(name: str, column: npt.NDArray[np.float64]) -> list[str]:
    if np.isnan(column).all():
        return [""] * len(column)
    return ["" if v != v else f', "{name}": {v}' for v in column.tolist()]  # NaN alone differs from itself


def _lines(records: Iterable[dict[str, Any]]) -> bytes:
    return b"".join(_to_json(r) + b"\n" for r in records)


def _packed(file: IO[bytes]) -> gzip.GzipFile:
    """Compressed without the time of writing, so that equal content gives equal bytes."""
    return gzip.GzipFile(filename="", fileobj=file, mode="wb", compresslevel=_PACKING, mtime=0)
