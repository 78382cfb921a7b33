"""Pings as they arrive, one or many a message, made into columns; the bad ones told apart from the good."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Final

import msgspec
import numpy as np
import numpy.typing as npt

from geofence.errors import InvalidPing, InvalidRecord
from geofence.events import PingBatch
from geofence.ids import LONGEST_ID, flaw_of
from geofence.times import EARLIEST_MS, LATEST_MS, parse_time, parse_times, require_plausible
from streams.records.reasons import UNREADABLE, reason_of

Places = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


class PingRecord(msgspec.Struct, gc=False):
    """One ping of `gps-pings`. A negative accuracy, speed or heading is how phones say that it is unknown."""

    driver_id: str
    ts: str | int | float
    lat: float
    lon: float
    accuracy_m: float | None = None
    speed_mps: float | None = None
    heading_deg: Annotated[float, msgspec.Meta(le=360)] | None = None


@dataclass(frozen=True, slots=True)
class BadMessage:
    """Why the message at `index`, or one ping of its array (`field` begins with `[k]`), is not used."""

    index: int
    reason: str
    field: str | None


@dataclass(frozen=True, slots=True)
class DecodedPings:
    """The good pings in order, the message each came from, and what was wrong with the others."""

    batch: PingBatch
    message_index: Places
    bad: list[BadMessage]


AT_ONCE: Final = 1000
"""So many messages are decoded at once: their objects stay in the processor's cache, twice as fast."""

WORTH_SCANNING: Final = 30_000
"""So many messages at once are worth loading the scanner, which is compiled on its first use ever."""

_decode: Final = msgspec.json.Decoder(PingRecord | list[PingRecord]).decode
_decode_one: Final = msgspec.json.Decoder(PingRecord).decode
_decode_array: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode


def decode_pings(values: Sequence[bytes | None]) -> DecodedPings:
    """Pings from messages that hold one ping or an array each.

    Never raises on what the messages hold: a message, or a ping of an array, that cannot be used is in `bad`.
    """
    if not _is_worth_scanning(len(values)):
        return _decode_all(values)
    filled = [value or b"" for value in values]
    ends = np.cumsum(np.fromiter(map(len, filled), dtype=np.int64, count=len(filled)))
    begins = np.concatenate((np.zeros(1, dtype=np.int64), ends[:-1]))
    return _scanned(b"".join(filled), begins, ends, values.__getitem__)


def decode_packed(data: bytes, begins: Places, ends: Places) -> DecodedPings:
    """The same from messages that are bytes begins..ends of the data each, -1 and -1 for None."""

    def value_at(i: int) -> bytes | None:
        return None if begins[i] < 0 else data[begins[i] : ends[i]]

    if not _is_worth_scanning(len(begins)):
        return _decode_all([value_at(i) for i in range(len(begins))])
    return _scanned(data, begins, ends, value_at)


def decode_lines(data: bytes) -> DecodedPings:
    """Pings from text with one ping or an array a line, an end of line after each; indices are of lines."""
    ends = np.flatnonzero(np.frombuffer(data, dtype=np.uint8) == ord("\n"))
    if not data.endswith(b"\n"):
        ends = np.append(ends, len(data))
    if not _is_worth_scanning(len(ends)):
        return _decode_all(data.removesuffix(b"\n").split(b"\n"))
    begins = np.concatenate((np.zeros(1, dtype=np.int64), ends[:-1] + 1))
    return _scanned(data, begins, ends, lambda i: data[begins[i] : ends[i]])


def load_scanner() -> None:
    """Have compiled decoding ready, also for runs of messages that alone are not worth it."""
    import streams.records.scanning  # noqa: F401

    decode_pings([b'{"driver_id": "d", "ts": 1e9, "lat": 0, "lon": 0}'])


def _is_worth_scanning(messages: int) -> bool:
    loaded = "streams.records.scanning" in sys.modules
    return messages >= (1 if loaded else WORTH_SCANNING)


