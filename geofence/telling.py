"""What was told of a driver's visits, and what to tell anew: revisions and retractions."""

from bisect import bisect
from collections.abc import Set
from hashlib import blake2b
from typing import Final

import msgspec
from msgspec.structs import replace

from geofence.day import Day
from geofence.events import Output, ServiceTime, VisitStatus
from geofence.visits import Report

SURE: Final = (0.5, 0.8, 0.95)
"""A visit of which only the confidence changes is told anew when that passes one of these, and in the end."""


class Told(msgspec.Struct, array_like=True):
    """The latest revision of a visit that went out, without what can be derived again."""

    revision: int
    digest: bytes
    day: int  # serial of the day that told it
    customer_id: str
    fence_id: str
    route_id: str | None
    stop_id: str | None
    arrived_ms: int
    departed_ms: int
    retracted: bool = False
    gist: bytes = b""  # the digest of all but how sure it is


class Teller:
    """Compares what follows from the data with what was told, and tells the difference."""

    def __init__(self, driver_id: str, config_hash: str) -> None:
        self.told: dict[str, Told] = {}
        self._compared: dict[str, ServiceTime] = {}  # the records that `told` was last compared with
        self._held: set[str] = set()  # of these, those that differ from it by how sure they are
        self._driver_id = driver_id
        self._config_hash = config_hash

    def ids_of(self, serial: int) -> Set[str]:
        """The visits that a day has told and that stand."""
        return {v for v, told in self.told.items() if told.day == serial and not told.retracted}

    def forget(self, serial: int) -> None:
        """A day is let go."""
        self.told = {v: told for v, told in self.told.items() if told.day != serial}
        self._compared = {v: record for v, record in self._compared.items() if v in self.told}
        self._held &= self._compared.keys()

    def tell(self, day: Day, report: Report, decided_ms: int) -> list[Output]:
        """Records that are new or changed, retractions of those that are no more, and events."""
        outputs: list[Output] = []
        for n, record in enumerate(report.records):
            visit_id, for_good = record.visit_id, day.finished or n < report.settled
            if self._compared.get(visit_id) is not record or (for_good and visit_id in self._held):
                self._revise(day, record, for_good, outputs)
                self._compared[visit_id] = record
        if report.looked:
            now = {r.visit_id for r in report.records}
            day.open |= now
            for visit_id in sorted(day.open.difference(now, report.waiting)):
                self._withdraw(day, visit_id, decided_ms, outputs)
            for record in report.records[: report.settled]:
                day.open.discard(record.visit_id)
                self._compared.pop(record.visit_id, None)
        return [*outputs, *report.events]

    def _revise(self, day: Day, record: ServiceTime, for_good: bool, outputs: list[Output]) -> None:
        self._held.discard(record.visit_id)
        told = self.told.get(record.visit_id)
        sure = float(bisect(SURE, record.confidence))
        gist = _digest(replace(record, confidence=sure, runner_up=None))
        if told is not None and told.gist == gist and not told.retracted and not for_good:
            self._held.add(record.visit_id)
            told.day = day.serial
            return
        digest = _digest(record)
        if told is not None and told.digest == digest and not told.retracted:
            told.day = day.serial
            return
        revision = 1 if told is None else told.revision + 1
        flags = record.flags
        if day.late and told is not None:
            flags = (*flags, "late_revision")
        self.told[record.visit_id] = Told(
            revision,
            digest,
            day.serial,
            record.customer_id,
            record.fence_id,
            record.route_id,
            record.stop_id,
            record.arrived_ms,
            record.departed_ms,
            gist=gist,
        )
        outputs.append(record if revision == 1 else replace(record, revision=revision, flags=flags))

    def _withdraw(self, day: Day, visit_id: str, decided_ms: int, outputs: list[Output]) -> None:
        told = self.told.get(visit_id)
        if told is None or told.retracted or told.day != day.serial:
            day.open.discard(visit_id)
        elif told.departed_ms <= decided_ms:
            day.open.discard(visit_id)
            self._compared.pop(visit_id, None)
            told.revision, told.retracted, told.digest = told.revision + 1, True, b""
            outputs.append(self._retraction(visit_id, told))

    def _retraction(self, visit_id: str, told: Told) -> ServiceTime:
        return ServiceTime(
            visit_id=visit_id,
            revision=told.revision,
            status=VisitStatus.RETRACTED,
            driver_id=self._driver_id,
            customer_id=told.customer_id,
            fence_id=told.fence_id,
            route_id=told.route_id,
            stop_id=told.stop_id,
            arrived_ms=told.arrived_ms,
            departed_ms=told.departed_ms,
            service_time_s=0.0,
            entered_ms=None,
            exited_ms=None,
            parking_search_s=0.0,
            arrived_between_ms=(told.arrived_ms, told.arrived_ms),
            departed_between_ms=(told.departed_ms, told.departed_ms),
            confidence=0.0,
            runner_up=None,
            shared_with=(),
            share_method=None,
            pings=0,
            max_gap_s=0.0,
            median_accuracy_m=None,
            flags=(),
            config_hash=self._config_hash,
        )


def _digest(record: ServiceTime) -> bytes:
    return blake2b(msgspec.msgpack.encode(record), digest_size=8).digest()
