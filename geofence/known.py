"""The customers that a driver's day came near, as numbers for compiled code; and what they need."""

from array import array
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
        self._whole = array("q")
        self._needed_s = array("d")
        self._stops = array("q")
        self._needs = array("d")

    @property
    def customers(self) -> int:
        """How many have a number."""
        return len(self._customers)

    def rows(self, fences: Iterable[Fence]) -> Ints:
        """The rows of these fences in the table."""
        known = self._row_of
        return np.array([(known.get(id(f)) or self._note(f))[1] for f in fences], dtype=np.int64)

    def table(self) -> Table:
        """All there is, seen where it lies: nothing can be added while this is held."""
        return Table(
            np.frombuffer(self._whole, np.int64).reshape(-1, 4),
            np.frombuffer(self._needed_s),
            np.frombuffer(self._stops, np.int64),
            np.frombuffer(self._needs),
        )

    def _note(self, fence: Fence) -> tuple[Fence, int]:
        """Add a fence."""
        customer = self._customers.setdefault(fence.customer_id, len(self._customers))
        number = self._fences.setdefault((fence.customer_id, fence.fence_id), len(self._fences))
        begin = len(self._stops)
        for stop in self._plan.of_customer.get(fence.customer_id, ()):
            self._stops.append(stop.number)
            self._needs.append(self._need_of[stop.number] + _climb(fence.facts))
        self._whole.extend((customer, number, begin, len(self._stops)))
        self._needed_s.append(self._dwell_s if fence.dwell_s is None else fence.dwell_s)
        row = self._row_of[id(fence)] = fence, len(self._row_of)
        return row


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
