"""What the state topic holds: the drivers' states and the input positions that they stand for."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol, Self

import msgspec

from streams.packed import KafkaRecord, Latest, PackedRecords
from streams.reading import read_stretch

POSITIONS_KEY: Final = b"positions"
HEAD: Final = b"head|"
CHUNK: Final = b"chunk|"


class Counts(msgspec.Struct):
    """What became of the input so far: pings used, repeated or too late; records in `dead-letters`."""

    used: int = 0
    duplicate: int = 0
    too_late: int = 0
    dead: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.used + other.used,
            self.duplicate + other.duplicate,
            self.too_late + other.too_late,
            self.dead + other.dead,
        )


class Positions(msgspec.Struct):
    """How far one partition has come: the next offset of each input topic (by the contract's name).

    `fences` are the next offsets of the geofences' partitions whose changes the states reflect.
    """

    inputs: dict[str, int] = {}
    fences: dict[int, int] = {}
    counts: Counts = msgspec.field(default_factory=Counts)


class Delta(Protocol):
    """What changed of one driver: see `geofence.engine.StateDelta`."""

    @property
    def head(self) -> bytes | None: ...  # noqa: D102

    @property
    def chunks(self) -> Mapping[int, bytes | None]: ...  # noqa: D102


@dataclass(slots=True)
class DriverState:
    """One driver as stored; `changed_ms` is when (wall clock) it was last written."""

    head: bytes = b""
    chunks: dict[int, bytes] = field(default_factory=dict)
    changed_ms: int = 0


@dataclass(slots=True)
class Stored:
    """Everything stored of one partition; `positions` is None when nothing was ever stored."""

    positions: Positions | None = None
    drivers: dict[str, DriverState] = field(default_factory=dict)

    @classmethod
    def of(cls, latest: Latest) -> Self:
        """What the latest record of each key says."""
        stored = cls()
        for key, (value, ts_ms) in latest.items():
            stored.apply(key, value, ts_ms)
        return stored

    def apply(self, key: bytes, value: bytes | None, ts_ms: int) -> None:
        """Take in one record of the state topic; later ones of its key replace earlier ones."""
        if key == POSITIONS_KEY:
            self.positions = None if value is None else _positions(value)
        elif key.startswith(HEAD):
            self._head(key.removeprefix(HEAD).decode(), value, ts_ms)
        elif key.startswith(CHUNK):
            number, _, driver = key.removeprefix(CHUNK).partition(b"|")
            self._chunk(driver.decode(), int(number), value, ts_ms)

    def _head(self, driver_id: str, value: bytes | None, ts_ms: int) -> None:
        if value is None:
            self.drivers.pop(driver_id, None)
            return
        state = self._driver(driver_id)
        state.head, state.changed_ms = value, max(state.changed_ms, ts_ms)

    def _chunk(self, driver_id: str, number: int, value: bytes | None, ts_ms: int) -> None:
        if value is not None:
            state = self._driver(driver_id)
            state.chunks[number], state.changed_ms = value, max(state.changed_ms, ts_ms)
        elif driver_id in self.drivers:
            self.drivers[driver_id].chunks.pop(number, None)

    def _driver(self, driver_id: str) -> DriverState:
        state = self.drivers.get(driver_id)
        if state is None:
            state = self.drivers[driver_id] = DriverState()
        return state


_positions: Final = msgspec.json.Decoder(Positions).decode
_encode: Final = msgspec.json.Encoder().encode


def head_key(driver_id: str) -> bytes:
    """The key under which a driver's head is stored."""
    return HEAD + driver_id.encode()


def chunk_key(driver_id: str, number: int) -> bytes:
    """The key under which a chunk of a driver's pings is stored."""
    return CHUNK + b"%d|" % number + driver_id.encode()


def state_records(states: Mapping[str, Delta], positions: Positions) -> Iterator[tuple[bytes, bytes | None]]:
    """Keys and values to write; the positions come last. A head of None stays, an empty one deletes."""
    for driver_id, delta in states.items():
        for number, chunk in delta.chunks.items():
            yield chunk_key(driver_id, number), chunk
        if delta.head is not None:
            yield head_key(driver_id), delta.head or None
    yield POSITIONS_KEY, _encode(positions)


def collect(records: Sequence[KafkaRecord], latest: Latest) -> None:
    """Take in records of the state topic, in their order."""
    if isinstance(records, PackedRecords):
        latest.update(records.latest())
    else:
        latest.update((r.key, (r.value, r.timestamp)) for r in records if r.key is not None)


async def read_state(bootstrap: str, topic: str, partition: int) -> Stored:
    """All that is stored of one partition. Raises KafkaError."""
    latest: Latest = {}
    async for records in read_stretch(bootstrap, topic, partition):
        collect(records, latest)
    return Stored.of(latest)
