"""What goes into detection and the past-tense facts that come out; times are milliseconds since 1970, UTC."""

from dataclasses import dataclass
from enum import StrEnum
from math import nan
from typing import Final

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


@dataclass(frozen=True, slots=True)
class PingBatch:
    """Many pings as columns of one length; NaN stands for an accuracy or speed that was not reported."""

    driver_ids: list[str]
    ts_ms: npt.NDArray[np.int64]
    lat: npt.NDArray[np.float64]
    lon: npt.NDArray[np.float64]
    accuracy_m: npt.NDArray[np.float64]
    speed_mps: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.driver_ids)

    @classmethod
    def of(cls, pings: "list[Ping]") -> "PingBatch":
        """Columns of these pings, in their order."""
        return cls(
            driver_ids=[p.driver_id for p in pings],
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


class FenceEvent(msgspec.Struct, frozen=True):
    """One record of `geofence-events`."""

    type: FenceEventType
    driver_id: str
    customer_id: str
    fence_id: str
    ts_ms: int
    visit_id: str | None = None
    reason: Rejection | None = None


class RunnerUp(msgspec.Struct, frozen=True):
    """The customer that would have been named instead."""

    customer_id: str
    confidence: float


class ServiceTime(msgspec.Struct, frozen=True):
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
