"""Training rows of a made-up town with a known law, for tests of the learning side (no pings involved)."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from geofence.routes import Order
from models.rows import from_ms
from simulation.law import Air, Law, Place

START_MS = 1_788_220_800_000  # 2026-09-01T00:00Z
DAY_MS = 86_400_000
HOUR_MS = 3_600_000


@dataclass(frozen=True)
class Town:
    """Visits as rows of the training table, and by stop what the law expects of each, in seconds."""

    rows: list[dict[str, Any]]
    law_s: dict[str, float]

    def frame(self) -> pd.DataFrame:
        """The rows as `dataset.read` gives them."""
        frame = pd.DataFrame(self.rows)
        for name in ("arrived_at", "departed_at", "entered_at", "exited_at", "as_of", "planned_arrival"):
            frame[name] = pd.to_datetime(frame[name], utc=True).astype("datetime64[us, UTC]")
        return frame.sort_values(["arrived_at", "visit_id"], ignore_index=True)


def town(
    drivers: int = 6,
    days: int = 30,
    stops_a_day: int = 20,
    seed: int = 1,
    regions: int = 1,
    start_ms: int = START_MS,
    detection_sd_s: float = 10.0,
) -> Town:
    """A town whose customers are each visited about every sixth day."""
    rng = np.random.default_rng(seed)
    laws = [Law(pace=0.9 if r == 0 else 0.9 * float(rng.lognormal(0, 0.15))) for r in range(regions)]
    rows: list[dict[str, Any]] = []
    law_s: dict[str, float] = {}
    customers = [[_customer(rng) for _ in range(stops_a_day * 6)] for _ in range(drivers)]
    airs = [_air(rng) for _ in range(days * regions)]
    for day in range(days):
        for driver in range(drivers):
            region = driver % regions
            air = airs[day * regions + region]
            _drive(rng, rows, law_s, laws[region], air, customers[driver], driver, region, day, stops_a_day, start_ms, detection_sd_s)
    return Town(rows, law_s)


def _drive(rng, rows, law_s, law, air, customers, driver, region, day, stops, start_ms, sd):  # type: ignore[no-untyped-def] # noqa: PLR0913
    begins_ms = start_ms + day * DAY_MS + 7 * HOUR_MS
    at_ms = begins_ms
    for sequence, number in enumerate(rng.choice(len(customers), stops, replace=False), 1):
        place, lat, lon = customers[number]
        order = _order(rng)
        at_ms += int(rng.uniform(120, 400) * 1000)
        stop_id = f"s-{driver}-{day}-{sequence}"
        law_s[stop_id] = law.expected_s(order, place, at_ms, air)
        service_s = round(max(10.0, law.drawn_s(law_s[stop_id], rng) + rng.normal(0, sd)), 1)
        rows.append(
            {
                "visit_id": f"v-{driver}-{day}-{sequence}",
                "revision": 1,
                "status": "completed",
                "driver_id": f"driver-{driver}",
                "customer_id": f"customer-{driver}-{number}",
                "fence_id": f"fence-{driver}-{number}",
                "route_id": f"r-{driver}-{day}",
                "stop_id": stop_id,
                "arrived_at": from_ms(at_ms),
                "departed_at": from_ms(at_ms + int(service_s * 1000)),
                "service_time_s": service_s,
                "entered_at": None,
                "exited_at": None,
                "confidence": round(float(rng.uniform(0.6, 1)), 3),
                "arrived_between": [from_ms(at_ms - 5000), from_ms(at_ms + 5000)],
                "departed_between": [
                    from_ms(at_ms + int(service_s * 1000) - 5000),
                    from_ms(at_ms + int(service_s * 1000) + 5000),
                ],
                "shared_with": [],
                "flags": [],
                "as_of": from_ms(begins_ms),
                "planned_arrival": from_ms(begins_ms + sequence * 10 * 60_000),
                "sequence": sequence,
                "route_stops": stops,
                "order_weight_kg": order.weight_kg,
                "order_items": order.items,
                "order_boxes": order.boxes,
                "region": f"region-{region + 1}",
                "area_type": "urban" if place.floor > 1 else "suburban",
                "floor": float(place.floor),
                "elevator": place.elevator,
                "parking_difficulty": float(place.parking_difficulty),
                "fence_lat": lat,
                "fence_lon": lon,
                "fence_density": 3 + place.floor,
                "temperature_c": air.temperature_c,
                "precipitation_mm": air.precipitation_mm,
                "snow_depth_cm": air.snow_depth_cm,
                "wind_mps": air.wind_mps,
            }
        )
        at_ms += int(service_s * 1000)


def _customer(rng: np.random.Generator) -> tuple[Place, float, float]:
    place = Place(int(rng.integers(0, 5)), bool(rng.random() < 0.3), int(rng.integers(1, 6)), float(rng.lognormal(0, 0.12)))
    return place, 47 + float(rng.uniform(0, 0.1)), 8 + float(rng.uniform(0, 0.1))


def _order(rng: np.random.Generator) -> Order:
    items = 1 + int(rng.poisson(4))
    return Order(round(float(rng.lognormal(2.5, 0.8)), 1), items, 1 + items // 3)


def _air(rng: np.random.Generator) -> Air:
    return Air(float(rng.normal(10, 5)), float(rng.exponential(1)) * (rng.random() < 0.3), 0.0, float(rng.uniform(0, 8)))
