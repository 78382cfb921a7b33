"""Standstills with what was found at each, and the visits that they make up."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from geofence.assignment import Change, Decision
from geofence.clock import NEVER_MS
from geofence.evidence import Candidate
from geofence.groups import Target
from geofence.standstills import Standstill


@dataclass(frozen=True, slots=True)
class Stay:
    """A standstill with all that its records need: nothing else of the track is looked at later."""

    standstill: Standstill
    candidates: tuple[Candidate, ...]
    median_accuracy_m: float | None
    crossed: Sequence[Sequence[int]] = ()  # when each of their fences was entered and left, or NEVER_MS
    by_device: bool = False  # the phone's own events tell of it, no ping does
    by_phone: bool = False  # they tell of its beginning or end, where pings do not

    @property
    def length_ms(self) -> int:
        """How long the vehicle stood."""
        return self.standstill.departed_ms - self.standstill.arrived_ms

    def at(self, target: Target) -> Candidate | None:
        """The candidate that is this target's fence."""
        row = self._row(target)
        return None if row is None else self.candidates[row]

    def crossed_at(self, target: Target) -> tuple[int | None, int | None]:
        """When this target's fence was entered before and left after; None where that does not show."""
        row = self._row(target)
        if row is None:
            return None, None
        entered_ms, exited_ms = self.crossed[row]
        return _seen(entered_ms), _seen(exited_ms)

    def _row(self, target: Target) -> int | None:
        for row, candidate in enumerate(self.candidates):
            if candidate.fence.fence_id == target.fence_id:
                return row
        return None


class Visit:
    """One service at a set of customers, over one or more standstills given by number."""

    __slots__ = ("changes", "customers", "decisions", "longest", "parts", "rests", "targets")

    def __init__(self, decisions: Sequence[Decision]) -> None:
        longest = max(decisions, key=_length) if len(decisions) > 1 else decisions[0]
        self.decisions = decisions
        self.parts = [d.number for d in decisions]
        self.targets = decisions[0].targets
        self.customers = frozenset([t.customer_id for t in self.targets])
        self.longest = longest.number
        self.changes: tuple[Change, ...] = longest.changes  # from each part to the next
        self.rests = longest.rests  # how many were served before a break, -1 without one

    @property
    def spans(self) -> bool:
        """Whether several customers were served over several standstills, none of them a break."""
        return len(self.parts) > 1 and len(self.targets) > 1 and self.rests < 0


def group(decisions: Iterable[Decision]) -> list[list[Decision]]:
    """The decisions of each visit, in the order they began; one that resumes belongs to the visit before."""
    visits: list[list[Decision]] = []
    for decision in decisions:
        if decision.resumes and visits:
            visits[-1].append(decision)
        else:
            visits.append([decision])
    return visits


def _seen(ts_ms: int) -> int | None:
    return None if ts_ms == NEVER_MS else ts_ms


def _length(decision: Decision) -> int:
    return decision.length_ms
