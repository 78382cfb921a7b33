"""Whom each standstill served: a beam search over all evidence together, online and bounded.

A hypothesis explains the day's standstills so far: which customers each served, if any. Several customers may
share one standstill and one visit may span several. The weights of the hypotheses that survive give each
decision its confidence. (Beam search over a hidden Markov alignment of standstills to planned stops; compare
Rabiner 1989 and Lowerre 1976; `geofence/beam.py` grows the hypotheses.)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from geofence.beam import SCORE, Beam, Stand, empty_beam, grow
from geofence.evidence import Candidate, idle_dwell
from geofence.groups import NEAREST, Grouping, Target
from geofence.order import best_prior
from geofence.plan import Plan
from geofence.standstills import Standstill
from geofence.walk import Walk

WINDOW: Final = 16  # decisions older than so many standstills with candidates are final
LEADING: Final = 3  # hypotheses that say which candidates are worth a look


class Change(NamedTuple):
    """When a customer's part of a standing ended and the next one's began, and between which times."""

    at_ms: int
    low_ms: int
    high_ms: int


class Decision(NamedTuple):
    """Whom one standstill served; `resumes`: it goes on with the visit before."""

    number: int  # of the standstill
    targets: tuple[Target, ...]
    resumes: bool
    changes: tuple[Change, ...]  # from each target to the next
    length_ms: int


@dataclass(frozen=True, slots=True)
class Belief:
    """How likely one standstill served each customer, best first; the rest is nobody."""

    shares: tuple[tuple[str, float], ...]

    def of(self, customer_id: str) -> float:
        """Probability that this customer was served."""
        return next((p for c, p in self.shares if c == customer_id), 0.0)


@dataclass(slots=True)
class _Open:
    """A standstill whose decision may still change: who was looked at, and whom it may have served."""

    number: int
    customers: list[str]
    decisions: dict[int, Decision]  # by group


class Assigner:
    """Feeds standstills in order; tells the best decisions so far and how sure they are."""

    def __init__(self, plan: Plan, dwell_s: float) -> None:
        self.plan = plan
        self._grouping = Grouping(plan, dwell_s)
        self._beam = empty_beam(len(plan.stops), WINDOW + 1, NEAREST)
        self._open: list[_Open] = []
        self._settled: list[Decision] = []
        self._beliefs: dict[int, Belief] = {}  # about decisions that are final
        self.final_before = 0
        """Decisions of standstills below this index never change."""

    def copy(self) -> "Assigner":
        """An independent assigner in the same state."""
        twin = Assigner.__new__(Assigner)
        twin.plan, twin._grouping, twin._beam = self.plan, self._grouping.copy(), self._beam
        twin._open, twin._settled = list(self._open), list(self._settled)
        twin._beliefs, twin.final_before = dict(self._beliefs), self.final_before
        return twin

    def skip(self, index: int) -> None:
        """Standstill number `index` is near no customer."""
        if not self._open:
            self.final_before = index + 1

    def step(
        self, index: int, standstill: Standstill, walk: Walk, near: Sequence[Candidate]
    ) -> list[Candidate]:
        """Extend every hypothesis by what standstill number `index` may be; returns who was looked at."""
        found = self._likeliest(standstill, near)
        groups, targets, splits = self._grouping.groups(standstill, walk, found, self._beam)
        self._beam = self._with_room(len(self._grouping.customers))
        slot = len(self._open)
        self._beam = grow(self._beam, groups, self._stand(standstill), slot)
        decisions = {
            int(gid): _decision(index, standstill, of, split)
            for gid, of, split in zip(groups.whole[:, 0].tolist(), targets, splits, strict=True)
        }
        used = set(self._beam.past[:, slot, 0].tolist())
        decisions = {gid: decision for gid, decision in decisions.items() if gid in used}
        self._open.append(_Open(index, [c.customer_id for c in found], decisions))
        while len(self._open) > WINDOW:
            self._settle_oldest()
        return found

    def decisions(self, since: int = 0) -> list[Decision]:
        """The best hypothesis' decisions about standstills from index `since` on, oldest first."""
        found = [d for d in self._settled if d.number >= since]
        for slot, standing in enumerate(self._open):
            decision = self._decided(slot)
            if decision is not None and standing.number >= since:
                found.append(decision)
        return found

    def belief(self, number: int) -> Belief:
        """Whom that standstill served, as likely as is known so far."""
        slot = next((n for n, o in enumerate(self._open) if o.number == number), None)
        return self._beliefs.get(number, Belief(())) if slot is None else self._weighed(slot)

    def forget(self, number: int) -> None:
        """The belief about that standstill is not asked for any more."""
        self._beliefs.pop(number, None)

    def _stand(self, standstill: Standstill) -> Stand:
        seconds = (standstill.departed_ms - standstill.arrived_ms) / 1000
        return Stand(
            standstill.arrived_ms,
            standstill.departed_ms,
            standstill.park[0],
            standstill.park[1],
            standstill.open_ended,
            idle_dwell(round(seconds, 1), standstill.open_ended),
            bool(self.plan),
        )

    def _with_room(self, customers: int) -> Beam:
        """The beam with room for so many customers that were looked at."""
        words = customers // 64 + 1
        beam = self._beam
        if beam.seen.shape[1] >= words:
            return beam
        seen = np.zeros((len(beam.seen), 2 * words), np.uint64)
        seen[:, : beam.seen.shape[1]] = beam.seen
        return beam._replace(seen=seen)

    def _decided(self, slot: int) -> Decision | None:
        gid, resumes = self._beam.past[0, slot].tolist()
        if gid < 0:
            return None
        return self._open[slot].decisions[gid]._replace(resumes=bool(resumes))

    def _settle_oldest(self) -> None:
        """Keep to what the best hypothesis says of the oldest open standstill."""
        decision = self._decided(0)
        if decision is not None:
            self._settled.append(decision)
        oldest = self._open[0]
        self._beliefs[oldest.number] = self._weighed(0)
        beam = self._beam
        same = (beam.past[:, 0] == beam.past[0, 0]).all(axis=1)
        real, whole, served, seen, past, belief = (part[same] for part in beam)
        self._beam = Beam(real, whole, served, seen, _later(past), _later(belief))
        del self._open[0]
        self.final_before = self._open[0].number if self._open else oldest.number + 1

    def _weighed(self, slot: int) -> Belief:
        weights = np.exp(self._beam.real[:, SCORE] - self._beam.real[0, SCORE])
        chances = (weights @ self._beam.belief[:, slot]) / weights.sum()
        rounded = [round(p, 2) for p in chances.tolist()]
        ranked = sorted(zip(self._open[slot].customers, rounded, strict=False), key=lambda s: (-s[1], s[0]))
        return Belief(tuple(s for s in ranked if s[1] > 0))

    def _likeliest(self, standstill: Standstill, near: Sequence[Candidate]) -> list[Candidate]:
        """The candidates worth a look: well placed, and planned next by any of the best hypotheses."""
        if len(near) <= NEAREST:
            return list(near)
        beam = self._beam

        def promise(candidate: Candidate) -> float:
            place = candidate.parked(standstill.park, standstill.noise_m)
            place = max(place, candidate.parked(standstill.door, standstill.noise_m))
            numbers = [s.number for s in self.plan.of_customer.get(candidate.customer_id, ())]
            prior = self._grouping.unplanned
            if numbers:
                top = slice(0, LEADING)
                prior = max(
                    prior,
                    best_prior(beam.served[top], beam.whole[top, 0], beam.whole[top, 1], np.array(numbers)),
                )
            return place + prior

        return sorted(near, key=lambda c: (-promise(c), c.fence.fence_id))[:NEAREST]


def _later(slots: np.ndarray) -> np.ndarray:
    """The slots one further, the first one gone."""
    moved = np.empty_like(slots)
    moved[:, :-1] = slots[:, 1:]
    moved[:, -1] = slots[:, 0]
    return moved


def _decision(
    number: int,
    standstill: Standstill,
    targets: tuple[Target, ...],
    changes: tuple[tuple[float, float, float], ...],
) -> Decision:
    begin, whole = standstill.arrived_ms, standstill.departed_ms - standstill.arrived_ms
    times = tuple(Change(*(begin + round(whole * f) for f in change)) for change in changes)
    return Decision(number, targets, False, times, whole)
