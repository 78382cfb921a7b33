"""From decisions about standstills to visits, and when which of them are told, with their events."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence, Set
from copy import copy
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from geofence.assignment import Assigner, Belief
from geofence.events import FenceEvent, ServiceTime
from geofence.handover import Served, handover, is_open
from geofence.naming import Names
from geofence.plan import Plan
from geofence.records import Writer
from geofence.rejections import Rejections
from geofence.rules import Rules
from geofence.spanning import changes_over
from geofence.stays import Stay, Visit, group

NEVER_MS: Final = 1 << 62


class Report(NamedTuple):
    """What a shift tells of the time up to `told_by_ms`.

    So many of the first records are `settled`: they are told for the last time. `waiting` are visits that may
    have been told earlier and go on: they are told again when they have ended. Unless `looked`, nothing was
    due since the last report.
    """

    told_by_ms: int
    records: Sequence[ServiceTime] = ()
    settled: int = 0
    waiting: Set[str] = frozenset()
    events: Sequence[FenceEvent] = ()
    looked: bool = False


class _Before(NamedTuple):
    """What some visits say of those after them: how often unplanned customers had theirs, how far."""

    unplanned: dict[str, int]
    furthest: int = -1  # highest planned number

    def and_(self, visit: Visit) -> "_Before":
        """With one more visit."""
        unplanned, furthest = self
        for customer_id, _, planned in visit.targets:
            if planned is not None:
                furthest = max(furthest, planned.number)
            else:
                unplanned = {**unplanned, customer_id: unplanned.get(customer_id, 0) + 1}
        return _Before(unplanned, furthest)


@dataclass(slots=True)
class _Known:
    """A visit with all that its records depend on, and those last made of it.

    `told` are its stays with the times at which it was handed over in a silence, from the visit before or to
    the next, which then began `handed_on_ms`; see `handover`.
    """

    visit: Visit
    stays: Sequence[Stay]
    ids: Sequence[str]
    before: _Before
    until_ms: int
    told: Sequence[Stay]
    handed_on_ms: int | None = None
    belief: Belief | None = None
    records: Sequence[ServiceTime] = ()


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
        self._visits: list[_Known] = []  # of the unsettled stays
        self._handed_on_ms: int | None = None  # when the visit before them handed over to the first
        self._served: dict[int, Set[str]] = {}  # the customers of these, by part
        self._grown = False  # there are stays since these were made
        self._untold: list[int] = []  # stays that were not old enough for a report yet
        self._due_ms = 0  # nothing new can be told of an earlier time
        self._over = 0  # how many of the visits are settled and told

    def copy(self) -> "Reporter":
        """The same state once more; the names given are shared."""
        other = copy(self)
        other._stays, other._served = dict(self._stays), dict(self._served)
        other._visits = [replace(known, visit=copy(known.visit)) for known in self._visits]
        other._untold = list(self._untold)
        return other

    @property
    def next_number(self) -> int:
        """The number that the next stay gets."""
        return self._count

    def add(self, stay: Stay) -> None:
        """Keep a stay."""
        if stay.candidates:
            self._stays[self._count] = stay
            self._untold.append(self._count)
            self._due_ms, self._grown = 0, True
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

        Visits whose every decision is final are settled: they are told one last time, to be let go.
        """
        told_by_ms = now_ms if all_of_it else self.told_by_ms(now_ms)
        if not self._stays or (told_by_ms < self._due_ms and not all_of_it):
            return Report(told_by_ms, looked=not self._stays)
        if self._grown:
            self._regroup(assigner)
        records: list[ServiceTime] = []
        events = self._rejected(events_after_ms, told_by_ms)
        visits, late = self._visits, NEVER_MS if all_of_it else told_by_ms
        due = [known for known in visits if known.until_ms <= late]
        for known, belief in zip(due, assigner.beliefs([k.visit.longest for k in due]), strict=True):
            if belief is not known.belief:
                self._write(known, belief)
            records += known.records
            if known.until_ms > events_after_ms:
                events += self._writer.events(known.records)
        waiting = {i for known in visits if known.until_ms > late for i in known.ids}
        self._over = self._settled_now(assigner)
        settled = sum([len(known.records) for known in visits[: self._over]])
        return Report(told_by_ms, records, settled, waiting, sorted(events, key=_in_time), looked=True)

    def withdrawn(self, visits: Iterable[ServiceTime], until_ms: int) -> list[FenceEvent]:
        """What is told of the stays of visits that are none after all, if their time was up by then."""
        events: list[FenceEvent] = []
        for visit in visits:
            stood = [n for n, stay in self._stays.items() if _of(stay, visit, until_ms)]
            rejected = self._rejections.of(stood, self._stays, self._served)
            events += [e for e in rejected if e.fence_id == visit.fence_id and e not in events]
        return sorted(events, key=_in_time)

    def let_go(self, assigner: Assigner) -> None:
        """Forget the visits that were reported as settled, and the stays that no other visit can have."""
        if self._over:
            self._settle(self._over)
            self._over = 0
        self._forget(assigner)

    def look_again(self) -> None:
        """The next report looks at all there is: what was told may differ from it."""
        self._due_ms = 0

    def _regroup(self, assigner: Assigner) -> None:
        """Make the visits anew from the first on that is another one now."""
        visits = self._visits
        sure = bisect_left(visits, assigner.changed(), key=_first_part)
        first = max(sure - 1, 0)  # what is decided anew may go on with the last of those
        found = group(assigner.decisions(_first_part(visits[first]) if sure else self._first_unsettled))
        rest, same = visits[first:], 0
        while same < min(len(found), len(rest)) and found[same] == rest[same].visit.decisions:
            same += 1
        self._drop(slice(first + same, None))
        for visit in map(Visit, found[same:]):
            self._served.update(dict.fromkeys(visit.parts, visit.customers))
            before = visits[-1].before.and_(visits[-1].visit) if visits else self._settled
            stays = [self._stays[n] for n in visit.parts]
            ids = self._ids(visit, stays[0].standstill.arrived_ms, before)
            visits.append(_Known(visit, stays, ids, before, stays[-1].standstill.departed_ms, stays))
        self._hand_over(assigner, max(first + same - 1, 0))
        self._grown = False

    def _hand_over(self, assigner: Assigner, since: int) -> None:
        """Tell the visits from number `since` on, whose next may be new, by when they were handed over."""
        visits = self._visits
        came_ms = visits[since - 1].handed_on_ms if since else self._handed_on_ms
        for n in range(since, len(visits)):
            known, found = visits[n], None
            told = known.stays
            if came_ms is not None:
                told = [_arrived(told[0], came_ms), *told[1:]]
            if n + 1 < len(visits):
                own, after = Served(known.visit, told), Served(visits[n + 1].visit, visits[n + 1].stays)
                found = _handover(own, after, assigner) if is_open(own, after) else None
            left_ms, came_ms = found or (None, None)
            if left_ms is not None:
                told = [*told[:-1], _departed(told[-1], left_ms)]
            if told is not known.told and told != known.told:
                known.told, known.belief = told, None
            if known.visit.spans:
                known.visit.changes = changes_over(told, _needs(known.visit, told, assigner))
            known.handed_on_ms = came_ms

    def _ids(self, visit: Visit, first_ms: int, before: _Before) -> list[str]:
        ordinals = (before.unplanned.get(t.customer_id, 0) if t.planned is None else 0 for t in visit.targets)
        return [self._names.of(t, first_ms, n) for t, n in zip(visit.targets, ordinals, strict=True)]

    def _write(self, known: _Known, belief: Belief) -> None:
        """Make the records of a visit, or those that there are once more with another belief."""
        if known.belief is None:
            known.records = self._writer.records(
                known.visit, known.told, belief, known.ids, known.before.furthest
            )
        else:
            known.records = self._writer.believed(known.records, known.visit, belief)
        known.belief = belief

    def _rejected(self, after_ms: int, told_by_ms: int) -> list[FenceEvent]:
        """What the stays tell that ended between two times; and note when the next one is to be told."""
        stood, untold, due_ms = [], [], NEVER_MS
        for number in self._untold:
            departed_ms = self._stays[number].standstill.departed_ms
            if departed_ms > told_by_ms:
                untold.append(number)
                due_ms = min(due_ms, departed_ms)
            elif departed_ms > after_ms:
                stood.append(number)
        self._untold, self._due_ms = untold, due_ms
        return self._rejections.of(stood, self._stays, self._served)

    def _settled_now(self, assigner: Assigner) -> int:
        """How many of the first visits are settled: all before the last one that begins with a decided stay.

        None of these stays is still to be told.
        """
        before = assigner.final_before
        if self._untold:
            before = min(before, self._untold[0] + 1)
        return max(bisect_left(self._visits, before, key=_first_part) - 1, 0)

    def _settle(self, visits: int) -> None:
        """Nothing can change so many of the first visits any more."""
        self._settled = self._visits[visits].before
        self._handed_on_ms = self._visits[visits - 1].handed_on_ms
        self._first_unsettled = _first_part(self._visits[visits])
        self._drop(slice(visits))

    def _drop(self, visits: slice) -> None:
        for known in self._visits[visits]:
            for part in known.visit.parts:
                del self._served[part]
        del self._visits[visits]

    def _forget(self, assigner: Assigner) -> None:
        gone = min(self._first_unsettled, assigner.final_before)
        while self._stays and (number := next(iter(self._stays))) < gone:
            del self._stays[number]
            assigner.forget(number)


