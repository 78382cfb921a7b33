"""Which visit a manual record tells of: by stop, else by driver, customer and time."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from geofence.events import ServiceTime

NEAR_MS: Final = 3 * 3_600_000
"""A record without a stop in common is of the same visit within so long: some are entered hours later."""


class Written(Protocol):
    """A manual record; times in milliseconds since 1970."""

    @property
    def stop_id(self) -> str: ...  # noqa: D102
    @property
    def driver_id(self) -> str: ...  # noqa: D102
    @property
    def customer_id(self) -> str: ...  # noqa: D102
    @property
    def arrived_ms(self) -> int: ...  # noqa: D102
    @property
    def departed_ms(self) -> int: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Pair:
    """A visit and what was written down of it; differences are measured less manual, in seconds."""

    visit: ServiceTime
    note: Written

    @property
    def note_s(self) -> float:
        """The service time that was written down."""
        return (self.note.departed_ms - self.note.arrived_ms) / 1000

    @property
    def service_s(self) -> float:
        """How much longer the visit is than written down."""
        return self.visit.service_time_s - self.note_s

    @property
    def arrive_s(self) -> float:
        """How much later the visit begins than written down."""
        return (self.visit.arrived_ms - self.note.arrived_ms) / 1000

    @property
    def depart_s(self) -> float:
        """How much later the visit ends than written down."""
        return (self.visit.departed_ms - self.note.departed_ms) / 1000


@dataclass(frozen=True, slots=True)
class Matching:
    """Pairs; `missed` manual records without a visit; `extra` visits that nobody wrote down."""

    pairs: list[Pair]
    missed: list[Written]
    extra: list[ServiceTime]

    @property
    def coverage(self) -> float:
        """Share of the manual records that a visit was found for; 0 when there are none."""
        return len(self.pairs) / max(1, len(self.pairs) + len(self.missed))


def match(visits: Sequence[ServiceTime], notes: Iterable[Written]) -> Matching:
    """Match standing visits with manual records, each used once; of two records of a stop the later holds."""
    pending = _latest(notes)
    by_stop: dict[str, list[ServiceTime]] = defaultdict(list)
    for visit in visits:
        if visit.stop_id is not None:
            by_stop[visit.stop_id].append(visit)
    pairs, left = [], []
    for note in pending:
        same = by_stop[note.stop_id]
        if same:
            best = min(same, key=lambda v: _apart_ms(v, note))
            same.remove(best)
            pairs.append(Pair(best, note))
        else:
            left.append(note)
    taken = {p.visit.visit_id for p in pairs}
    more, missed = _by_time([v for v in visits if v.visit_id not in taken], left)
    pairs = sorted(pairs + more, key=lambda p: (p.visit.arrived_ms, p.visit.visit_id))
    taken |= {p.visit.visit_id for p in more}
    return Matching(pairs, missed, [v for v in visits if v.visit_id not in taken])


def _latest(notes: Iterable[Written]) -> list[Written]:
    last: dict[str, Written] = {}
    nameless = []
    for note in notes:
        if note.stop_id:
            last[note.stop_id] = note
        else:
            nameless.append(note)
    return [*last.values(), *nameless]


def _by_time(visits: Sequence[ServiceTime], notes: Sequence[Written]) -> tuple[list[Pair], list[Written]]:
    """Pairs of one driver and customer, the nearest in time first, and the records left."""
    of_whom: dict[tuple[str, str], list[ServiceTime]] = defaultdict(list)
    for visit in visits:
        of_whom[visit.driver_id, visit.customer_id].append(visit)
    near = []
    for number, note in enumerate(notes):
        for visit in of_whom[note.driver_id, note.customer_id]:
            apart = _apart_ms(visit, note)
            if apart[0] <= NEAR_MS:
                near.append((apart, visit.visit_id, number, visit))
    pairs, used, visited = [], set(), set()
    for _, visit_id, number, visit in sorted(near, key=lambda n: n[:3]):
        if visit_id not in visited and number not in used:
            pairs.append(Pair(visit, notes[number]))
            visited.add(visit_id)
            used.add(number)
    return pairs, [note for number, note in enumerate(notes) if number not in used]


def _apart_ms(visit: ServiceTime, note: Written) -> tuple[int, int]:
    """The time between the two, 0 when they meet, then how far apart they begin."""
    gap = max(visit.arrived_ms - note.departed_ms, note.arrived_ms - visit.departed_ms, 0)
    return gap, abs(visit.arrived_ms - note.arrived_ms)
