"""From decisions about standstills to visits, and when which of them are told, with their events."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Final, NamedTuple

from geofence.assignment import Assigner
from geofence.events import FenceEvent, ServiceTime
from geofence.naming import Names
from geofence.plan import Plan
from geofence.records import Writer
from geofence.rejections import Rejections
from geofence.rules import Rules
from geofence.stays import Stay, Visit, group

NEVER_MS: Final = 1 << 62


class _Made(NamedTuple):
    """The records last made of a visit, and all that they depend on beside its stays."""

    depends_on: tuple[object, ...]
    records: Sequence[ServiceTime]


@dataclass(frozen=True, slots=True)
class Report:
    """What a shift tells of the time up to `told_by_ms`.

    `waiting` are visits that may have been told earlier and go on: they are told again when they have ended.
    Unless `looked`, nothing was due since the last report. Visits `settled` are told for the last time.
    """

    told_by_ms: int
    records: Sequence[ServiceTime] = ()
    waiting: Set[str] = frozenset()
    settled: Set[str] = frozenset()
    events: Sequence[FenceEvent] = ()
    looked: bool = False


@dataclass(slots=True)
class _Before:
    """What the visits up to one say of those after it: how often unplanned customers had theirs, how far."""

    unplanned: dict[str, int]
    furthest: int = -1  # highest planned number

    def add(self, visit: Visit) -> None:
        """One more visit."""
        for target in visit.targets:
            if target.planned is None:
                self.unplanned[target.customer_id] = self.unplanned.get(target.customer_id, 0) + 1
            else:
                self.furthest = max(self.furthest, target.planned.number)

    def copy(self) -> "_Before":
        """The same, to go on from."""
        return _Before(dict(self.unplanned), self.furthest)


class Reporter:
    """Keeps the stays of a shift until their visits are settled and says what is told of them."""

    def __init__(self, driver_id: str, plan: Plan, rules: Rules, names: Names) -> None:
        self._names = names
        self.decide_after_ms = round(1000 * rules.decide_after_s)
        self._writer = Writer(driver_id, bool(plan), rules)
        self._rejections = Rejections(driver_id, plan, rules)
        self._stays: dict[int, Stay] = {}
        self._count = 0
        self._first_unsettled = 0  # stays before this number belong to settled visits
        self._settled = _Before({})
        self._visits: list[Visit] | None = None  # of the unsettled stays, None: to be grouped anew
        self._due_ms = 0  # nothing new can be told of an earlier time
        self._made: dict[int, _Made] = {}  # by the number of the visit's first stay

    @property
    def next_number(self) -> int:
        """The number that the next stay gets."""
        return self._count

    def add(self, stay: Stay) -> None:
        """Keep a stay."""
        if stay.candidates:
            self._stays[self._count] = stay
            self._due_ms, self._visits = 0, None
        self._count += 1

    def told_by_ms(self, now_ms: int) -> int:
        """Visits that ended by then are old enough to be told."""
        return now_ms - self.decide_after_ms

    @property
    def due_ms(self) -> int | None:
        """The earliest time by which something new can be told; None when nothing waits to be."""
        return self._due_ms if self._stays else None

    def report(self, assigner: Assigner, now_ms: int, all_of_it: bool, events_after_ms: int) -> Report:
        """Records of the unsettled visits that are old enough by `now_ms`, and their events.

        Visits whose every decision is final are settled: they are told one last time and forgotten.
        """
        told_by_ms = now_ms if all_of_it else self.told_by_ms(now_ms)
        if not self._stays or (told_by_ms < self._due_ms and not all_of_it):
            return Report(told_by_ms, looked=not self._stays)
        first = self._first_unsettled
        if self._visits is None:
            self._visits = group(assigner.decisions(first))
        visits, before = self._visits, self._settled.copy()
        records: list[ServiceTime] = []
        events: list[FenceEvent] = []
        waiting: set[str] = set()
        settled: set[str] = set()
        for n, visit in enumerate(visits):
            ids = self._ids(visit, before.unplanned)
            until_ms = self._stays[visit.parts[-1]].standstill.departed_ms
            told = all_of_it or until_ms <= told_by_ms
            if told:
                made = self._told(visit, assigner, ids, before.furthest)
                records += made
                if until_ms > events_after_ms:
                    events += self._writer.events(made)
            else:
                waiting.update(ids)
            before.add(visit)
            if told and n + 1 < len(visits) and visits[n + 1].parts[0] < assigner.final_before:
                self._settled, self._visits = before.copy(), None
                self._first_unsettled = visits[n + 1].parts[0]
                settled = {r.visit_id for r in records}
        stood = self._stood(first, events_after_ms, told_by_ms)
        if stood:
            events += self._rejections.of(stood, self._stays, visits)
        ends = (s.standstill.departed_ms for s in self._stays.values())
        self._due_ms = min((ms for ms in ends if ms > told_by_ms), default=NEVER_MS)
        self._forget(assigner)
        return Report(told_by_ms, records, waiting, settled, sorted(events, key=_in_time), looked=True)

    def _stood(self, first: int, after_ms: int, until_ms: int) -> list[int]:
        """The stays from a number on that ended after one time and by another."""
        return [
            number
            for number, stay in self._stays.items()
            if number >= first and after_ms < stay.standstill.departed_ms <= until_ms
        ]

    def _ids(self, visit: Visit, unplanned: Mapping[str, int]) -> list[str]:
        first_ms = self._stays[visit.parts[0]].standstill.arrived_ms
        return [
            self._names.of(t, first_ms, 0 if t.planned is not None else unplanned.get(t.customer_id, 0))
            for t in visit.targets
        ]

    def _forget(self, assigner: Assigner) -> None:
        gone = min(self._first_unsettled, assigner.final_before)
        for number in [n for n in self._stays if n < gone]:
            del self._stays[number]
            self._made.pop(number, None)
            assigner.forget(number)

    def _told(
        self, visit: Visit, assigner: Assigner, ids: Sequence[str], furthest: int
    ) -> Sequence[ServiceTime]:
        """The records of a visit: the very same ones while nothing that they depend on has changed."""
        parts = visit.parts
        longest = parts[0] if len(parts) == 1 else max(parts, key=lambda n: self._stays[n].length_ms)
        belief = assigner.belief(longest)
        depends_on = visit.targets, tuple(parts), visit.changes, ids, belief, furthest
        made = self._made.get(parts[0])
        if made is None or made.depends_on != depends_on:
            stays = [self._stays[n] for n in parts]
            made = _Made(depends_on, self._writer.records(visit, stays, belief, ids, furthest))
            self._made[parts[0]] = made
        return made.records


def _in_time(event: FenceEvent) -> tuple[int, str, str]:
    return event.ts_ms, event.fence_id, event.type
