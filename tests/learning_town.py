"""Training rows of a made-up town with a known law, for tests of the learning side (no pings involved)."""

import atexit
from dataclasses import dataclass
from functools import cache
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from geofence.routes import Order
from models.rows import from_ms
from models.schema import STOP_FIELDS
from models.training import Trained, TrainingConfig, train
from simulation.law import Air, Law, Place

START_MS = 1_788_220_800_000  # 2026-09-01T00:00Z
DAY_MS = 86_400_000
HOUR_MS = 3_600_000
Row = dict[str, Any]
House = tuple[Place, float, float]


@dataclass(frozen=True)
class Town:
    """Visits as rows of the training table, and by stop what the law expects of each, in seconds."""

    rows: list[Row]
    law_s: dict[str, float]

    def frame(self) -> pd.DataFrame:
        """The rows as `dataset.read` gives them."""
        return framed(self.rows)


def framed(rows: list[Row]) -> pd.DataFrame:
    """Rows as `dataset.read` gives them."""
    frame = pd.DataFrame(rows)
    for name in ("arrived_at", "departed_at", "as_of", "planned_arrival"):
        frame[name] = pd.to_datetime(frame[name], utc=True).astype("datetime64[us, UTC]")
    return frame.sort_values(["arrived_at", "visit_id"], ignore_index=True)


@dataclass(frozen=True)
class Plan:
    """What a town is made of; its customers are each visited about every sixth day."""

    drivers: int = 3
    days: int = 24
    stops_a_day: int = 16
    seed: int = 1
    regions: int = 1
    detection_sd_s: float = 10.0


def town(plan: Plan | None = None) -> Town:
    """The town of that plan."""
    plan = plan or Plan()
    rng = np.random.default_rng(plan.seed)
    laws = [Law(pace=0.9 * 1.5**region) for region in range(plan.regions)]
    houses = [[_house(rng) for _ in range(plan.stops_a_day * 6)] for _ in range(plan.drivers)]
    made = Town([], {})
    for day in range(plan.days):
        airs = [_air(rng) for _ in range(plan.regions)]
        for driver in range(plan.drivers):
            region = driver % plan.regions
            _drive(rng, made, plan, laws[region], airs[region], houses[driver], (driver, day, region))
    return made


def _drive(
    rng: np.random.Generator,
    made: Town,
    plan: Plan,
    law: Law,
    air: Air,
    houses: list[House],
    which: tuple[int, int, int],
) -> None:
    driver, day, region = which
    begins_ms = at_ms = START_MS + day * DAY_MS + 7 * HOUR_MS
    for sequence, number in enumerate(rng.choice(len(houses), plan.stops_a_day, replace=False), 1):
        order = _order(rng)
        at_ms += int(rng.uniform(120, 400) * 1000)
        stop_id = f"s-{driver}-{day}-{sequence}"
        law_s = law.expected_s(order, houses[number][0], at_ms, air)
        made.law_s[stop_id] = law_s
        noise_s = rng.normal(0, plan.detection_sd_s)
        service_s = round(max(10.0, law.drawn_s(law_s, rng) + noise_s), 1)
        end_ms = at_ms + int(service_s * 1000)
        made.rows.append(
            {
                **_visit(at_ms, end_ms, service_s, float(rng.uniform(0.6, 1))),
                "visit_id": f"v-{driver}-{day}-{sequence}",
                "driver_id": f"driver-{driver}",
                "customer_id": f"customer-{driver}-{number}",
                "fence_id": f"fence-{driver}-{number}",
                "route_id": f"r-{driver}-{day}",
                "stop_id": stop_id,
                "as_of": from_ms(begins_ms),
                "planned_arrival": from_ms(begins_ms + sequence * 600_000),
                "sequence": sequence,
                "route_stops": plan.stops_a_day,
                "region": f"region-{region + 1}",
                **_facts(order, houses[number], air),
            }
        )
        at_ms = end_ms


def _visit(at_ms: int, end_ms: int, service_s: float, confidence: float) -> Row:
    return {
        "revision": 1,
        "status": "completed",
        "arrived_at": from_ms(at_ms),
        "departed_at": from_ms(end_ms),
        "service_time_s": service_s,
        "confidence": confidence,
        "arrived_between": [from_ms(at_ms - 5000), from_ms(at_ms + 5000)],
        "departed_between": [from_ms(end_ms - 5000), from_ms(end_ms + 5000)],
        "shared_with": [],
        "flags": [],
    }


def _facts(order: Order, house: House, air: Air) -> Row:
    place, lat, lon = house
    return {
        "order_weight_kg": order.weight_kg,
        "order_items": order.items,
        "order_boxes": order.boxes,
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


def _house(rng: np.random.Generator) -> House:
    floor, lift, parking = int(rng.integers(0, 5)), bool(rng.random() < 0.3), int(rng.integers(1, 6))
    place = Place(floor, lift, parking, float(rng.lognormal(0, 0.12)))
    return place, 47 + float(rng.uniform(0, 0.1)), 8 + float(rng.uniform(0, 0.1))


def _order(rng: np.random.Generator) -> Order:
    items = 1 + int(rng.poisson(4))
    return Order(round(float(rng.lognormal(2.5, 0.8)), 1), items, 1 + items // 3)


def _air(rng: np.random.Generator) -> Air:
    rain_mm = float(rng.exponential(1)) if rng.random() < 0.3 else 0.0
    return Air(float(rng.normal(10, 5)), rain_mm, 0.0, float(rng.uniform(0, 8)))


QUICK = TrainingConfig(trials=2, threads=1, newest_days=6, folds=2)


@cache
def registry_folder() -> str:
    """A registry that test files share, since making its database takes seconds; removed at the end."""
    folder = TemporaryDirectory(prefix="servicetime-models-")
    atexit.register(folder.cleanup)
    return folder.name


@cache
def small_town() -> Town:
    """A town that several test files share; nobody changes it."""
    return town()


def bare(rows: list[Row]) -> list[Row]:
    """The same visits where nothing is known of routes, orders, places and weather."""
    planned = [f.name for f in STOP_FIELDS if f.name != "as_of"]
    unknown = dict.fromkeys([*planned, "route_id", "stop_id", "arrived_between", "departed_between"])
    return [{**r, **unknown, "as_of": r["arrived_at"].replace(hour=0, minute=0, second=0)} for r in rows]


@cache
def small_model() -> Trained:
    """What training on the small town gives."""
    return train(small_town().frame(), QUICK)
