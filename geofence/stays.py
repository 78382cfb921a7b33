"""Standstills with what was found at each, and the visits that they make up."""

from collections.abc import Iterable
from dataclasses import dataclass

from geofence.assignment import Change, Decision
from geofence.evidence import Candidate
from geofence.groups import Target
from geofence.standstills import Standstill


@dataclass(frozen=True, slots=True)
class Stay:
    """A standstill with all that its records need: nothing else of the track is looked at later."""

    standstill: Standstill
    candidates: tuple[Candidate, ...]
    median_accuracy_m: float | None
    by_device: bool = False  # the phone's own events tell of it, no ping does
    by_phone: bool = False  # they tell of its beginning or end, where pings do not

    @property
    def length_ms(self) -> int:
        """How long the vehicle stood."""
        return self.standstill.departed_ms - self.standstill.arrived_ms

    def at(self, target: Target) -> Candidate | None:
        """The candidate that is this target's fence."""
        return next((c for c in self.candidates if c.fence.fence_id == target.fence_id), None)


@dataclass(slots=True)
class Visit:
    """One service at a set of customers, over one or more standstills given by number."""

    targets: tuple[Target, ...]
    parts: list[int]
    longest: Decision  # about the longest part

    @property
    def changes(self) -> tuple[Change, ...]:
        """From each target to the next, during the longest part."""
        return self.longest.changes


def group(decisions: Iterable[Decision]) -> list[Visit]:
    """Visits in the order they began; a decision that resumes adds to the visit before it."""
    visits: list[Visit] = []
    for decision in decisions:
        if decision.resumes and visits:
            visits[-1].parts.append(decision.number)
            if decision.length_ms > visits[-1].longest.length_ms:
                visits[-1].longest = decision
        else:
            visits.append(Visit(decision.targets, [decision.number], decision))
    return visits
