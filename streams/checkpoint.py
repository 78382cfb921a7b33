"""One Kafka transaction a checkpoint: outputs, dead letters, changed states, input positions, or nothing."""

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, ProducerFenced
from aiokafka.partitioner import DefaultPartitioner

from geofence.errors import ServicetimeError
from geofence.events import FenceEvent, ServiceTime
from streams.records import DeadLetter, encode
from streams.state import Delta, Positions, Stored, read_state, state_records
from streams.topics import Topics

TRANSACTION_TIMEOUT_MS: Final = 60_000
COMMIT_WITHIN_S: Final = 90.0
"""After that a transaction is given up: the broker has aborted it by then, or is not there."""

RETRY_MS: Final = 10
"""A transaction may begin while the broker still winds up the one before it: it asks to try again then."""

LARGEST_RECORD: Final = 8 * 2**20
BATCH_BYTES: Final = 256 * 2**10

OutRecord = tuple[str, bytes | None, bytes | None, int | None]
"""Topic, key, value, and the partition unless the key decides."""

Letter = tuple[bytes | None, DeadLetter]
"""With its key."""


class Fenced(ServicetimeError):
    """Another process has taken over the partition; what this one had not committed is void."""


class NotCommitted(ServicetimeError):
    """A transaction that did not go through, or of which that is not known."""

    exit_status = 1


class TooLarge(ServicetimeError):
    """A record that no topic takes."""

    exit_status = 1


@dataclass(slots=True)
class Changes:
    """Everything that happened to a partition since the last checkpoint."""

    positions: Positions
    outputs: list[ServiceTime | FenceEvent] = field(default_factory=list)
    letters: list[Letter] = field(default_factory=list)
    extra: list[tuple[str, bytes, bytes]] = field(default_factory=list)
    """Topic (the contract's name), key and value of records made elsewhere."""

    states: Mapping[str, Delta] = field(default_factory=dict)
    since_ms: int | None = None
    """When (by Kafka's clock) the first ping arrived that may have caused the outputs; None: no ping did."""


class Producer:
    """A transactional producer whose failures come as Fenced, NotCommitted or TooLarge."""

    def __init__(self, bootstrap: str, transactional_id: str) -> None:
        self._bootstrap = bootstrap
        self._id = transactional_id
        self._kafka: AIOKafkaProducer | None = None

    async def open(self) -> None:
        """Fence whoever had this id before, and abort what they left open."""
        await self.close()
        producer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap,
            transactional_id=self._id,
            transaction_timeout_ms=TRANSACTION_TIMEOUT_MS,
            max_request_size=LARGEST_RECORD,
            max_batch_size=BATCH_BYTES,
            compression_type="zstd",
            retry_backoff_ms=RETRY_MS,
        )
        try:
            await producer.start()
        except BaseException:
            await producer.stop()
            raise
        self._kafka = producer

    async def close(self) -> None:
        """Let go; an open transaction is aborted by whoever opens the id next."""
        producer, self._kafka = self._kafka, None
        if producer is not None:
            with suppress(KafkaError, TimeoutError, AssertionError):  # the next `open` fences it in any state
                await asyncio.wait_for(producer.stop(), 10.0)

    async def commit(
        self,
        records: Iterable[OutRecord],
        offsets: Mapping[TopicPartition, int],
        group: str,
    ) -> None:
        """One transaction: (topic, key, value, partition or None) records and the group's offsets."""
        try:
            await asyncio.wait_for(self._commit(records, offsets, group), COMMIT_WITHIN_S)
        except ProducerFenced as error:
            raise Fenced(f"{self._id}: another worker has taken over") from error
        except MessageSizeTooLargeError as error:
            raise TooLarge(f"{self._id}: {error}") from error
        except (KafkaError, TimeoutError, AssertionError, OSError) as error:  # aiokafka asserts its own state
            raise NotCommitted(f"{self._id}: {type(error).__name__}: {error}") from error

    async def _commit(
        self,
        records: Iterable[OutRecord],
        offsets: Mapping[TopicPartition, int],
        group: str,
    ) -> None:
        producer = self._kafka
        if producer is None:
            raise NotCommitted(f"{self._id}: is not open")
        async with producer.transaction():
            batches = _Batches(producer)
            for record in records:
                await batches.append(record)
            await batches.send()
            if offsets:  # takes two requests, one after the other, meanwhile
                await producer.send_offsets_to_transaction(offsets, group)
            await batches.delivered()


