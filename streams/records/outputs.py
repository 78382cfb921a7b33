"""The records that leave, with exactly the contract's fields, and back again."""

from base64 import b64encode
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import version
from typing import Final

import msgspec

from geofence.errors import InvalidRecord
from geofence.events import FenceEvent, RunnerUp, ServiceTime, VisitStatus
from geofence.times import LATEST_MS, format_time, parse_time
from streams.records.reasons import read

SCHEMA_VERSION: Final = 1
"""Counts changes of the service-times record that a reader could trip over."""


@cache
def engine_version() -> str:
    """The version of this package."""
    return version("servicetime")


class RunnerUpRecord(msgspec.Struct, frozen=True):
    """The customer that would have been named instead."""

    customer_id: str
    confidence: float


class ServiceTimeRecord(msgspec.Struct, frozen=True):
    """A record of `service-times`."""

    visit_id: str
    revision: int
    status: str
    driver_id: str
    customer_id: str
    fence_id: str
    route_id: str | None
    stop_id: str | None
    arrived_at: str
    departed_at: str
    service_time_s: float
    entered_at: str | None
    exited_at: str | None
    parking_search_s: float
    arrived_between: tuple[str, str]
    departed_between: tuple[str, str]
    confidence: float
    runner_up: RunnerUpRecord | None
    shared_with: tuple[str, ...]
    share_method: str | None
    pings: int
    max_gap_s: float
    median_accuracy_m: float | None
    flags: tuple[str, ...]
    schema_version: int
    engine_version: str
    config_hash: str


class FenceEventRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """A record of `geofence-events`."""

    type: str
    driver_id: str
    customer_id: str
    fence_id: str
    ts: str
    visit_id: str | None = None
    reason: str | None = None


MOST_OF_VALUE: Final = 512 * 2**10
"""A dead letter keeps so many bytes of its message, so that as text they fit into a message again."""

MOST_OF_REASON: Final = 500


class DeadLetter(msgspec.Struct, frozen=True, omit_defaults=True):
    """A record of `dead-letters`: an input message that could not be used, where it stood, and why."""

    topic: str
    partition: int
    offset: int
    received_at: str
    reason: str
    value_base64: str
    field: str | None = None
    value_bytes: int | None = None
    """How long the message is, where `value_base64` is only its beginning."""

    @classmethod
    def of(
        cls,
        topic: str,
        partition: int,
        offset: int,
        received_ms: int,
        reason: str,
        field: str | None,
        value: bytes | None,
        room: int = MOST_OF_VALUE,
    ) -> "DeadLetter":
        """A dead letter with so many bytes of that message; a null value becomes empty text."""
        whole = value or b""
        text, longer = b64encode(whole[:room]).decode(), len(whole) if len(whole) > room else None
        received_at = format_time(min(max(0, received_ms), LATEST_MS))  # as a producer may have it
        why = reason[:MOST_OF_REASON]
        return cls(topic, partition, offset, received_at, why, text, field, longer)


def rooms(messages: Iterable[tuple[int, bytes | None]]) -> Iterator[int]:
    """How much of its message each of several letters may keep: those of one share what a single one may.

    A message (its number and value) has a letter for each bad ping in its array, one after the other.
    """
    latest, room = -1, 0
    for number, value in messages:
        if number != latest:
            latest, room = number, MOST_OF_VALUE
        yield room
        room = max(0, room - len(value or b""))


class ModelRef(msgspec.Struct, frozen=True):
    """Which model said it."""

    name: str
    version: str


class TopFactor(msgspec.Struct, frozen=True):
    """A feature and the seconds it adds to a prediction."""

    feature: str
    effect_s: float


class StopPrediction(msgspec.Struct, frozen=True):
    """A record of `stop-predictions`."""

    stop_id: str
    route_id: str
    driver_id: str
    customer_id: str
    predicted_at: str
    p50_s: float
    p90_s: float
    expected_s: float
    model: ModelRef | None
    fallback: str | None
    top_factors: tuple[TopFactor, ...]
    arm: str | msgspec.UnsetType = msgspec.UNSET


