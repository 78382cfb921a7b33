"""One input partition at work: its records go through one engine; what comes of it awaits a checkpoint."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from geofence.errors import InvalidRecord, ServicetimeError
from geofence.events import DeviceFenceEvent, Output, PingBatch
from geofence.fences import Fence
from geofence.routes import Route
from streams.checkpoint import Changes, Letter
from streams.packed import VALUE, VALUE_END, KafkaRecord, PackedRecords
from streams.records import (
    DeadLetter,
    DecodedPings,
    decode_device_event,
    decode_packed,
    decode_pings,
    decode_route,
)
from streams.records.outputs import MOST_OF_VALUE, rooms
from streams.state import Counts, Delta, Positions, Stored
from streams.transport import Run

MOST_OF_KEY: Final = 64 * 2**10
"""A dead letter has the beginning of a longer key."""


class PingCounters(Protocol):
    """Every ping that was fed is in exactly one."""

    @property
    def used(self) -> int: ...  # noqa: D102

    @property
    def duplicate(self) -> int: ...  # noqa: D102

    @property
    def too_late(self) -> int: ...  # noqa: D102


class Detection(Protocol):
    """What a partition needs of `geofence.engine.Engine`."""

    @property
    def counters(self) -> PingCounters: ...  # noqa: D102

    def put_fence(self, fence: Fence) -> list[Output]: ...  # noqa: D102

    def remove_fence(self, fence_id: str) -> list[Output]: ...  # noqa: D102

    def put_route(self, route: Route) -> list[Output]: ...  # noqa: D102

    def feed(self, pings: PingBatch) -> list[Output]: ...  # noqa: D102

    def feed_device(self, events: Sequence[DeviceFenceEvent]) -> list[Output]: ...  # noqa: D102

    def settle(self, driver_ids: Iterable[str] | None = None) -> list[Output]: ...  # noqa: D102

    def take_dirty(self) -> Mapping[str, Delta]: ...  # noqa: D102

    def restore(self, driver_id: str, head: bytes, chunks: Mapping[int, bytes]) -> None: ...  # noqa: D102

    def forget(self, driver_id: str) -> None: ...  # noqa: D102

    def last_seen_ms(self, driver_id: str) -> int: ...  # noqa: D102


class OutOfSequence(ServicetimeError):
    """A run that does not follow on the last one: it was fetched before a seek."""


@dataclass(frozen=True, slots=True)
class FenceChange:
    """A fence put (or, None, removed) at an offset of the geofences' partition."""

    partition: int
    offset: int
    fence_id: str
    fence: Fence | None


def portions(run: Run, size: Callable[[], int]) -> Iterator[Run]:
    """The run in consecutive parts of at most so many records, as `size` says when each is taken."""
    start, first, count = run.start, 0, len(run.records)
    while True:
        last = min(first + max(1, size()), count)
        end = run.records[last].offset if last < count else run.end
        yield Run(run.topic, run.partition, start, end, run.records[first:last])
        if last == count:
            return
        start, first = end, last


