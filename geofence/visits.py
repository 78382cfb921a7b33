"""From decisions about standstills to visits, and what is told of them: records, and events with reasons."""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from geofence.assignment import Assigner, Belief, Change, Decision
from geofence.events import (
    FenceEvent,
    FenceEventType,
    Rejection,
    RunnerUp,
    ServiceTime,
    VisitStatus,
)
from geofence.evidence import Candidate
from geofence.groups import Target
from geofence.naming import Names
from geofence.plan import Plan
from geofence.rules import Rules, ServiceStart
from geofence.standstills import Standstill

GAP_BRIDGED_S: Final = 120.0
BREAK_S: Final = 900.0
LOW_ACCURACY_M: Final = 60.0
BESIDE_MS: Final = 60_000  # a stay so near in time to a visit belongs to it, or to the way there
NEVER_MS: Final = 1 << 62
NOBODY: Final = Belief(())


@dataclass(frozen=True, slots=True)
class Stay:
    """A standstill with all that its records need: nothing else of the track is looked at later."""

    standstill: Standstill
    candidates: tuple[Candidate, ...]
    median_accuracy_m: float | None
    by_device: bool = False  # the phone's own events tell of it, no ping does
    by_phone: bool = False  # they tell of its beginning or end, where pings do not

    def at(self, target: Target) -> Candidate | None:
        """The candidate that is this target's fence."""
        return next((c for c in self.candidates if c.fence.fence_id == target.fence_id), None)


@dataclass(slots=True)
class Visit:
    """One service at a set of customers, over one or more standstills given by number."""

    targets: tuple[Target, ...]
    parts: list[int]
    changes: tuple[Change, ...]  # from each target to the next, during the longest part
    longest_ms: int


class _Made(NamedTuple):
    """The records last made of a visit, and all that they depend on beside its stays."""

    depends_on: tuple[object, ...]
    records: Sequence[ServiceTime]


def group(decisions: Iterable[Decision]) -> list[Visit]:
    """Visits in the order they began; a decision that resumes adds to the visit before it."""
    visits: list[Visit] = []
    for decision in decisions:
        if decision.resumes and visits:
            visits[-1].parts.append(decision.number)
            if decision.length_ms > visits[-1].longest_ms:
                visits[-1].changes, visits[-1].longest_ms = decision.changes, decision.length_ms
        else:
            visits.append(Visit(decision.targets, [decision.number], decision.changes, decision.length_ms))
    return visits


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


