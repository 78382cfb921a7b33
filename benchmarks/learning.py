"""How long training takes, and how many stops are scored a second, on made-up visits."""

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from geofence.routes import Order
from models.rows import from_ms
from models.schema import STOP_FIELDS
from models.scoring import Scorer
from models.training import TrainingConfig, train
from simulation.law import Air, Law, Place

VISITS, CUSTOMERS, DAYS, STOPS = 50_000, 6_000, 60, 50_000
START_MS, DAY_MS = 1_788_220_800_000, 86_400_000


def main() -> None:
    """Print the table; arguments: number of trials (50)."""
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    visits = made_up()
    trained, seconds, cpu_s = timed(lambda: train(visits, TrainingConfig(trials=trials)))
    print(
        f"training, {trials} trials on {VISITS:,} visits      {seconds:8.1f} s ({cpu_s:.1f} s of processors)"
    )
    for name, value in trained.proof.mae_s.items():
        print(f"  MAE {name:<36} {value:8.1f} s")
    scorer = Scorer(visits, trained.model, "1")
    frame = visits.sample(STOPS, replace=True, random_state=1)
    names = ["stop_id", "route_id", "driver_id", "customer_id", *(f.name for f in STOP_FIELDS)]
    rows: list[dict[Any, Any]] = frame[names].to_dict("records")
    scorer.predictions(rows[:1_000], START_MS)  # compiled once
    for what, run in (
        ("estimates, columns in and out", lambda: scorer.score(frame, explain=False)),
        ("records, without reasons", lambda: scorer.predictions(rows, START_MS, explain=False)),
        ("records with top factors", lambda: scorer.predictions(rows, START_MS)),
    ):
        seconds, cpu_s = map(min, zip(*(timed(run)[1:] for _ in range(3)), strict=True))
        print(f"{what:<42} {STOPS / seconds:8,.0f} stops a second ({STOPS / cpu_s:,.0f} a processor's)")


def timed(work: Callable[[], Any]) -> tuple[Any, float, float]:
    """What the work gives, its seconds, and those of processors (of all threads)."""
    start, cpu_start = time.perf_counter(), time.process_time()
    found = work()
    return found, time.perf_counter() - start, time.process_time() - cpu_start


def made_up() -> pd.DataFrame:
    """Visits whose times follow the simulator's law, as the training table holds them."""
    rng = np.random.default_rng(1)
    law, air = Law(), Air()
    places = [_place(rng) for _ in range(CUSTOMERS)]
    rows = []
    for number in range(VISITS):
        customer, place_in_day = int(rng.integers(CUSTOMERS)), number % 833
        begins_ms = START_MS + number * DAYS // VISITS * DAY_MS + 7 * 3_600_000
        at_ms = begins_ms + place_in_day * 40_000
        items = 1 + int(rng.poisson(4))
        order = Order(round(float(rng.lognormal(2.5, 0.8)), 1), items, 1 + items // 3)
        place = places[customer]
        service_s = law.drawn_s(law.expected_s(order, place, at_ms, air), rng)
        rows.append(
            {
                "visit_id": f"v{number}",
                "revision": 1,
                "status": "completed",
                "stop_id": f"s{number}",
                "route_id": f"r{number // 40}",
                "driver_id": f"d{number % 40}",
                "customer_id": f"c{customer}",
                "arrived_at": from_ms(at_ms),
                "departed_at": from_ms(at_ms + int(service_s * 1000)),
                "service_time_s": service_s,
                "confidence": 0.9,
                "as_of": from_ms(begins_ms),
                "planned_arrival": from_ms(at_ms),
                "sequence": 1 + number % 40,
                "route_stops": 40,
                "order_weight_kg": order.weight_kg,
                "order_items": order.items,
                "order_boxes": order.boxes,
                "region": "region-1",
                "floor": float(place.floor),
                "elevator": place.elevator,
                "parking_difficulty": float(place.parking_difficulty),
            }
        )
    frame = pd.DataFrame(rows)
    for field in STOP_FIELDS:
        if field.name not in frame:
            frame[field.name] = np.nan
    for name in ("arrived_between", "departed_between", "shared_with", "flags"):
        frame[name] = None
    return frame


def _place(rng: np.random.Generator) -> Place:
    floor, lift, parking = int(rng.integers(0, 5)), bool(rng.random() < 0.3), int(rng.integers(1, 6))
    return Place(floor, lift, parking, float(rng.lognormal(0, 0.12)))


if __name__ == "__main__":
    main()