def _scanned(
    data: bytes, begins: Places, ends: Places, value_at: Callable[[int], bytes | None]
) -> DecodedPings:
    """Plain pings by the scanner, all others by msgspec; in the order of the messages."""
    from streams.records.scanning import scan

    plain, ts_ms, numbers, codes, names = scan(np.frombuffer(data, dtype=np.uint8), begins, ends)
    drivers = [data[begin:end].decode() for begin, end in names.tolist()]
    lat, lon = numbers[0], numbers[1]
    plain &= usable_places(ts_ms, lat, lon)
    endless = names[:, 1] - names[:, 0] > LONGEST_ID
    if endless.any():
        plain &= ~endless[codes]
    rest = np.flatnonzero(~plain)
    if len(rest) == 0:
        batch = PingBatch(drivers, codes, ts_ms, lat, lon, _positive(numbers[2]), _positive(numbers[3]))
        return DecodedPings(batch, np.arange(len(batch)), [])
    others = _decode_all([value_at(i) for i in rest.tolist()])
    if len(rest) == len(plain):
        return others
    batch = PingBatch(
        names=drivers,
        codes=codes[plain],
        ts_ms=ts_ms[plain],
        lat=lat[plain],
        lon=lon[plain],
        accuracy_m=_positive(numbers[2, plain]),
        speed_mps=_positive(numbers[3, plain]),
    )
    message = np.concatenate((np.flatnonzero(plain), rest[others.message_index]))
    order = np.argsort(message, kind="stable")
    bad = [replace(b, index=int(rest[b.index])) for b in others.bad]
    return DecodedPings(PingBatch.joined([batch, others.batch]).select(order), message[order], bad)


def _decode_all(values: Sequence[bytes | None]) -> DecodedPings:
    """By msgspec alone, in handfuls."""
    if len(values) <= AT_ONCE:
        return _decode_few(values)
    starts = range(0, len(values), AT_ONCE)
    parts = [_decode_few(values[start : start + AT_ONCE]) for start in starts]
    return DecodedPings(
        PingBatch.joined([part.batch for part in parts]),
        np.concatenate([part.message_index + i for i, part in zip(starts, parts, strict=True)]),
        [replace(b, index=b.index + i) for i, part in zip(starts, parts, strict=True) for b in part.bad],
    )


def _decode_few(values: Sequence[bytes | None]) -> DecodedPings:
    try:
        decoded = [_decode(value) for value in values]  # type: ignore[arg-type]  # None raises TypeError
    except UNREADABLE:
        return _one_by_one(values)
    if set(map(type, decoded)) == {PingRecord}:
        singles: list[PingRecord] = decoded
        return checked(singles, np.arange(len(singles)), None, [])
    return _flattened(decoded)


def _flattened(decoded: Sequence[PingRecord | list[PingRecord]]) -> DecodedPings:
    arrays = [[d] if isinstance(d, PingRecord) else d for d in decoded]
    counts = np.array([len(a) for a in arrays], dtype=np.int64)
    message = np.repeat(np.arange(len(arrays)), counts)
    element = np.arange(len(message)) - np.repeat(np.cumsum(counts) - counts, counts)
    single = np.array([isinstance(d, PingRecord) for d in decoded], dtype=np.bool_)
    element[np.repeat(single, counts)] = -1
    bad = [BadMessage(i, "holds no ping", None) for i, a in enumerate(arrays) if not a]
    return checked([ping for a in arrays for ping in a], message, element, bad)


def _one_by_one(values: Sequence[bytes | None]) -> DecodedPings:
    good: list[PingRecord] = []
    message: list[int] = []
    element: list[int] = []
    bad: list[BadMessage] = []
    for i, value in enumerate(values):
        for k, part in _parts(value):
            try:
                good.append(_decode_one(part))
                message.append(i)
                element.append(k)
            except UNREADABLE as error:
                bad.append(_bad(i, k, *reason_of(error)))
        if value is None or _is_empty_array(value):
            bad.append(BadMessage(i, "holds no ping", None))
    return checked(good, np.array(message, dtype=np.int64), np.array(element, dtype=np.int64), bad)


