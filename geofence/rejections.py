"""Customers in whose fence a vehicle stood without a visit coming of it, and why."""

from collections.abc import Iterable, Mapping, Set
from typing import Final

from geofence.events import FenceEvent, FenceEventType, Rejection
from geofence.evidence import Candidate
from geofence.plan import Plan
from geofence.records import needed_dwell_s
from geofence.rules import Rules
from geofence.stays import Stay

BREAK_S: Final = 900.0
LOW_ACCURACY_M: Final = 60.0
BESIDE_MS: Final = 60_000  # a stay so near in time to a visit belongs to it, or to the way there


class Rejections:
    """Tells of one driver's stays whom they did not serve."""

    def __init__(self, driver_id: str, plan: Plan, rules: Rules) -> None:
        self._driver_id = driver_id
        self._plan = plan
        self._rules = rules

    def of(
        self, numbers: Iterable[int], stays: Mapping[int, Stay], served: Mapping[int, Set[str]]
    ) -> list[FenceEvent]:
        """The rejected candidates of the stays with these numbers; others of `stays` may lie beside them.

        `served` are the customers of the visits that stays are part of.
        """
        return [
            self._event(stays[number], candidate, number in served)
            for number in numbers
            for candidate in stays[number].candidates
            if candidate.outside_m <= 0 and not _served(number, candidate.fence.customer_id, stays, served)
        ]

    def _event(self, stay: Stay, candidate: Candidate, other_served: bool) -> FenceEvent:
        return FenceEvent(
            FenceEventType.REJECTED,
            self._driver_id,
            candidate.fence.customer_id,
            candidate.fence.fence_id,
            stay.standstill.arrived_ms,
            None,
            self._reason(stay, candidate, other_served),
        )

    def _reason(self, stay: Stay, candidate: Candidate, other_served: bool) -> Rejection:
        seconds = stay.length_ms / 1000
        if other_served:
            return Rejection.OTHER_CUSTOMER
        if seconds < needed_dwell_s(candidate, self._rules):
            return Rejection.TOO_SHORT
        if stay.median_accuracy_m is not None and stay.median_accuracy_m > LOW_ACCURACY_M:
            return Rejection.LOW_ACCURACY
        if seconds >= BREAK_S:
            return Rejection.BREAK
        if self._plan and candidate.customer_id not in self._plan.of_customer:
            return Rejection.NOT_ON_ROUTE
        return Rejection.QUEUEING


def _served(number: int, customer_id: str, stays: Mapping[int, Stay], served: Mapping[int, Set[str]]) -> bool:
    """Whether a stay, or one just before or after it, is part of a visit at that customer."""
    if customer_id in served.get(number, ()):
        return True
    own = stays[number].standstill
    for other in (number - 1, number + 1):
        beside = stays.get(other)
        if beside is not None and customer_id in served.get(other, ()):
            near = beside.standstill
            if max(near.arrived_ms - own.departed_ms, own.arrived_ms - near.departed_ms) <= BESIDE_MS:
                return True
    return False
