"""Who may have been served from one standstill: each customer alone, and planned neighbours together."""

from collections.abc import Sequence
from itertools import combinations, pairwise
from math import log
from typing import Final, NamedTuple

import numpy as np

from geofence.beam import FREE, GROUP_ID, UNPLANNED, Beam, Groups, likeliest_orders, share_chance
from geofence.evidence import Candidate
from geofence.plan import Plan, PlannedStop
from geofence.standstills import Standstill
from geofence.walk import Change, Split, Walk

GROUP: Final = 5  # customers at most served from one standstill
NEAREST: Final = 7  # customers looked at for one standstill
WORTH: Final = -12.0  # orders less likely than this are not looked at
SHARED_UNPLANNED: Final = log(0.01)  # one more customer served that no route names
PEAK: Final = -7.85  # place score of a fit beyond reproach


class Target(NamedTuple):
    """Who is served: a customer's fence, and the planned stop when there is one."""

    customer_id: str
    fence_id: str
    planned: PlannedStop | None


class Grouping:
    """Makes the groups of customers that a standstill may have served, and scores their place and walk."""

    def __init__(self, plan: Plan, dwell_s: float) -> None:
        self._plan = plan
        self._dwell_s = dwell_s
        needs = [_need(Target("", "", s)) for s in plan.stops]
        self._mean_need = sum(needs) / len(needs) if needs else 1.0
        self._ids: dict[tuple[Target, ...], int] = {}
        self.customers: dict[str, int] = {}
        """Numbers of all customers that were looked at."""
        self.unplanned = UNPLANNED if plan else FREE
        """Log chance that a customer without a planned stop is served."""

    def copy(self) -> "Grouping":
        """An independent grouping in the same state."""
        twin = Grouping.__new__(Grouping)
        twin._plan, twin._dwell_s, twin._mean_need = self._plan, self._dwell_s, self._mean_need
        twin._ids, twin.customers, twin.unplanned = dict(self._ids), dict(self.customers), self.unplanned
        return twin

    def groups(
        self, standstill: Standstill, walk: Walk, found: Sequence[Candidate], beam: Beam
    ) -> tuple[Groups, list[tuple[Target, ...]], list[tuple[Change, ...]]]:
        """The groups worth a look, whom they hold, and when their customers change."""
        for c in found:
            self.customers.setdefault(c.customer_id, len(self.customers))
        together = self._together(found)
        whole, members, stops = self._numbered(together, found)
        orders = likeliest_orders(beam, whole, members, stops, bool(self._plan))
        worth = (orders > WORTH) | np.isin(whole[:, 0], beam.whole[:, GROUP_ID])
        kept = [t for t, w in zip(together, worth.tolist(), strict=True) if w]
        known = {c.fence.fence_id: c for c in found}
        places = {fence_id: c.parked(standstill.park, standstill.noise_m) for fence_id, c in known.items()}
        real, changes = np.empty((len(kept), 8)), []
        for row, targets in enumerate(kept):
            of = [known[t.fence_id] for t in targets]
            needs = [_need(t) for t in targets]
            split = walk.split([c.door for c in of], needs)
            changes.append(split.changes)
            real[row] = self._scored(targets, of, [places[t.fence_id] for t in targets], sum(needs), split)
        return Groups(real, whole[worth], members, stops), kept, changes

    def _together(self, found: Sequence[Candidate]) -> list[tuple[Target, ...]]:
        singles: list[Target] = []
        planned: list[Target] = []
        for c in found:
            stops = self._plan.of_customer.get(c.customer_id, ())
            planned += [Target(c.customer_id, c.fence.fence_id, stop) for stop in stops]
            singles.append(Target(c.customer_id, c.fence.fence_id, None))
        planned.sort(key=_number)
        together: list[tuple[Target, ...]] = [(t,) for t in (*planned, *singles)]
        for size in range(2, GROUP + 1):
            for at in range(len(planned) - size + 1):
                group = tuple(planned[at : at + size])
                if _number(group[-1]) - _number(group[0]) <= size:
                    together.append(group)
        if not self._plan:
            together += combinations(singles[:3], 2)
        return together

    def _numbered(
        self, together: Sequence[tuple[Target, ...]], found: Sequence[Candidate]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        at = {c.fence.fence_id: n for n, c in enumerate(found)}
        stops: list[int] = []
        spans: dict[str, tuple[int, int]] = {}
        for c in found:
            begin = len(stops)
            stops += [s.number for s in self._plan.of_customer.get(c.customer_id, ())]
            spans[c.customer_id] = begin, len(stops)
        whole: list[tuple[int, int, int]] = []
        members: list[tuple[int, ...]] = []
        for targets in together:
            gid = self._ids.setdefault(targets, len(self._ids))
            whole.append((gid, len(targets), len(members)))
            members += [
                (_number(t), self.customers[t.customer_id], at[t.fence_id], *spans[t.customer_id])
                for t in targets
            ]
        return (
            np.array(whole, dtype=np.int64),
            np.array(members, dtype=np.int64),
            np.array([*stops, -1], dtype=np.int64),
        )

    def _scored(
        self,
        targets: Sequence[Target],
        of: Sequence[Candidate],
        places: Sequence[float],
        need: float,
        split: Split,
    ) -> tuple[float, ...]:
        needed_s = max(self._dwell_s if c.fence.dwell_s is None else c.fence.dwell_s for c in of)
        shared = sum(
            log(share_chance(a.middle[0] - b.middle[0], a.middle[1] - b.middle[1])) for a, b in pairwise(of)
        )
        shared += sum(SHARED_UNPLANNED for t in targets[1:] if t.planned is None)
        place = _place(places) + split.score
        return place, need / self._mean_need, needed_s, shared, *of[0].middle, *of[-1].middle


def _place(places: Sequence[float]) -> float:
    """Place score of customers served together: the best one's, less what others lack to a perfect fit."""
    best = max(places)
    return best + sum(min(p - PEAK, 0.0) for p in places) - min(best - PEAK, 0.0)


def _number(target: Target) -> int:
    return -1 if target.planned is None else target.planned.number


def _need(target: Target) -> float:
    """How long a service should take relative to others of its standing, by its order."""
    order = target.planned.stop.order if target.planned is not None else None
    if order is None:
        return 1.0
    return 1.0 + 0.04 * (order.items or 0) + 0.08 * (order.boxes or 0) + 0.005 * (order.weight_kg or 0.0)
