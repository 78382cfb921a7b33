"""Kafka for Faust in runs: what was fetched of a partition reaches the agent as one event, not thousands."""

import asyncio
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, Final, Self
from weakref import WeakSet

import faust
from faust.transport import drivers
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread
from faust.transport.drivers.aiokafka import Consumer as KafkaConsumer
from faust.transport.drivers.aiokafka import Transport as KafkaTransport
from faust.types import TP
from mode import get_logger

from streams.packed import KafkaRecord
from streams.unpacking import unpack_lightly

SCHEME: Final = "runs"
"""The scheme of a broker URL that selects this transport: `runs://localhost:9092`."""

RUNS_AHEAD: Final = 2
"""Runs of one partition that may wait for its agent before fetching pauses. This bounds memory."""

FETCH_WAIT_MS: Final = 40
"""So long the broker gathers what comes before it answers a fetch: small runs cost more than large ones.
Partitions drained meanwhile are asked for after that."""

FETCH_ENOUGH: Final = 256 * 2**10
"""When there are so many bytes it answers at once."""

POLL_AGAIN_S: Final = 0.05

logger = get_logger("faust.transport.runs")


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Run:
    """Consecutive records of one partition: all there is from offset `start` up to, without, offset `end`.

    Offsets between that have no record were compacted away, aborted or markers. `records` may be empty.
    `start` is None when the position was not set by a seek. By `fetched_s` of the monotonic clock all of it
    was in Kafka.
    """

    topic: str
    partition: int
    start: int | None
    end: int
    records: Sequence[KafkaRecord]
    fetched_s: float = field(default_factory=time.monotonic)

    def since(self, offset: int) -> Self:
        """The rest of the run from that offset on."""
        if self.start is None or self.start >= offset:
            return self
        rest = self.records[bisect_left(self.records, offset, key=attrgetter("offset")) :]
        return type(self)(self.topic, self.partition, offset, max(self.end, offset), rest, self.fetched_s)


@dataclass(frozen=True, slots=True)
class _Parcel:
    """A run with the attributes Faust expects of a record."""

    topic: str
    partition: int
    offset: int
    value: Run
    timestamp: int | None = None
    timestamp_type: int = 0
    headers: Sequence[Any] = ()
    key: None = None
    checksum: None = None
    serialized_key_size: int = -1
    serialized_value_size: int = 0


class RunSchema(faust.Schema[Any, Any]):
    """Hands runs to the agent as they are."""

    def loads_key(self, app: Any, message: Any, *, loads: Any = None, serializer: Any = None) -> None:
        """A run has no key."""

    def loads_value(self, app: Any, message: Any, *, loads: Any = None, serializer: Any = None) -> Any:  # noqa: ARG002
        """The run itself."""
        return message.value


class _ReadOffsets(defaultdict[TP, int | None]):
    """Faust's high-water marks of what it delivered; runs tell where they began, so Faust must drop none."""

    def __init__(self, in_runs: Callable[[str], bool]) -> None:
        super().__init__(lambda: None)
        self._in_runs = in_runs

    def __setitem__(self, tp: TP, offset: int | None) -> None:
        if not self._in_runs(tp.topic):
            super().__setitem__(tp, offset)

    def update(self, other: Any = (), /, **_: Any) -> None:
        """Set each one, by the same rule."""
        for tp, offset in dict(other).items():
            self[tp] = offset