class _Batches:
    """Fills batches by itself, which is many times faster than the producer's `send` of each record."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self._producer = producer
        self._partitions: dict[str, int] = {}
        self._filling: dict[tuple[str, int], Any] = {}
        self._under_way: list[asyncio.Future[Any]] = []

    async def append(self, record: OutRecord) -> None:
        """Put a record into its batch. Raises MessageSizeTooLargeError."""
        topic, key, value, partition = record
        if len(key or b"") + len(value or b"") > LARGEST_RECORD:
            raise MessageSizeTooLargeError(f"a record of {len(value or b'')} bytes for {topic}")
        place = topic, await self._partition(topic, key) if partition is None else partition
        batch = self._filling.get(place)
        if batch is not None and batch.append(key=key, value=value, timestamp=None) is not None:
            return
        if batch is not None:
            await self._send(place)
        batch = self._filling[place] = self._producer.create_batch()
        batch.append(key=key, value=value, timestamp=None)  # the first one is taken whatever its size

    async def send(self) -> None:
        """Have everything sent."""
        for place in list(self._filling):
            await self._send(place)

    async def delivered(self) -> None:
        """Return when the broker has all that was sent."""
        await asyncio.gather(*self._under_way)

    async def _partition(self, topic: str, key: bytes | None) -> int:
        if topic not in self._partitions:
            self._partitions[topic] = len(await self._producer.partitions_for(topic))
        count = self._partitions[topic]
        return _any_partition(count) if key is None else _partition_of(key, count)

    async def _send(self, place: tuple[str, int]) -> None:
        batch = self._filling.pop(place)
        self._under_way.append(await self._producer.send_batch(batch, place[0], partition=place[1]))


@lru_cache(maxsize=1 << 17)
def _partition_of(key: bytes, count: int) -> int:
    """Which of so many partitions a key belongs to: as every client has it, which takes a while in Python."""
    there = list(range(count))
    return int(DefaultPartitioner()(key, there, there))


def _any_partition(count: int) -> int:
    there = list(range(count))
    return int(DefaultPartitioner()(None, there, there))


class Checkpoints:
    """The checkpoints of one input partition: its producer, its stored state."""

    def __init__(self, bootstrap: str, topics: Topics, partition: int) -> None:
        self._bootstrap = bootstrap
        self._topics = topics
        self._partition = partition
        self._producer = Producer(bootstrap, f"{topics.app_id}-{partition}")

    async def open(self) -> Stored:
        """Take the partition over: fence its former owner, then read what it had committed."""
        await self._producer.open()
        return await read_state(self._bootstrap, self._topics.state, self._partition)

    async def close(self) -> None:
        """Let the partition go."""
        await self._producer.close()

    async def commit(self, changes: Changes) -> None:
        """Make changes lasting and visible, all or none. Raises Fenced, NotCommitted, TooLarge."""
        await self._producer.commit(
            self._records(changes), self._offsets(changes.positions), self._topics.app_id
        )

    def _records(self, changes: Changes) -> Iterable[OutRecord]:
        for output in changes.outputs:
            topic, key = _destination(output)
            yield self._topics.name(topic), key.encode(), encode(output), None
        for key_received, letter in changes.letters:
            yield self._topics.name("dead-letters"), key_received, encode(letter), None
        for topic, extra_key, extra in changes.extra:
            yield self._topics.name(topic), extra_key, extra, None
        for state_key, value in state_records(changes.states, changes.positions):
            yield self._topics.state, state_key, value, self._partition

    def _offsets(self, positions: Positions) -> dict[TopicPartition, int]:
        return {
            TopicPartition(self._topics.name(topic), self._partition): offset
            for topic, offset in positions.inputs.items()
        }


def _destination(output: ServiceTime | FenceEvent) -> tuple[str, str]:
    """Topic and key."""
    if isinstance(output, ServiceTime):
        return "service-times", output.visit_id
    return "geofence-events", output.driver_id