def _parts(value: bytes | None) -> list[tuple[int, bytes]]:
    """The pings of a message, each with its place in the array (-1: not an array)."""
    if value is None:
        return []
    if value.lstrip()[:1] == b"[":
        try:
            return [(k, bytes(raw)) for k, raw in enumerate(_decode_array(value))]
        except UNREADABLE:
            pass
    return [(-1, value)]


def _is_empty_array(value: bytes) -> bool:
    return b"".join(value.split()) == b"[]"


def _bad(index: int, element: int, reason: str, field: str | None) -> BadMessage:
    if element < 0:
        return BadMessage(index, reason, field)
    return BadMessage(index, reason, f"[{element}]" if field is None else f"[{element}].{field}")


def checked(
    pings: Sequence[PingRecord],
    message: Places,
    element: Places | None,
    bad: list[BadMessage],
) -> DecodedPings:
    """Columns of those pings that are possible on Earth and in our time; the others join `bad`."""
    batch = PingBatch.of_drivers(
        [p.driver_id for p in pings],
        ts_ms=parse_times([p.ts for p in pings]),
        lat=np.array([p.lat for p in pings], dtype=np.float64),
        lon=np.array([p.lon for p in pings], dtype=np.float64),
        accuracy_m=_known([p.accuracy_m for p in pings]),
        speed_mps=_known([p.speed_mps for p in pings]),
    )
    usable = usable_rows(batch)
    if usable.all():
        return DecodedPings(batch, message, _in_order(bad))
    for row in np.flatnonzero(~usable).tolist():
        place = -1 if element is None else int(element[row])
        bad.append(_bad(int(message[row]), place, *_why(pings[row])))
    return DecodedPings(batch.select(usable), message[usable], _in_order(bad))


def usable_rows(batch: PingBatch) -> Mask:
    """Which rows have a driver, a place on Earth and a time that a phone can have sent."""
    usable = usable_places(batch.ts_ms, batch.lat, batch.lon)
    flawed = np.array([flaw_of(name) is not None for name in batch.names], dtype=np.bool_)
    return usable & ~flawed[batch.codes]


def usable_places(ts_ms: Places, lat: Floats, lon: Floats) -> Mask:
    """Which are on Earth and in a time that a phone can have sent."""
    on_earth = (abs(lat) <= 90) & (abs(lon) <= 180)
    return on_earth & (ts_ms >= EARLIEST_MS) & (ts_ms < LATEST_MS)


def require_ping(driver_id: str, ts: object, lat: float, lon: float) -> int:
    """The time in ms of a ping that can be used; InvalidPing, naming the field, when it cannot."""
    if flaw := flaw_of(driver_id):
        raise InvalidPing(flaw, "driver_id")
    ts_ms = require_plausible(parse_time(ts, "ts"), "ts")
    if not abs(lat) <= 90:
        raise InvalidPing(f"{lat} is not between -90 and 90", "lat")
    if not abs(lon) <= 180:
        raise InvalidPing(f"{lon} is not between -180 and 180", "lon")
    return ts_ms


def _why(ping: PingRecord) -> tuple[str, str | None]:
    try:
        require_ping(ping.driver_id, ping.ts, ping.lat, ping.lon)
    except InvalidRecord as error:
        return error.reason, error.field
    raise AssertionError(f"{ping} is usable")


def _known(values: list[float | None]) -> Floats:
    """NaN for what was not reported and for what is negative."""
    if values.count(None) == len(values):
        return np.full(len(values), np.nan)
    return _positive(np.array(values, dtype=np.float64))  # None becomes NaN


def _positive(column: Floats) -> Floats:
    """NaN for what is negative, in place."""
    negative = column < 0
    if negative.any():
        column[negative] = np.nan
    return column


def _in_order(bad: list[BadMessage]) -> list[BadMessage]:
    return sorted(bad, key=lambda b: b.index)
