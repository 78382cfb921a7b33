"""What goes into detection and the past-tense facts that come out; times are milliseconds since 1970, UTC."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import nan
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

UNKNOWN: Final = nan
"""How a column says that a phone did not report accuracy or speed."""


@dataclass(frozen=True, slots=True)
class Ping:
    """One GPS fix of one driver."""

    driver_id: str
    ts_ms: int
    lat: float
    lon: float
    accuracy_m: float | None = None
    speed_mps: float | None = None
    heading_deg: float | None = None


Places = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class PingBatch:
    """Many pings as columns of one length; NaN stands for an accuracy or speed that was not reported.

    `names` are drivers' ids, each once, and `codes` the place of each ping's driver among them. There may be
    names without a ping.
    """

    names: list[str]
    codes: npt.NDArray[np.int32]
    ts_ms: npt.NDArray[np.int64]
    lat: npt.NDArray[np.float64]
    lon: npt.NDArray[np.float64]
    accuracy_m: npt.NDArray[np.float64]
    speed_mps: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def driver_ids(self) -> list[str]:
        """The id of each ping's driver; a new list each time."""
        return list(map(self.names.__getitem__, self.codes.tolist()))

    def turns(self) -> list[str]:
        """The drivers that have pings, in the order in which they first appear."""
        first = np.full(len(self.names), -1)
        first[self.codes[::-1]] = np.arange(len(self))[::-1]  # of a code given again, the last one stays
        return [self.names[code] for code in self.codes[np.sort(first[first >= 0])].tolist()]

    def select(self, rows: Mask | Places) -> "PingBatch":
        """The rows for which a mask is true, or that are numbered."""
        return PingBatch(
            self.names,
            self.codes[rows],
            self.ts_ms[rows],
            self.lat[rows],
            self.lon[rows],
            self.accuracy_m[rows],
            self.speed_mps[rows],
        )

    @classmethod
    def joined(cls, batches: "Sequence[PingBatch]") -> "PingBatch":
        """One batch of several, in their order."""
        if len(batches) == 1:
            return batches[0]
        if not batches:
            return cls.of([])
        names: dict[str, int] = {}
        codes = []
        for batch in batches:
            code_of = [names.setdefault(name, len(names)) for name in batch.names]
            codes.append(np.array(code_of, dtype=np.int32)[batch.codes])
        return cls(
            list(names),
            np.concatenate(codes),
            np.concatenate([b.ts_ms for b in batches]),
            np.concatenate([b.lat for b in batches]),
            np.concatenate([b.lon for b in batches]),
            np.concatenate([b.accuracy_m for b in batches]),
            np.concatenate([b.speed_mps for b in batches]),
        )

    @classmethod
    def of_drivers(cls, driver_ids: Sequence[str], **columns: npt.NDArray[Any]) -> "PingBatch":
        """Columns of pings of which each one's driver is given."""
        names: dict[str, int] = {}
        codes = [names.setdefault(d, len(names)) for d in driver_ids]
        return cls(list(names), np.array(codes, dtype=np.int32), **columns)

    @classmethod
    def of(cls, pings: "list[Ping]") -> "PingBatch":
        """Columns of these pings, in their order."""
        return cls.of_drivers(
            [p.driver_id for p in pings],
            ts_ms=np.array([p.ts_ms for p in pings], dtype=np.int64),
            lat=np.array([p.lat for p in pings], dtype=np.float64),
            lon=np.array([p.lon for p in pings], dtype=np.float64),
            accuracy_m=np.array([UNKNOWN if p.accuracy_m is None else p.accuracy_m for p in pings]),
            speed_mps=np.array([UNKNOWN if p.speed_mps is None else p.speed_mps for p in pings]),
        )


class FenceEventType(StrEnum):
    """What happened between a driver and a fence."""

    ENTERED = "entered"
    DWELLED = "dwelled"
    EXITED = "exited"
    REJECTED = "rejected"


class Rejection(StrEnum):
    """Why a candidate did not become a visit."""

    PASS_BY = "pass_by"
    TOO_SHORT = "too_short"
    OTHER_CUSTOMER = "other_customer"
    NOT_ON_ROUTE = "not_on_route"
    QUEUEING = "queueing"
    BREAK = "break"
    LOW_ACCURACY = "low_accuracy"


class VisitStatus(StrEnum):
    """How final a visit is."""

    COMPLETED = "completed"
    OPEN_ENDED = "open_ended"
    RETRACTED = "retracted"


@dataclass(frozen=True, slots=True)
class DeviceFenceEvent:
    """An entry (`entered`) or exit (`exited`) that the phone itself found."""

    driver_id: str
    fence_id: str
    type: FenceEventType
    ts_ms: int


class FenceEvent(msgspec.Struct, frozen=True, gc=False):
    """One record of `geofence-events`."""

    type: FenceEventType
    driver_id: str
    customer_id: str
    fence_id: str
    ts_ms: int
    visit_id: str | None = None
    reason: Rejection | None = None


class RunnerUp(msgspec.Struct, frozen=True, gc=False):
    """The customer that would have been named instead."""

    customer_id: str
    confidence: float


class ServiceTime(msgspec.Struct, frozen=True, gc=False):
    """One revision of one visit: a record of `service-times`."""

    visit_id: str
    revision: int
    status: VisitStatus
    driver_id: str
    customer_id: str
    fence_id: str
    route_id: str | None
    stop_id: str | None
    arrived_ms: int
    departed_ms: int
    service_time_s: float
    entered_ms: int | None
    exited_ms: int | None
    parking_search_s: float
    arrived_between_ms: tuple[int, int]
    departed_between_ms: tuple[int, int]
    confidence: float
    runner_up: RunnerUp | None
    shared_with: tuple[str, ...]
    share_method: str | None
    pings: int
    max_gap_s: float
    median_accuracy_m: float | None
    flags: tuple[str, ...]
    config_hash: str


Output = ServiceTime | FenceEvent
