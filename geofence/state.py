"""What of a driver is persisted, and how it comes back: pings and device events kept, what was told, routes.

Everything else follows from these. Pings go out as small tail chunks, one a call; every eighth takes in the
seven before it, and so on in levels, so that there are few at any time and each ping is written few times
over (a log-structured merge, O'Neil et al. 1996). In the end they are full chunks, written once. The number
of a tail chunk is used again when it has been taken in; its epoch and first row tell whether it still counts.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from geofence import zstd
from geofence.clock import AGREEING, Clock
from geofence.day import Day
from geofence.decoding import COLUMNS
from geofence.device import DeviceEvent
from geofence.routes import Route
from geofence.saved import CHUNK_ROWS, Tail
from geofence.telling import Told
from geofence.track import ROW_BYTES, Rows

if TYPE_CHECKING:
    from geofence.driver import Driver

TAILS: Final = 1 << 20  # numbers of a day's tail chunks begin here
DEVICE: Final = (1 << 21) - 1  # number of the chunk with a day's device events
DAY_NUMBERS: Final = 1 << 21  # numbers that one day may use
ROUTES: Final = 1 << 60  # numbers of chunks that hold routes begin here
ZSTD: Final = b"\x28\xb5\x2f\xfd"  # with which its frames begin (RFC 8878)


_encode: Final = msgspec.msgpack.Encoder().encode


class _Chunk(msgspec.Struct, array_like=True):
    epoch: int
    first_row: int
    rows: bytes
    level: int = 0


class _DayHead(msgspec.Struct, array_like=True):
    serial: int
    epoch: int
    finished: bool
    carry: list[str]


class _DriverHead(msgspec.Struct, array_like=True):
    days: list[_DayHead]
    serial: int
    told: dict[str, Told]


@dataclass(slots=True)
class StateDelta:
    """What changed of a driver: the new head (None: as before; b"": delete) and chunks (None: delete)."""

    head: bytes | None
    chunks: dict[int, bytes | None] = field(default_factory=dict)


def delta(driver: "Driver") -> StateDelta:
    """What to persist since the last call."""
    found = StateDelta(None)
    if not driver.touched:  # pings that only add to the day under way are all there is
        for day in driver.days[-1:]:
            _save_rows(day, found)
        return found
    for day in driver.gone:
        _forget(day, found)
    driver.gone.clear()
    for day in driver.days:
        _save_rows(day, found)
        _save_device(day, found)
    if driver.new_routes or len(driver.saved_routes) != len(driver.routes):
        _save_routes(driver, found)
    _save_head(driver, found)
    return found


def _save_head(driver: "Driver", found: StateDelta) -> None:
    days = [_DayHead(d.serial, d.saved.epoch, d.finished, sorted(d.carry)) for d in driver.days]
    head = msgspec.msgpack.encode(_DriverHead(days, driver.serial, driver.teller.told))
    digest = blake2b(head, digest_size=8).digest()
    if digest != driver.saved_head:
        driver.saved_head = digest
        found.head = head
    driver.touched = False


def deletion(driver: "Driver") -> StateDelta:
    """What to persist so that nothing of the driver remains."""
    found = StateDelta(b"")
    for day in [*driver.gone, *driver.days]:
        _forget(day, found)
    found.chunks.update(dict.fromkeys(driver.saved_routes.values()))
    return found


def restore(driver: "Driver", head: bytes, chunks: Mapping[int, bytes]) -> None:
    """Fill a new driver with persisted state; what was derived is derived again when needed."""
    kept = msgspec.msgpack.decode(head, type=_DriverHead)
    driver.serial, driver.teller.told = kept.serial, kept.told
    for told in kept.days:
        day = Day(told.serial)
        day.finished, day.carry, day.events_after_ms = told.finished, frozenset(told.carry), None
        day.passes_after_ms = None
        _load_rows(day, told.epoch, chunks)
        _load_device(day, chunks)
        if len(day.track) or day.device.events:
            driver.days.append(day)
    for number, value in chunks.items():
        if number >= ROUTES:
            route = msgspec.msgpack.decode(value, type=Route)
            driver.routes[route.route_id] = route
            driver.saved_routes[route.route_id] = number
    driver.saved_head, driver.touched = blake2b(head, digest_size=8).digest(), False
    driver.clock = _clock(driver.days)
    driver.device_ms = max(
        [driver.device_ms, *(d.device.events[-1].ts_ms for d in driver.days if d.device.events)]
    )
    driver.note_worked()


def _clock(days: list[Day]) -> Clock:
    """The clock as the newest pings of these days set it."""
    newest: set[int] = set()
    for day in days:
        own: set[int] = set()
        for row in range(len(day.track) - 1, -1, -1):
            own.add(day.track.ts_ms(row))
            if len(own) == AGREEING:
                break
        newest |= own
    return Clock(newest)


def _save_rows(day: Day, found: StateDelta) -> None:
    saved, track = day.saved, day.track
    base = day.serial * DAY_NUMBERS
    full = len(track) // CHUNK_ROWS
    for k in range(saved.full, full):
        rows = track.matrix(k * CHUNK_ROWS, (k + 1) * CHUNK_ROWS)
        found.chunks[base + k] = _pack(_Chunk(0, k * CHUNK_ROWS, _squeeze(rows)))
    if full > saved.full:
        saved.full = full
        saved.drop_tails()
        saved.rows = full * CHUNK_ROWS
    if len(track) > saved.rows:
        tail = saved.next_tail()
        tail_rows = track.rows[tail.first_row * COLUMNS :].tobytes()
        found.chunks[base + TAILS + tail.number] = _pack(
            _Chunk(saved.epoch, tail.first_row, tail_rows, tail.level)
        )
        saved.rows = len(track)


def _load_rows(day: Day, epoch: int, chunks: Mapping[int, bytes]) -> None:
    base = day.serial * DAY_NUMBERS
    parts: list[bytes] = []
    while (chunk := chunks.get(base + len(parts))) is not None:
        parts.append(_spread(_unpack(chunk).rows))
    day.saved.full, day.saved.epoch = len(parts), epoch
    first, end = base + TAILS, base + DEVICE
    tails = [(n - first, _unpack(v)) for n, v in chunks.items() if first <= n < end]
    rows = sum(map(len, parts)) // ROW_BYTES
    for first_row, _, number, tail in sorted([(t.first_row, -len(t.rows), n, t) for n, t in tails]):
        if tail.epoch == epoch and first_row == rows:
            parts.append(tail.rows)
            rows += len(tail.rows) // ROW_BYTES
            day.saved.add_tail(Tail(first_row, number, tail.level))
    day.track.extend(b"".join(parts))
    day.saved.rows = rows
    day.saved.most_tails = max([number + 1 for number, _ in tails], default=0)


def _save_device(day: Day, found: StateDelta) -> None:
    if not day.saved.device:
        day.saved.device = True
        found.chunks[day.serial * DAY_NUMBERS + DEVICE] = msgspec.msgpack.encode(day.device.events)


def _load_device(day: Day, chunks: Mapping[int, bytes]) -> None:
    value = chunks.get(day.serial * DAY_NUMBERS + DEVICE)
    if value is not None:
        day.device.events = msgspec.msgpack.decode(value, type=list[DeviceEvent])


def _save_routes(driver: "Driver", found: StateDelta) -> None:
    for route_id in [r for r in driver.saved_routes if r not in driver.routes]:
        found.chunks[driver.saved_routes.pop(route_id)] = None
    for route_id in sorted(driver.new_routes):
        number = ROUTES + int.from_bytes(blake2b(route_id.encode(), digest_size=6).digest())
        driver.saved_routes[route_id] = number
        found.chunks[number] = msgspec.msgpack.encode(driver.routes[route_id])
    driver.new_routes.clear()


def _forget(day: Day, found: StateDelta) -> None:
    base = day.serial * DAY_NUMBERS
    numbers = [*range(base, base + day.saved.full)]
    numbers += range(base + TAILS, base + TAILS + day.saved.most_tails)
    if day.device.events:
        numbers.append(base + DEVICE)
    found.chunks.update(dict.fromkeys(numbers))


def _pack(chunk: _Chunk) -> bytes:
    return _encode(chunk)


def _unpack(value: bytes) -> _Chunk:
    return msgspec.msgpack.decode(value, type=_Chunk)


def _squeeze(rows: Rows) -> bytes:
    """Rows compressed: bytes of like weight side by side, since they hardly change from ping to ping."""
    planes = np.ascontiguousarray(rows.T).view(np.uint8).reshape(COLUMNS, -1, 8)
    return zstd.compress(np.ascontiguousarray(planes.transpose(0, 2, 1)).tobytes())


def _spread(squeezed: bytes) -> bytes:
    """The rows again, also of chunks that were written with zlib."""
    raw = zstd.decompress(squeezed) if squeezed.startswith(ZSTD) else zlib.decompress(squeezed)
    planes = np.frombuffer(raw, np.uint8).reshape(COLUMNS, 8, -1)
    columns = np.ascontiguousarray(planes.transpose(0, 2, 1)).reshape(COLUMNS, -1).view(np.float64)
    return columns.T.tobytes()