_decode_service_time: Final = msgspec.json.Decoder(ServiceTimeRecord).decode


def service_time_record(visit: ServiceTime) -> ServiceTimeRecord:
    """A visit as the topic `service-times` carries it."""
    other = visit.runner_up
    return ServiceTimeRecord(
        visit_id=visit.visit_id,
        revision=visit.revision,
        status=visit.status.value,
        driver_id=visit.driver_id,
        customer_id=visit.customer_id,
        fence_id=visit.fence_id,
        route_id=visit.route_id,
        stop_id=visit.stop_id,
        arrived_at=format_time(visit.arrived_ms),
        departed_at=format_time(visit.departed_ms),
        service_time_s=visit.service_time_s,
        entered_at=_optional(visit.entered_ms),
        exited_at=_optional(visit.exited_ms),
        parking_search_s=visit.parking_search_s,
        arrived_between=_pair(visit.arrived_between_ms),
        departed_between=_pair(visit.departed_between_ms),
        confidence=visit.confidence,
        runner_up=None if other is None else RunnerUpRecord(other.customer_id, other.confidence),
        shared_with=visit.shared_with,
        share_method=visit.share_method,
        pings=visit.pings,
        max_gap_s=visit.max_gap_s,
        median_accuracy_m=visit.median_accuracy_m,
        flags=visit.flags,
        schema_version=SCHEMA_VERSION,
        engine_version=engine_version(),
        config_hash=visit.config_hash,
    )


def fence_event_record(event: FenceEvent) -> FenceEventRecord:
    """A fence event as the topic `geofence-events` carries it."""
    return FenceEventRecord(
        type=event.type.value,
        driver_id=event.driver_id,
        customer_id=event.customer_id,
        fence_id=event.fence_id,
        ts=format_time(event.ts_ms),
        visit_id=event.visit_id,
        reason=None if event.reason is None else event.reason.value,
    )


def decode_service_time(value: bytes) -> ServiceTime:
    """A visit from a record of `service-times`; raises InvalidRecord."""
    record = read(_decode_service_time, value, InvalidRecord)
    other = record.runner_up
    if record.status not in set(VisitStatus):
        raise InvalidRecord(f"{record.status!r} is no status", "status")
    return ServiceTime(
        visit_id=record.visit_id,
        revision=record.revision,
        status=VisitStatus(record.status),
        driver_id=record.driver_id,
        customer_id=record.customer_id,
        fence_id=record.fence_id,
        route_id=record.route_id,
        stop_id=record.stop_id,
        arrived_ms=parse_time(record.arrived_at, "arrived_at"),
        departed_ms=parse_time(record.departed_at, "departed_at"),
        service_time_s=record.service_time_s,
        entered_ms=_optional_ms(record.entered_at, "entered_at"),
        exited_ms=_optional_ms(record.exited_at, "exited_at"),
        parking_search_s=record.parking_search_s,
        arrived_between_ms=_pair_ms(record.arrived_between, "arrived_between"),
        departed_between_ms=_pair_ms(record.departed_between, "departed_between"),
        confidence=record.confidence,
        runner_up=None if other is None else RunnerUp(other.customer_id, other.confidence),
        shared_with=record.shared_with,
        share_method=record.share_method,
        pings=record.pings,
        max_gap_s=record.max_gap_s,
        median_accuracy_m=record.median_accuracy_m,
        flags=record.flags,
        config_hash=record.config_hash,
    )


def _optional(ts_ms: int | None) -> str | None:
    return None if ts_ms is None else format_time(ts_ms)


def _pair(times_ms: tuple[int, int]) -> tuple[str, str]:
    return format_time(times_ms[0]), format_time(times_ms[1])


def _optional_ms(text: str | None, field: str) -> int | None:
    return None if text is None else parse_time(text, field)


def _pair_ms(texts: tuple[str, str], field: str) -> tuple[int, int]:
    return parse_time(texts[0], field), parse_time(texts[1], field)
