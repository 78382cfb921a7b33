"""Reads what detection is judged by: service-time records of any program, and the truth of a simulation."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import msgspec

from geofence.errors import InvalidRecord
from geofence.times import parse_time
from simulation.scoring import Claim, Served
from streams.files.records import each_line
from streams.records.reasons import read

if TYPE_CHECKING:
    import pandas as pd

Time = str | int | float


class ClaimLine(msgspec.Struct):
    """What judging needs of a `service-times` record."""

    visit_id: str
    driver_id: str
    customer_id: str
    arrived_at: Time
    departed_at: Time
    service_time_s: float
    stop_id: str | None = None
    confidence: float | None = None
    arrived_between: tuple[Time, Time] | None = None
    departed_between: tuple[Time, Time] | None = None
    revision: int = 1
    status: str = "completed"


class TruthLine(msgspec.Struct):
    """A line of truth.jsonl."""

    driver_id: str
    customer_id: str
    arrived_at: Time
    departed_at: Time
    stop_id: str | None = None
    edge: bool = False
    group: int = 1
    law_s: float | None = None


_claim_line: Final = msgspec.json.Decoder(ClaimLine).decode
_truth_line: Final = msgspec.json.Decoder(TruthLine).decode


def read_claims(path: str) -> Iterator[Claim]:
    """The records of a `service-times` file, all revisions. UnreadableInput names file, line and field."""
    return each_line(path, decode_claim)


def claims_of(visits: "pd.DataFrame") -> list[Claim]:
    """Rows of the training table as the scorer knows them."""
    stops = visits["stop_id"].astype(object).where(visits["stop_id"].notna(), None)
    arrived, departed = (
        visits[name].to_numpy(dtype="datetime64[ms]").astype("int64") / 1000
        for name in ("arrived_at", "departed_at")
    )
    columns = (
        visits["visit_id"],
        visits["driver_id"],
        visits["customer_id"],
        stops,
        arrived.tolist(),
        departed.tolist(),
        visits["service_time_s"].tolist(),
    )
    return [Claim(*values) for values in zip(*columns, strict=True)]


def read_truth(path: str) -> Iterator[Served]:
    """The rows of a truth file. UnreadableInput names the file, line and field."""
    return each_line(path, decode_truth)


def decode_claim(value: bytes) -> Claim:
    """A record as the scorer knows it. Raises InvalidRecord."""
    line = read(_claim_line, value, InvalidRecord)
    return Claim(
        visit_id=line.visit_id,
        driver_id=line.driver_id,
        customer_id=line.customer_id,
        stop_id=line.stop_id,
        arrived_s=_seconds(line.arrived_at, "arrived_at"),
        departed_s=_seconds(line.departed_at, "departed_at"),
        service_time_s=line.service_time_s,
        confidence=line.confidence,
        arrived_between_s=_pair(line.arrived_between, "arrived_between"),
        departed_between_s=_pair(line.departed_between, "departed_between"),
        revision=line.revision,
        retracted=line.status == "retracted",
    )


def decode_truth(value: bytes) -> Served:
    """A row of truth. Raises InvalidRecord."""
    line = read(_truth_line, value, InvalidRecord)
    arrived_s = _seconds(line.arrived_at, "arrived_at")
    departed_s = _seconds(line.departed_at, "departed_at")
    if departed_s < arrived_s:
        raise InvalidRecord("is before arrived_at", "departed_at")
    return Served(
        driver_id=line.driver_id,
        stop_id=line.stop_id,
        customer_id=line.customer_id,
        arrived_s=arrived_s,
        departed_s=departed_s,
        edge=line.edge,
        group=line.group,
        law_s=line.law_s,
    )


def _seconds(value: Time, field: str) -> float:
    """Epoch seconds; a number is taken as it is, finer than milliseconds too."""
    ts_ms = parse_time(value, field)
    return ts_ms / 1000 if isinstance(value, str) else float(value)


def _pair(values: tuple[Time, Time] | None, field: str) -> tuple[float, float] | None:
    return None if values is None else (_seconds(values[0], field), _seconds(values[1], field))
