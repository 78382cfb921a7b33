"""Manual records as people keep them: late, rounded, forgotten, or a batch of them entered at once."""

from dataclasses import dataclass

import numpy as np

from simulation.scoring import Served


@dataclass(frozen=True, slots=True)
class ManualRecord:
    """What a driver wrote down of one stop; times in whole milliseconds since 1970."""

    stop_id: str
    driver_id: str
    customer_id: str
    arrived_ms: int
    departed_ms: int


def write_down(
    truth: list[Served], habits: np.random.Generator, rng: np.random.Generator
) -> list[ManualRecord]:
    """A driver's notes of the day; habits come from one stream, the day's chances from the other."""
    rounding_s = int(habits.choice([1, 60, 60, 300]))
    late_s = float(habits.uniform(5, 90))
    forgets, batches = float(habits.uniform(0.02, 0.2)), bool(habits.random() < 0.25)
    found, pending = [], 0.0
    for row in truth:
        if row.stop_id is None or row.edge or rng.random() < forgets:
            continue
        begin_s = row.arrived_s + rng.exponential(late_s)
        end_s = max(begin_s + 10, row.departed_s + rng.normal(0, late_s))
        if batches and rng.random() < 0.5:
            begin_s = max(pending, row.departed_s + rng.uniform(300, 1500))
            end_s = begin_s + rng.uniform(10, 60)
            pending = end_s
        begin, end = (int(round(s / rounding_s) * rounding_s * 1000) for s in (begin_s, end_s))
        found.append(ManualRecord(row.stop_id, row.driver_id, row.customer_id, begin, max(begin, end)))
    return found