def _first_part(known: _Known) -> int:
    return known.visit.parts[0]


def _handover(before: Served, after: Served, assigner: Assigner) -> tuple[int, int] | None:
    """See `handover`, by what the orders of both need."""
    needs = [sum(_needs(*served, assigner)) for served in (before, after)]
    return handover(before, after, needs[0] / sum(needs))


def _needs(visit: Visit, stays: Sequence[Stay], assigner: Assigner) -> list[float]:
    """What the order of each customer of a visit needs."""
    candidates = [stays[0].at(t) for t in visit.targets]
    return [assigner.need(c.fence, t.planned) for c, t in zip(candidates, visit.targets, strict=True) if c]


def _arrived(stay: Stay, at_ms: int) -> Stay:
    """The same stay with another arrival."""
    between_ms = _with(stay.standstill.arrived_between_ms, at_ms)
    return _timed(stay, arrived_ms=at_ms, arrived_between_ms=between_ms)


def _departed(stay: Stay, at_ms: int) -> Stay:
    """The same stay with another departure."""
    between_ms = _with(stay.standstill.departed_between_ms, at_ms)
    return _timed(stay, departed_ms=at_ms, departed_between_ms=between_ms)


def _timed(stay: Stay, **times: Any) -> Stay:
    return replace(stay, standstill=stay.standstill._replace(**times))


def _with(bounds_ms: tuple[int, int], at_ms: int) -> tuple[int, int]:
    """Bounds that hold this moment too."""
    return min(bounds_ms[0], at_ms), max(bounds_ms[1], at_ms)


def _of(stay: Stay, visit: ServiceTime, until_ms: int) -> bool:
    """Whether a visit holds a stay that ended by a time."""
    begin_ms, end_ms = stay.standstill.arrived_ms, stay.standstill.departed_ms
    return end_ms <= until_ms and begin_ms < visit.departed_ms and visit.arrived_ms < end_ms


def _in_time(event: FenceEvent) -> tuple[int, str, str]:
    return event.ts_ms, event.fence_id, event.type
