"""The customers that a driver's day came near, as numbers for compiled code; and what they need."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from geofence.fences import Fence
from geofence.groups import Table
from geofence.plan import Plan, PlannedStop

Ints = npt.NDArray[np.int64]

A_FLOOR: Final = 0.2  # what a floor of stairs adds to the need of a service ...
BY_ELEVATOR: Final = 0.35  # ... and an elevator, to whichever floor
FENCES: Final = 8  # room for so many at first
HIGHEST: Final = 10  # nobody climbs more floors than that on foot


class Known:
    """Gives each customer and each fence a number, the same through the day, and each version a row."""

    def __init__(self, plan: Plan, dwell_s: float) -> None:
        self._plan = plan
        self._dwell_s = dwell_s
        self._need_of = [_need(stop) for stop in plan.stops]
        self.mean_need = sum(self._need_of) / len(plan.stops) if plan else 1.0
        self._row_of: dict[int, tuple[Fence, int]] = {}  # by the identity of a fence's version, which is kept
        self._customers: dict[str, int] = {}
        self._fences: dict[tuple[str, str], int] = {}
        stops = len(plan.stops)
        self._stop_count = 0
        self.table = Table(
            np.empty((FENCES, 4), np.int64), np.empty(FENCES), np.empty(stops, np.int64), np.empty(stops)
        )
        """All there is, with room for more."""

    @property
    def customers(self) -> int:
        """How many have a number."""
        return len(self._customers)

    def need(self, fence: Fence, planned: PlannedStop | None) -> float:
        """How long a service there should take, relative to others."""
        return (self.mean_need if planned is None else self._need_of[planned.number]) + _climb(fence.facts)

    def rows(self, fences: Iterable[Fence]) -> Ints:
        """The rows of these fences in the table."""
        known = self._row_of
        return np.array([(known.get(id(f)) or self._note(f))[1] for f in fences], dtype=np.int64)

    def _note(self, fence: Fence) -> tuple[Fence, int]:
        """Add a fence."""
        customer = self._customers.setdefault(fence.customer_id, len(self._customers))
        number = self._fences.setdefault((fence.customer_id, fence.fence_id), len(self._fences))
        row, begin = len(self._row_of), self._stop_count
        planned = self._plan.of_customer.get(fence.customer_id, ())
        end = self._stop_count = begin + len(planned)
        self._make_room(row, end)
        whole, needed_s, stops, needs = self.table
        for at, stop in enumerate(planned, begin):
            stops[at], needs[at] = stop.number, self.need(fence, stop)
        whole[row] = customer, number, begin, end
        needed_s[row] = self._dwell_s if fence.dwell_s is None else fence.dwell_s
        found = self._row_of[id(fence)] = fence, row
        return found

    def _make_room(self, row: int, stops: int) -> None:
        """Have room for one more row, and for so many stops: a customer may have several fences."""
        whole, needed_s, numbers, needs = self.table
        if row == len(whole):
            whole, needed_s = np.concatenate([whole, whole]), np.concatenate([needed_s, needed_s])
        if stops > len(numbers):
            numbers, needs = np.resize(numbers, 2 * stops), np.resize(needs, 2 * stops)
        self.table = Table(whole, needed_s, numbers, needs)


def _need(planned: PlannedStop) -> float:
    """How long a service should take relative to one without goods, by its order."""
    order = planned.stop.order
    if order is None:
        return 1.0
    return 1.0 + 0.035 * (order.items or 0) + 0.16 * (order.boxes or 0) + 0.005 * (order.weight_kg or 0.0)


def _climb(facts: Mapping[str, Any]) -> float:
    """What the way up adds to a service's need, by the customer's floor and elevator."""
    floor = facts.get("floor")
    if not isinstance(floor, int | float) or not floor > 0:
        return 0.0
    return BY_ELEVATOR if facts.get("elevator") is True else A_FLOOR * min(floor, HIGHEST)
