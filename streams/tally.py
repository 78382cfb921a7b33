"""What a replay tells, as it is written and counted."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

from geofence.events import Output, ServiceTime, VisitStatus
from streams.files.writing import lines_of


class Wanted(NamedTuple):
    """What of the outputs is used, beside the records of `service-times`."""

    events: bool
    rows: bool
    """The visits themselves, for a table."""


class Told(NamedTuple):
    """Lines of JSON, and the visits in them where these are wanted."""

    visits: bytes = b""
    events: bytes = b""
    rows: Sequence[ServiceTime] = ()


@dataclass(frozen=True, slots=True)
class Totals:
    """How many pings ended how, and how much was told of them; `visits` are those that hold in the end."""

    used: int = 0
    duplicate: int = 0
    too_late: int = 0
    records: int = 0
    visits: int = 0
    events: int = 0

    def __add__(self, other: Self) -> "Totals":
        return Totals(*(getattr(self, n) + getattr(other, n) for n in self.__slots__))


class Tally:
    """Writes outputs as lines and counts them."""

    def __init__(self, wanted: Wanted) -> None:
        self.records = 0
        self.events = 0
        self._wanted = wanted
        self._standing: set[str] = set()

    @property
    def visits(self) -> int:
        """Visits that hold after all that was told."""
        return len(self._standing)

    def told(self, outputs: Sequence[Output]) -> Told:
        """The outputs, in their order, as they are written."""
        visits = [o for o in outputs if isinstance(o, ServiceTime)]
        for visit in visits:
            if visit.status is VisitStatus.RETRACTED:
                self._standing.discard(visit.visit_id)
            else:
                self._standing.add(visit.visit_id)
        self.records += len(visits)
        self.events += len(outputs) - len(visits)
        events = [o for o in outputs if not isinstance(o, ServiceTime)] if self._wanted.events else []
        rows = visits if self._wanted.rows else ()
        return Told(b"".join(lines_of(visits)), b"".join(lines_of(events)), rows)