class ConsumerThread(AIOKafkaConsumerThread):
    """The thread that fetches: it bundles records into runs and knows where each run began."""

    logger = logger
    consumer: "Consumer"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._positions: dict[TP, int] = {}

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        # Faust ties these to settings of its own that do not fit; they are read when the consumer starts.
        consumer._isolation_level = "read_committed"
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS
        consumer._fetch_min_bytes = FETCH_ENOUGH
        return consumer

    async def on_start(self) -> None:
        """Start the consumer."""
        await super().on_start()
        unpack_lightly(self._ensure_consumer(), self.consumer.in_runs)

    def highwater(self, tp: TP) -> int:
        """The offset up to which records can be read: that of the first open transaction, else the end."""
        stable: int = self._ensure_consumer().last_stable_offset(tp)
        return stable

    async def _fetch_records(
        self,
        consumer: Any,
        active_partitions: set[TP],
        timeout: float | None = None,
        max_records: int | None = None,
    ) -> Any:
        records = await super()._fetch_records(consumer, active_partitions, timeout, max_records)
        return self._bundle(consumer, dict(records))

    def _bundle(self, consumer: Any, records: dict[TP, Any]) -> dict[TP, Any]:
        """The same fetch in runs; a partition that moved on without records (markers, gaps) has an empty one.

        No await here: the position belongs to exactly these records.
        """
        for tp in consumer.assignment():
            if not self.consumer.in_runs(tp.topic):
                continue
            state = consumer._subscription.subscription.assignment.state_value(tp)
            if state is None or not state.has_valid_position:
                continue
            got: Sequence[KafkaRecord] = records.get(tp, ())
            start, end = self._positions.get(tp), state.position
            self._positions[tp] = end
            if got or (start is not None and end > start):
                run = Run(tp.topic, tp.partition, start, end, got)
                records[tp] = [_Parcel(tp.topic, tp.partition, end - 1, run)]
        return records

    async def seek_runs(self, positions: Mapping[TP, int]) -> None:
        """Go to these offsets; records fetched before are forgotten."""
        await self.call_thread(self._seek_runs, positions)

    async def _seek_runs(self, positions: Mapping[TP, int]) -> None:
        consumer = self._ensure_consumer()
        assigned = consumer.assignment()
        for tp, offset in positions.items():
            if tp in assigned:
                consumer.seek(tp, offset)
                self._positions[tp] = offset

    async def starting_points(self, tps: list[TP]) -> dict[TP, int]:
        """Where the consumer group left off, else the first offset there is."""
        points: dict[TP, int] = await self.call_thread(self._starting_points, tps)
        return points

    async def _starting_points(self, tps: list[TP]) -> dict[TP, int]:
        consumer = self._ensure_consumer()
        points = dict(await consumer.beginning_offsets(tps))
        for tp in tps:
            points[tp] = max(points[tp], await consumer.committed(tp) or 0)
        return points

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Forget positions of the former assignment."""
        self._positions.clear()
        await super().on_partitions_assigned(assigned, generation_id)


class Consumer(KafkaConsumer):
    """Faust's consumer of Kafka, for topics whose agents take runs and keep their own positions."""

    logger = logger
    transport: "Transport"
    _thread: ConsumerThread

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._read_offset = _ReadOffsets(self.in_runs)
        self._ahead: defaultdict[TP, WeakSet[Run]] = defaultdict(WeakSet)  # a run dropped by Faust leaves it
        self._room = asyncio.Event()

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    def in_runs(self, topic: str) -> bool:
        """Whether a topic is delivered in runs."""
        return topic in self.transport.run_topics

    async def starting_points(self, tps: Iterable[TP]) -> dict[TP, int]:
        """Where the consumer group left off, else the first offset there is."""
        return await self._thread.starting_points(list(tps))

    async def seek_runs(self, positions: Mapping[TP, int]) -> None:
        """Continue at these offsets; runs still under way from before are told by their `start`."""
        if positions:
            await self._thread.seek_runs(positions)

    async def perform_seek(self) -> None:
        """Other topics continue at what Faust committed, runs where their agents say."""
        await super().perform_seek()
        await self.seek_runs(await self.transport.positions())

    def done(self, run: Run) -> None:
        """The agent has finished with a run: there is room for another one of its partition."""
        self._ahead[TP(run.topic, run.partition)].discard(run)
        self._room.set()

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Faust's watch over commits; it does not know of those that agents of runs make themselves."""
        if not self.in_runs(tp.topic):
            super().verify_event_path(now, tp)

    async def _wait_next_records(self, timeout: float) -> tuple[Any, Any]:
        if not self.flow_active:
            await self.wait_first(self.can_resume_flow.wait())
        active = set(self._get_active_partitions())
        ready = {tp for tp in active if len(self._ahead[tp]) < RUNS_AHEAD}
        if not ready:
            await self._wait_for_room(timeout if active else POLL_AGAIN_S)
            return {}, active
        records = await self._getmany(ready, timeout if ready == active else POLL_AGAIN_S)
        for tp, got in (records or {}).items():
            if self.in_runs(tp.topic):
                self._ahead[tp].update(parcel.value for parcel in got)
        return records, active

    async def _wait_for_room(self, timeout_s: float) -> None:
        self._room.clear()
        await self.wait_first(self._room.wait(), timeout=timeout_s)


async def _no_positions() -> Mapping[TP, int]:
    return {}


class Transport(KafkaTransport):
    """`run_topics` come in runs, from where `positions` says; all other topics as Faust always does it."""

    Consumer = Consumer
    run_topics: frozenset[str] = frozenset()
    positions: Callable[[], Awaitable[Mapping[TP, int]]] = staticmethod(_no_positions)


def register() -> None:
    """Teach Faust the scheme."""
    drivers.TRANSPORTS.aliases[SCHEME] = f"{__name__}:{Transport.__name__}"
