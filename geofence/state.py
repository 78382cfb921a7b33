"""What of a driver is persisted, and how it comes back: the pings kept, what was told, the routes.

Everything else follows from these. Pings go out as small tail chunks, one a call, and are joined into full
chunks, which are written once. A tail chunk's number is used again after that; its epoch and first row tell
whether it still counts.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from geofence.routes import Route
from geofence.track import COLUMNS, Rows

if TYPE_CHECKING:
    from geofence.driver import Day, Driver

CHUNK_ROWS: Final = 512
TAILS: Final = 1 << 20  # numbers of a shift's tail chunks begin here
SHIFT_NUMBERS: Final = 1 << 21  # numbers that one shift may use
ROUTES: Final = 1 << 60  # numbers of chunks that hold routes begin here


class Told(msgspec.Struct, array_like=True):
    """The latest revision of a visit that went out, without what can be derived again."""

    revision: int
    digest: bytes
    customer_id: str
    fence_id: str
    route_id: str | None
    stop_id: str | None
    arrived_ms: int
    departed_ms: int
    retracted: bool


class _Chunk(msgspec.Struct, array_like=True):
    epoch: int
    first_row: int
    rows: bytes


class _ShiftHead(msgspec.Struct, array_like=True):
    serial: int
    epoch: int
    finished: bool
    events_after_ms: int
    told: dict[str, Told]


class _DriverHead(msgspec.Struct, array_like=True):
    shifts: list[_ShiftHead]
    serial: int


@dataclass(slots=True)
class Saved:
    """How much of a track has been persisted."""

    full: int = 0  # leading full chunks
    rows: int = 0  # leading rows
    tails: int = 0  # tail numbers in use
    epoch: int = 0
    head: bytes = b""  # digest of the head's part when last written

    def rewrite_from(self, row: int) -> None:
        """Rows from this number on have changed."""
        if row < self.rows:
            self.full = min(self.full, row // CHUNK_ROWS)
            self.rows = self.full * CHUNK_ROWS
            self.tails = 0
            self.epoch += 1


@dataclass(slots=True)
class StateDelta:
    """What changed of a driver: the new head (None: as before; b"": delete) and chunks (None: delete)."""

    head: bytes | None
    chunks: dict[int, bytes | None] = field(default_factory=dict)


def delta(driver: "Driver") -> StateDelta:
    """What to persist since the last call."""
    found = StateDelta(None)
    for day in driver.gone:
        _forget(day, found)
    for day in driver.days:
        _save_rows(day, found)
    _save_routes(driver, found)
    head = msgspec.msgpack.encode(_DriverHead([_head_of(d) for d in driver.days], driver.serial))
    digest = blake2b(head, digest_size=8).digest()
    if digest != driver.saved_head or driver.gone:
        driver.saved_head = digest
        found.head = head
    driver.gone.clear()
    return found


def deletion(driver: "Driver") -> StateDelta:
    """What to persist so that nothing of the driver remains."""
    found = StateDelta(b"")
    for day in [*driver.gone, *driver.days]:
        _forget(day, found)
    found.chunks.update(dict.fromkeys(driver.saved_routes.values()))
    return found


def restore(driver: "Driver", head: bytes, chunks: Mapping[int, bytes]) -> None:
    """Fill a new driver with persisted state; what was derived is derived again when needed."""
    from geofence.driver import Day

    kept = msgspec.msgpack.decode(head, type=_DriverHead)
    driver.serial = kept.serial
    for shift in kept.shifts:
        day = Day(shift.serial)
        day.told, day.finished, day.events_after_ms = shift.told, shift.finished, shift.events_after_ms
        _load_rows(day, shift.epoch, chunks)
        if len(day.track):
            driver.days.append(day)
            driver.newest_ms = max(driver.newest_ms, day.track.last_ms)
    driver.days.sort(key=lambda d: d.track.first_ms)
    for number, value in chunks.items():
        if number >= ROUTES:
            route = msgspec.msgpack.decode(value, type=Route)
            driver.routes[route.route_id] = route
            driver.saved_routes[route.route_id] = number
    driver.saved_head = blake2b(head, digest_size=8).digest()


def _head_of(day: "Day") -> _ShiftHead:
    return _ShiftHead(
        day.serial, day.saved.epoch, day.finished, day.events_after_ms if day.told else -1, day.told
    )


def _save_rows(day: "Day", found: StateDelta) -> None:
    saved, track = day.saved, day.track
    base = day.serial * SHIFT_NUMBERS
    full = len(track) // CHUNK_ROWS
    for k in range(saved.full, full):
        rows = track.matrix(k * CHUNK_ROWS, (k + 1) * CHUNK_ROWS)
        found.chunks[base + k] = _pack(_Chunk(0, k * CHUNK_ROWS, _squeeze(rows)))
    if full > saved.full:
        saved.full, saved.tails = full, 0
        saved.rows = full * CHUNK_ROWS
    if len(track) > saved.rows:
        rows = track.matrix(saved.rows)
        found.chunks[base + TAILS + saved.tails] = _pack(_Chunk(saved.epoch, saved.rows, rows.tobytes()))
        saved.tails += 1
        saved.rows = len(track)


def _load_rows(day: "Day", epoch: int, chunks: Mapping[int, bytes]) -> None:
    base = day.serial * SHIFT_NUMBERS
    k = 0
    while base + k in chunks:
        rows = _spread(_unpack(chunks[base + k]).rows)
        day.track.append(rows)
        k += 1
    day.saved.full, day.saved.epoch = k, epoch
    tails = [_unpack(v) for n, v in chunks.items() if base + TAILS <= n < base + SHIFT_NUMBERS]
    for tail in sorted(tails, key=lambda c: c.first_row):
        if tail.epoch == epoch and tail.first_row == len(day.track):
            day.track.append(np.frombuffer(tail.rows).reshape(-1, COLUMNS))
            day.saved.tails += 1
    day.saved.rows = len(day.track)


def _save_routes(driver: "Driver", found: StateDelta) -> None:
    for route_id in [r for r in driver.saved_routes if r not in driver.routes]:
        found.chunks[driver.saved_routes.pop(route_id)] = None
    for route_id in driver.new_routes:
        number = ROUTES + int.from_bytes(blake2b(route_id.encode(), digest_size=6).digest())
        driver.saved_routes[route_id] = number
        found.chunks[number] = msgspec.msgpack.encode(driver.routes[route_id])
    driver.new_routes.clear()


def _forget(day: "Day", found: StateDelta) -> None:
    base = day.serial * SHIFT_NUMBERS
    highest_tail = max(day.saved.tails, min(CHUNK_ROWS, len(day.track)))
    numbers = [*range(base, base + day.saved.full), *range(base + TAILS, base + TAILS + highest_tail)]
    found.chunks.update(dict.fromkeys(numbers))


def _pack(chunk: _Chunk) -> bytes:
    return msgspec.msgpack.encode(chunk)


def _unpack(value: bytes) -> _Chunk:
    return msgspec.msgpack.decode(value, type=_Chunk)


def _squeeze(rows: Rows) -> bytes:
    """Rows compressed: bytes of like weight side by side, since they hardly change from ping to ping."""
    planes = np.ascontiguousarray(rows.T).view(np.uint8).reshape(COLUMNS, -1, 8)
    return zlib.compress(np.ascontiguousarray(planes.transpose(0, 2, 1)).tobytes(), 1)


def _spread(squeezed: bytes) -> Rows:
    planes = np.frombuffer(zlib.decompress(squeezed), np.uint8).reshape(COLUMNS, 8, -1)
    columns = np.ascontiguousarray(planes.transpose(0, 2, 1)).reshape(COLUMNS, -1).view(np.float64)
    return np.ascontiguousarray(columns.T)