class Partition:
    """The engine of one partition, how far its inputs were read, and what is not committed yet."""

    def __init__(self, number: int, engine: Detection, stored: Stored) -> None:
        self.number = number
        self.positions = stored.positions or Positions()
        self._engine = engine
        self._before = self.positions.counts
        self._dead = 0
        self._outputs: list[Output] = []
        self._letters: list[Letter] = []
        self._extra: list[tuple[str, bytes, bytes]] = []
        self._since_ms: int | None = None
        self._changed = False
        self._changed_ms: dict[str, int] = {}
        self._take: Mapping[str, Callable[[Run], None]] = {
            "gps-pings": self._take_pings,
            "device-fence-events": self._take_device_events,
            "routes": self._take_routes,
        }
        for driver_id, state in stored.drivers.items():
            if state.head:
                engine.restore(driver_id, state.head, state.chunks)
                self._changed_ms[driver_id] = state.changed_ms

    @property
    def has_outputs(self) -> bool:
        """Whether somebody waits for what a commit would make visible."""
        return bool(self._outputs or self._letters or self._extra)

    @property
    def has_changed(self) -> bool:
        """Whether there is anything to commit."""
        return self._changed or self.has_outputs

    @property
    def counts(self) -> Counts:
        """What became of the partition's input, since its beginning."""
        c = self._engine.counters
        return self._before + Counts(c.used, c.duplicate, c.too_late, self._dead)

    @property
    def drivers(self) -> int:
        """How many drivers' states are kept."""
        return len(self._changed_ms)

    def start_at(self, topic: str, offset: int) -> None:
        """Where reading a topic begins, unless it has begun before."""
        self.positions.inputs.setdefault(topic, offset)

    def take(self, topic: str, run: Run) -> None:
        """Use a run of a topic (the contract's name). Raises OutOfSequence when it does not follow on."""
        position = self.positions.inputs[topic]
        if run.start is None or run.start > position:
            raise OutOfSequence(f"{topic}/{self.number}: {run.start} does not follow on {position}")
        fresh = run.since(position)
        if fresh.records:
            self._take[topic](fresh)
        if fresh.end > position:
            self.positions.inputs[topic] = fresh.end
            self._changed = True

    def add(self, records: Iterable[tuple[str, bytes, bytes]]) -> None:
        """Send records (the contract's topic, key, value) along with the next checkpoint."""
        self._extra += records

    def last_seen_ms(self, driver_id: str) -> int:
        """Time of a driver's newest ping, 0 for none."""
        return self._engine.last_seen_ms(driver_id)

    def take_fence(self, change: FenceChange) -> None:
        """Apply a change of a fence; drivers it concerns are decided anew."""
        if change.fence is None:
            self._outputs += self._engine.remove_fence(change.fence_id)
        else:
            self._outputs += self._engine.put_fence(change.fence)
        self.fences_read(change.partition, change.offset + 1)

    def fences_read(self, partition: int, end: int) -> None:
        """The engine knows every fence of that geofences' partition before offset `end`."""
        if end > self.positions.fences.get(partition, 0):
            self.positions.fences[partition] = end
            self._changed = True

    def settle(self, driver_ids: Iterable[str] | None = None) -> None:
        """The data of these drivers (None: all) ends here, as far as anybody knows."""
        self._outputs += self._engine.settle(driver_ids)
        self._changed = True

    def let_go_unchanged_since(self, before_ms: int) -> int:
        """Drop drivers whose state has not changed since that moment of the wall clock; their number."""
        gone = [driver for driver, changed in self._changed_ms.items() if changed < before_ms]
        if gone:
            self.settle(gone)
        for driver in gone:
            self._engine.forget(driver)
            del self._changed_ms[driver]
        return len(gone)

    def changes(self, now_ms: int) -> Changes:
        """Everything since the last call, for one transaction; `now_ms` by the wall clock."""
        states = self._engine.take_dirty()
        for driver, delta in states.items():
            if delta.head != b"":
                self._changed_ms[driver] = now_ms
        positions = Positions(dict(self.positions.inputs), dict(self.positions.fences), self.counts)
        taken = Changes(positions, self._outputs, self._letters, self._extra, states, self._since_ms)
        self._outputs, self._letters, self._extra = [], [], []
        self._since_ms, self._changed = None, False
        return taken

    def _take_pings(self, run: Run) -> None:
        decoded = _decoded(run.records)
        of_bad = [run.records[bad.index] for bad in decoded.bad]
        shared = rooms((bad.index, record.value) for bad, record in zip(decoded.bad, of_bad, strict=True))
        for bad, record, room in zip(decoded.bad, of_bad, shared, strict=True):
            self._bury(run, record, bad.reason, bad.field, room)
        outputs = self._engine.feed(decoded.batch) if len(decoded.batch) else []
        if outputs and self._since_ms is None:
            self._since_ms = run.records[0].timestamp
        self._outputs += outputs

    def _take_device_events(self, run: Run) -> None:
        events = []
        for record in run.records:
            try:
                events.append(decode_device_event(record.value or b""))
            except InvalidRecord as error:
                self._bury(run, record, error.reason, error.field)
        if events:
            self._outputs += self._engine.feed_device(events)

    def _take_routes(self, run: Run) -> None:
        for record in run.records:
            if record.value is None:  # a route withdrawn: past days stay as they were decided
                continue
            try:
                self._outputs += self._engine.put_route(decode_route(record.value))
            except InvalidRecord as error:
                self._bury(run, record, error.reason, error.field)

    def _bury(
        self, run: Run, record: KafkaRecord, reason: str, field: str | None, room: int = MOST_OF_VALUE
    ) -> None:
        self._letters.append(letter_for(run, record, reason, field, room))
        self._dead += 1


def _decoded(records: Sequence[KafkaRecord]) -> DecodedPings:
    if isinstance(records, PackedRecords):
        return decode_packed(records.data, records.columns[VALUE], records.columns[VALUE_END])
    return decode_pings([r.value for r in records])


def letter_for(
    run: Run, record: KafkaRecord, reason: str, field: str | None, room: int = MOST_OF_VALUE
) -> Letter:
    """The dead letter of a record of a run, with the key it came with."""
    place = run.topic, run.partition, record.offset, record.timestamp
    key = None if record.key is None else record.key[:MOST_OF_KEY]
    return key, DeadLetter.of(*place, reason, field, record.value, room)