class Reporter:
    """Keeps the stays of a shift until their visits are settled and writes what is told of them."""

    def __init__(self, driver_id: str, plan: Plan, rules: Rules, names: Names) -> None:
        self._driver_id = driver_id
        self._names = names
        self._plan = plan
        self._rules = rules
        self._config_hash = rules.config_hash
        self._stays: dict[int, Stay] = {}
        self._count = 0
        self._first_unsettled = 0  # stays before this number belong to settled visits
        self._unplanned: dict[str, int] = {}  # settled unplanned visits of each customer
        self._furthest = -1  # highest planned number among settled visits
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
            self._due_ms = 0
        self._count += 1

    def report(self, assigner: Assigner, now_ms: int, all_of_it: bool, events_after_ms: int) -> Report:
        """Records of the unsettled visits that are old enough by `now_ms`, and their events.

        Visits whose every decision is final are settled: they are told one last time and forgotten.
        """
        told_by_ms = now_ms if all_of_it else now_ms - round(1000 * self._rules.decide_after_s)
        if not self._stays or (told_by_ms < self._due_ms and not all_of_it):
            return Report(told_by_ms, looked=not self._stays)
        first = self._first_unsettled
        visits = group(assigner.decisions(first))
        unplanned, furthest = dict(self._unplanned), self._furthest
        records: list[ServiceTime] = []
        events: list[FenceEvent] = []
        waiting: set[str] = set()
        settled: set[str] = set()
        for n, visit in enumerate(visits):
            ids = self._ids(visit, unplanned)
            until_ms = self._stays[visit.parts[-1]].standstill.departed_ms
            told = all_of_it or until_ms <= told_by_ms
            if told:
                made = self._told(visit, assigner, ids, furthest)
                records += made
                if until_ms > events_after_ms:
                    events += self._visit_events(made)
            else:
                waiting.update(ids)
            for target in visit.targets:
                if target.planned is None:
                    unplanned[target.customer_id] = unplanned.get(target.customer_id, 0) + 1
                else:
                    furthest = max(furthest, target.planned.number)
            if told and n + 1 < len(visits) and visits[n + 1].parts[0] < assigner.final_before:
                self._unplanned, self._furthest = dict(unplanned), furthest
                self._first_unsettled = visits[n + 1].parts[0]
                settled = {r.visit_id for r in records}
        events += self._rejections(visits, first, told_by_ms, events_after_ms)
        ends = (s.standstill.departed_ms for s in self._stays.values())
        self._due_ms = min((ms for ms in ends if ms > told_by_ms), default=NEVER_MS)
        self._forget(assigner)
        return Report(told_by_ms, records, waiting, settled, sorted(events, key=_in_time), looked=True)

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
        longest = max(visit.parts, key=lambda i: _length_ms(self._stays[i].standstill))
        belief = assigner.belief(longest)
        depends_on = visit.targets, tuple(visit.parts), visit.changes, ids, belief, furthest
        made = self._made.get(visit.parts[0])
        if made is None or made.depends_on != depends_on:
            made = _Made(depends_on, self._records(visit, belief, ids, furthest))
            self._made[visit.parts[0]] = made
        return made.records

    def _records(self, visit: Visit, belief: Belief, ids: Sequence[str], furthest: int) -> list[ServiceTime]:
        stays = [self._stays[i] for i in visit.parts]
        first_ms = stays[0].standstill.arrived_ms
        method = self._share_method(visit, stays)
        needed_s = max(self._needed_s(s.at(t)) for s in stays for t in visit.targets)
        if (stays[-1].standstill.departed_ms - first_ms) / 1000 < needed_s:
            return []
        made = []
        for n, target in enumerate(visit.targets):
            record = self._record(ids[n], target, stays, belief, visit.targets, furthest)
            if visit.changes:
                record = self._own_part(record, visit.changes, n)
            shared = tuple(i for i in ids if i != ids[n])
            made.append(_with_shared(record, shared, method))
        return made

    def _own_part(self, record: ServiceTime, changes: Sequence[Change], n: int) -> ServiceTime:
        """The record with the own time of the nth of several customers served one after another.

        The vehicle stands for all of them; the bounds also hold the moments of change.
        """
        arrived, departed = record.arrived_between_ms, record.departed_between_ms
        seconds = record.service_time_s
        if n > 0:
            arrived = arrived[0], max(arrived[1], changes[n - 1].high_ms)
            seconds = (record.departed_ms - changes[n - 1].at_ms) / 1000
        if n < len(changes):
            departed = min(departed[0], changes[n].low_ms), departed[1]
            seconds -= (record.departed_ms - changes[n].at_ms) / 1000
        return replace(
            record,
            arrived_between_ms=arrived,
            departed_between_ms=departed,
            service_time_s=round(seconds, 3),
        )

    def _share_method(self, visit: Visit, stays: Sequence[Stay]) -> str | None:
        if len(visit.targets) == 1:
            return None
        if any(s.standstill.walked for s in stays):
            return "walk"
        orders = [t.planned.stop.order if t.planned is not None else None for t in visit.targets]
        return "equal" if None in orders else "by_order"

    def _needed_s(self, candidate: Candidate | None) -> float:
        own = candidate.fence.dwell_s if candidate is not None else None
        return self._rules.dwell_s if own is None else own

    def _record(
        self,
        visit_id: str,
        target: Target,
        stays: Sequence[Stay],
        belief: Belief,
        targets: Sequence[Target],
        furthest: int,
    ) -> ServiceTime:
        first, last = stays[0].standstill, stays[-1].standstill
        at_first, at_last = stays[0].at(target), stays[-1].at(target)
        entered = at_first.entered_ms if at_first else None
        start_ms = self._start_ms(first, entered)
        accuracies = sorted(s.median_accuracy_m for s in stays if s.median_accuracy_m is not None)
        return ServiceTime(
            visit_id=visit_id,
            revision=1,
            status=VisitStatus.OPEN_ENDED if last.open_ended else VisitStatus.COMPLETED,
            driver_id=self._driver_id,
            customer_id=target.customer_id,
            fence_id=target.fence_id,
            route_id=target.planned.route_id if target.planned else None,
            stop_id=target.planned.stop.stop_id if target.planned else None,
            arrived_ms=first.arrived_ms,
            departed_ms=last.departed_ms,
            service_time_s=round((last.departed_ms - start_ms) / 1000, 3),
            entered_ms=entered,
            exited_ms=at_last.exited_ms if at_last else None,
            parking_search_s=round(first.search_ms / 1000, 3),
            arrived_between_ms=first.arrived_between_ms,
            departed_between_ms=last.departed_between_ms,
            confidence=belief.of(target.customer_id),
            runner_up=_runner_up(belief, targets),
            shared_with=(),
            share_method=None,
            pings=sum(s.standstill.pings for s in stays),
            max_gap_s=round(_max_gap_s(stays), 3),
            median_accuracy_m=accuracies[len(accuracies) // 2] if accuracies else None,
            flags=self._flags(stays, target, furthest),
            config_hash=self._config_hash,
        )

    def _start_ms(self, first: Standstill, entered_ms: int | None) -> int:
        match self._rules.service_starts_with:
            case ServiceStart.PARKING_SEARCH:
                return first.arrived_ms - first.search_ms
            case ServiceStart.FENCE_ENTRY if entered_ms is not None:
                return entered_ms
            case _:
                return first.arrived_ms

    def _flags(self, stays: Sequence[Stay], target: Target, furthest: int) -> tuple[str, ...]:
        flags = []
        if any(s.standstill.max_gap_s > GAP_BRIDGED_S and not s.by_device for s in stays):
            flags.append("gap_bridged")
        if any(s.by_device or s.by_phone for s in stays):
            flags.append("device_events")
        if len(stays) > 1:
            flags.append("merged")
        if self._plan and target.planned is None:
            flags.append("off_route")
        if target.planned is not None and target.planned.number < furthest:
            flags.append("wrong_sequence")
        return tuple(flags)

    def _visit_events(self, records: Sequence[ServiceTime]) -> list[FenceEvent]:
        """Entry, dwell and exit of each customer served."""
        events = []
        for record in records:
            fence, customer = record.fence_id, record.customer_id
            entered = record.entered_ms if record.entered_ms is not None else record.arrived_ms
            exited = record.exited_ms if record.exited_ms is not None else record.departed_ms
            dwelled = min(record.arrived_ms + round(1000 * self._rules.dwell_s), record.departed_ms)
            for kind, ts_ms in (
                (FenceEventType.ENTERED, entered),
                (FenceEventType.DWELLED, dwelled),
                (FenceEventType.EXITED, exited),
            ):
                if kind is FenceEventType.EXITED and record.status is VisitStatus.OPEN_ENDED:
                    continue
                events.append(FenceEvent(kind, self._driver_id, customer, fence, ts_ms, record.visit_id))
        return events

    def _rejections(
        self, visits: Sequence[Visit], first: int, told_by_ms: int, events_after_ms: int
    ) -> list[FenceEvent]:
        """Candidates in whose fence the vehicle stood without a visit coming of it, with the reason."""
        stood = {
            number: stay
            for number, stay in self._stays.items()
            if number >= first and events_after_ms < stay.standstill.departed_ms <= told_by_ms
        }
        if not stood:
            return []
        served: dict[int, set[str]] = {}
        for visit in visits:
            for part in visit.parts:
                served.setdefault(part, set()).update(t.customer_id for t in visit.targets)
        events = []
        for number, stay in stood.items():
            for candidate in stay.candidates:
                there = candidate.outside_m <= 0
                if there and not self._served(number, candidate.customer_id, served):
                    reason = self._reason(stay, candidate, number in served)
                    events.append(
                        FenceEvent(
                            FenceEventType.REJECTED,
                            self._driver_id,
                            candidate.customer_id,
                            candidate.fence.fence_id,
                            stay.standstill.arrived_ms,
                            None,
                            reason,
                        )
                    )
        return events

    def _served(self, number: int, customer_id: str, served: Mapping[int, Set[str]]) -> bool:
        """Whether a stay, or one just before or after it, is part of a visit at that customer."""
        if customer_id in served.get(number, ()):
            return True
        own = self._stays[number].standstill
        for other in (number - 1, number + 1):
            beside = self._stays.get(other)
            if beside is not None and customer_id in served.get(other, ()):
                near = beside.standstill
                if max(near.arrived_ms - own.departed_ms, own.arrived_ms - near.departed_ms) <= BESIDE_MS:
                    return True
        return False

    def _reason(self, stay: Stay, candidate: Candidate, other_served: bool) -> Rejection:
        seconds = _length_ms(stay.standstill) / 1000
        if other_served:
            return Rejection.OTHER_CUSTOMER
        if seconds < self._needed_s(candidate):
            return Rejection.TOO_SHORT
        if stay.median_accuracy_m is not None and stay.median_accuracy_m > LOW_ACCURACY_M:
            return Rejection.LOW_ACCURACY
        if seconds >= BREAK_S:
            return Rejection.BREAK
        if self._plan and candidate.customer_id not in self._plan.of_customer:
            return Rejection.NOT_ON_ROUTE
        return Rejection.QUEUEING


def _in_time(event: FenceEvent) -> tuple[int, str, str]:
    return event.ts_ms, event.fence_id, event.type


def _length_ms(standstill: Standstill) -> int:
    return standstill.departed_ms - standstill.arrived_ms


def _max_gap_s(stays: Sequence[Stay]) -> float:
    gaps = [s.standstill.max_gap_s for s in stays]
    return max(gaps)


def _with_shared(record: ServiceTime, shared: tuple[str, ...], method: str | None) -> ServiceTime:
    return replace(record, shared_with=shared, share_method=method) if shared else record


def _runner_up(belief: Belief, targets: Sequence[Target]) -> RunnerUp | None:
    served = {t.customer_id for t in targets}
    for customer_id, share in belief.shares:
        if customer_id not in served and share >= 0.01:
            return RunnerUp(customer_id, share)
    return None
