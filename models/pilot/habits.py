"""How people keep their records: rounded, late, entered afterwards or in batches, forgotten."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from statistics import median
from typing import Final

from geofence.events import ServiceTime
from models.pilot.matching import Matching, Pair, Written

GRIDS_S: Final = (1800, 900, 600, 300, 60)
"""What people round to, the coarsest first."""

ROUNDED_SHARE: Final = 0.8
FEWEST_TIMES: Final = 8
LATE_S: Final = 60.0
AFTERWARDS_MS: Final = 60_000
"""A record that begins so long after the vehicle has left was not made at the stop."""

BATCH_GAP_MS: Final = 120_000
"""Records entered afterwards whose times follow each other so closely were made in one go."""

SURE: Final = 0.5
"""A planned visit at least so certain that nobody wrote down was forgotten."""


class Flaw(StrEnum):
    """What is wrong with one manual record."""

    LATE = "late"
    AFTERWARDS = "afterwards"
    BATCH = "batch"


@dataclass(frozen=True, slots=True)
class Habit:
    """One driver's way of keeping records; lags are the medians of manual less measured times.

    `rounded_to_s` is 0 for times that are not rounded; `forgotten` counts planned visits not written down.
    """

    driver_id: str
    notes: int
    rounded_to_s: int
    arrive_lag_s: float | None
    depart_lag_s: float | None
    late: int
    afterwards: int
    in_batches: int
    forgotten: int
    forgotten_share: float


def flaws(pairs: Sequence[Pair]) -> list[frozenset[Flaw]]:
    """What is wrong with the record of each pair, in their order."""
    found: list[set[Flaw]] = [set() for _ in pairs]
    of_driver: dict[str, list[int]] = defaultdict(list)
    for number, pair in enumerate(pairs):
        if pair.note.arrived_ms >= pair.visit.departed_ms + AFTERWARDS_MS:
            found[number].add(Flaw.AFTERWARDS)
            of_driver[pair.note.driver_id].append(number)
        elif -pair.arrive_s > LATE_S:
            found[number].add(Flaw.LATE)
    for numbers in of_driver.values():
        numbers.sort(key=lambda n: (pairs[n].note.arrived_ms, pairs[n].note.stop_id))
        for before, after in pairwise(numbers):
            if _in_one_go(pairs[before], pairs[after]):
                found[before].add(Flaw.BATCH)
                found[after].add(Flaw.BATCH)
    return [frozenset(f) for f in found]


def habits(matching: Matching) -> list[Habit]:
    """The habits of each driver who wrote something down, by driver."""
    pairs: dict[str, list[tuple[Pair, frozenset[Flaw]]]] = defaultdict(list)
    for pair, wrong in zip(matching.pairs, flaws(matching.pairs), strict=True):
        pairs[pair.note.driver_id].append((pair, wrong))
    missed: dict[str, list[Written]] = defaultdict(list)
    for note in matching.missed:
        missed[note.driver_id].append(note)
    forgotten: dict[str, int] = defaultdict(int)
    for visit in forgotten_visits(matching):
        forgotten[visit.driver_id] += 1
    return [_habit(d, pairs[d], missed[d], forgotten[d]) for d in sorted({*pairs, *missed})]


def forgotten_visits(matching: Matching) -> list[ServiceTime]:
    """Visits to planned stops that are certain enough and that nobody wrote down, of drivers who do write."""
    writers = {p.visit.driver_id for p in matching.pairs}
    return [
        v for v in matching.extra if v.stop_id is not None and v.confidence >= SURE and v.driver_id in writers
    ]


def rounded_to_s(notes: Sequence[Written]) -> int:
    """The coarsest grid that most of the times lie on, in seconds; 0 when there is none or too few times."""
    times = [t for n in notes for t in (n.arrived_ms, n.departed_ms)]
    if len(times) < FEWEST_TIMES:
        return 0
    for grid_s in GRIDS_S:
        if sum(t % (1000 * grid_s) == 0 for t in times) >= ROUNDED_SHARE * len(times):
            return grid_s
    return 0


def _in_one_go(before: Pair, after: Pair) -> bool:
    gap_ms = after.note.arrived_ms - before.note.departed_ms
    driven_ms = after.visit.arrived_ms - before.visit.departed_ms
    return -BATCH_GAP_MS <= gap_ms <= BATCH_GAP_MS and driven_ms > gap_ms


def _habit(
    driver_id: str,
    pairs: Sequence[tuple[Pair, frozenset[Flaw]]],
    missed: Sequence[Written],
    forgotten: int,
) -> Habit:
    at_stop = [p for p, wrong in pairs if Flaw.AFTERWARDS not in wrong]
    count = len(pairs) + len(missed)
    return Habit(
        driver_id=driver_id,
        notes=count,
        rounded_to_s=rounded_to_s([*(p.note for p, _ in pairs), *missed]),
        arrive_lag_s=round(median(-p.arrive_s for p in at_stop), 1) if at_stop else None,
        depart_lag_s=round(median(-p.depart_s for p in at_stop), 1) if at_stop else None,
        late=sum(Flaw.LATE in wrong for _, wrong in pairs),
        afterwards=sum(Flaw.AFTERWARDS in wrong for _, wrong in pairs),
        in_batches=sum(Flaw.BATCH in wrong for _, wrong in pairs),
        forgotten=forgotten,
        forgotten_share=forgotten / max(1, forgotten + count),
    )
