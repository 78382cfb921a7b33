"""How a visit's records and events are written, from its stays and what is believed of it."""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from msgspec.structs import replace

from geofence.assignment import Belief
from geofence.events import FenceEvent, FenceEventType, RunnerUp, ServiceTime, VisitStatus
from geofence.evidence import Candidate
from geofence.groups import Target
from geofence.rules import Rules, ServiceStart
from geofence.standstills import Standstill
from geofence.stays import Stay, Visit

GAP_BRIDGED_S: Final = 120.0


class Writer:
    """Writes the records of one driver's visits; `planned`: whether there is a plan to be off."""

    def __init__(self, driver_id: str, planned: bool, rules: Rules) -> None:
        self._driver_id = driver_id
        self._planned = planned
        self._rules = rules
        self._config_hash = rules.config_hash

    def records(
        self, visit: Visit, stays: Sequence[Stay], belief: Belief, ids: Sequence[str], furthest: int
    ) -> list[ServiceTime]:
        """One record for each customer served, named by `ids`; none when the visit was too short.

        `furthest` is the highest planned number among the visits before.
        """
        needed_s = max(needed_dwell_s(s.at(t), self._rules) for s in stays for t in visit.targets)
        if (stays[-1].standstill.departed_ms - stays[0].standstill.arrived_ms) / 1000 < needed_s:
            return []
        method = _share_method(visit, stays)
        return [self._record(n, visit, stays, belief, ids, method, furthest) for n in range(len(ids))]

    def believed(self, records: Iterable[ServiceTime], visit: Visit, belief: Belief) -> list[ServiceTime]:
        """The records of a visit once more, with all that the belief says of it."""
        runner_up = _runner_up(belief, visit)
        return [replace(r, confidence=belief.of(r.customer_id), runner_up=runner_up) for r in records]

    def events(self, records: Iterable[ServiceTime]) -> list[FenceEvent]:
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

    def _record(
        self,
        n: int,
        visit: Visit,
        stays: Sequence[Stay],
        belief: Belief,
        ids: Sequence[str],
        method: str | None,
        furthest: int,
    ) -> ServiceTime:
        """That of the nth customer."""
        target = visit.targets[n]
        first, last = stays[0].standstill, stays[-1].standstill
        entered, exited = stays[0].crossed_at(target)[0], stays[-1].crossed_at(target)[1]
        part = _own_part(self._start_ms(first, entered), stays, visit, n)
        accuracies = sorted(s.median_accuracy_m for s in stays if s.median_accuracy_m is not None)
        return ServiceTime(
            visit_id=ids[n],
            revision=1,
            status=VisitStatus.OPEN_ENDED if last.open_ended else VisitStatus.COMPLETED,
            driver_id=self._driver_id,
            customer_id=target.customer_id,
            fence_id=target.fence_id,
            route_id=target.planned.route_id if target.planned else None,
            stop_id=target.planned.stop.stop_id if target.planned else None,
            arrived_ms=part.arrived_ms,
            departed_ms=part.departed_ms,
            service_time_s=round((part.ends_ms - part.begins_ms) / 1000, 3),
            entered_ms=entered,
            exited_ms=exited,
            parking_search_s=round(first.search_ms / 1000, 3),
            arrived_between_ms=part.arrived_between_ms,
            departed_between_ms=part.departed_between_ms,
            confidence=belief.of(target.customer_id),
            runner_up=_runner_up(belief, visit),
            shared_with=tuple(i for i in ids if i != ids[n]),
            share_method=method,
            pings=sum(s.standstill.pings for s in stays),
            max_gap_s=round(max(s.standstill.max_gap_s for s in stays), 3),
            median_accuracy_m=accuracies[len(accuracies) // 2] if accuracies else None,
            flags=self._flags(visit, stays, target, furthest),
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

    def _flags(self, visit: Visit, stays: Sequence[Stay], target: Target, furthest: int) -> tuple[str, ...]:
        flags = []
        if any(s.standstill.max_gap_s > GAP_BRIDGED_S and not s.by_device for s in stays):
            flags.append("gap_bridged")
        if any(s.by_device or s.by_phone for s in stays):
            flags.append("device_events")
        if len(stays) > 1:
            flags.append("merged")
        if visit.rests >= 0:
            flags.append("break")
        if self._planned and target.planned is None:
            flags.append("off_route")
        if target.planned is not None and target.planned.number < furthest:
            flags.append("wrong_sequence")
        return tuple(flags)


def needed_dwell_s(candidate: Candidate | None, rules: Rules) -> float:
    """How long a standing there must last to be a visit."""
    own = candidate.fence.dwell_s if candidate is not None else None
    return rules.dwell_s if own is None else own


class _Part(NamedTuple):
    """What of a standing is one customer's: the vehicle's arrival and departure, and the service itself."""

    arrived_ms: int
    departed_ms: int
    arrived_between_ms: tuple[int, int]
    departed_between_ms: tuple[int, int]
    begins_ms: int
    ends_ms: int


def _own_part(start_ms: int, stays: Sequence[Stay], visit: Visit, n: int) -> _Part:
    """That of the nth of the customers served one after another.

    The vehicle stands for all of them, up to a break or from its end on, where there is one standstill; the
    bounds also hold the moments of change.
    """
    first, last, alone = stays[0].standstill, stays[-1].standstill, len(stays) == 1
    arrived_ms, departed_ms = first.arrived_ms, last.departed_ms
    arrived, departed = first.arrived_between_ms, last.departed_between_ms
    begins_ms, ends_ms, changes, rests = start_ms, departed_ms, visit.changes, visit.rests
    at = n if rests < 0 or n < rests else n + 1  # the part of the standing
    if at > 0 and (n > 0 or alone) and changes:
        begins_ms = changes[at - 1].at_ms
        arrived = arrived[0], max(arrived[1], changes[at - 1].high_ms)
    if at < len(changes) and (n + 1 < len(visit.targets) or alone):
        ends_ms = changes[at].at_ms
        departed = min(departed[0], changes[at].low_ms), departed[1]
    if alone and at > n:
        arrived_ms = changes[rests].at_ms
        arrived = max(arrived[0], changes[rests].low_ms), arrived[1]
    elif alone and rests >= 0:
        departed_ms = changes[rests - 1].at_ms
        departed = departed[0], min(departed[1], changes[rests - 1].high_ms)
    return _Part(arrived_ms, departed_ms, arrived, departed, begins_ms, ends_ms)


def _share_method(visit: Visit, stays: Sequence[Stay]) -> str | None:
    if len(visit.targets) == 1:
        return None
    if not visit.spans and any(s.standstill.walked for s in stays):
        return "walk"
    orders = [t.planned.stop.order if t.planned is not None else None for t in visit.targets]
    return "equal" if None in orders else "by_order"


def _runner_up(belief: Belief, visit: Visit) -> RunnerUp | None:
    for customer_id, share in belief.shares:
        if customer_id not in visit.customers and share >= 0.01:
            return RunnerUp(customer_id, share)
    return None
