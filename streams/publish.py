"""Sends recorded files to the topics: what pings depend on first, then pings, at once or by their time."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from types import TracebackType
from typing import Any, Final, Self

import numpy as np
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.partitioner import DefaultPartitioner

from geofence.events import PingBatch
from streams.errors import Unavailable
from streams.files import read_device_events, read_fences, read_manual, read_pings, read_routes, read_weather
from streams.files.opening import Advance
from streams.files.pings import PingsRead
from streams.records import encode
from streams.records.encoding import PingOut
from streams.topics import Topics

BATCH_BYTES: Final = 256 * 2**10
BATCHES_AHEAD: Final = 16
"""Batches that may be on their way at once."""

TAKEN_WITHIN_S: Final = 60.0
"""After that the broker is given up: the producer itself would try for ever, so as to send nothing twice."""

STOPS_WITHIN_S: Final = 10.0

TICK_S: Final = 0.02
"""At a real-time pace, pings due within so long are sent together."""

Key = Callable[[Any], str]
Read = Callable[[str], Iterator[Any]]


@dataclass(frozen=True, slots=True)
class Kind:
    """How a kind of file goes to its topic."""

    topic: str
    read: Read
    key: Key


KINDS: Final = {
    "fences": Kind("geofences", read_fences, lambda r: r.fence_id),
    "routes": Kind("routes", read_routes, lambda r: r.driver_id),
    "weather": Kind("weather", read_weather, lambda r: r.region),
    "manual": Kind("manual-records", read_manual, lambda r: r.stop_id),
    "device_events": Kind("device-fence-events", read_device_events, lambda r: r.driver_id),
}
"""In the order in which they are sent, all before pings."""


@dataclass(slots=True)
class Sent:
    """Messages sent by topic; `bad` are lines sent as they are, though they cannot be read as pings."""

    messages: dict[str, int] = field(default_factory=dict)
    bad: int = 0


class Publisher:
    """Sends messages in large batches, each once and in order (an idempotent producer)."""

    def __init__(self, bootstrap: str, topics: Topics) -> None:
        self._topics = topics
        self._bootstrap = bootstrap
        self._producer = AIOKafkaProducer(
            bootstrap_servers=bootstrap,
            enable_idempotence=True,
            max_batch_size=BATCH_BYTES,
            compression_type="zstd",  # a tenth more work for a fifth of the bytes
        )
        self._partition = DefaultPartitioner()
        self._building: dict[tuple[str, int], Any] = {}
        self._places: dict[tuple[str, str], tuple[bytes, int]] = {}
        self._on_their_way: set[asyncio.Future[Any]] = set()

    async def __aenter__(self) -> Self:
        """Connect. Raises Unavailable."""
        try:
            await self._producer.start()
        except KafkaError as error:
            await self._producer.stop()
            raise Unavailable(f"no Kafka answers at {self._bootstrap}: {error}") from error
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Send the rest and disconnect."""
        try:
            if kind is None:
                await self.flush()
        finally:
            with suppress(TimeoutError):  # it waits for what is on its way, which nobody may take
                await asyncio.wait_for(self._producer.stop(), STOPS_WITHIN_S)

    async def send(self, topic: str, key: str, value: bytes) -> None:
        """Send a message to one of the contract's topics."""
        place = self._places.get((topic, key))
        if place is None:
            key_bytes = key.encode()
            partitions = list(range(self._topics.count(topic)))
            place = self._places[topic, key] = (key_bytes, self._partition(key_bytes, partitions, partitions))
        await self._append(topic, place[1], place[0], value)

    async def send_keyless(self, topic: str, value: bytes) -> None:
        """Send a message that has no key to the first partition."""
        await self._append(topic, 0, None, value)

    async def flush(self) -> None:
        """Return when everything has been acknowledged. Raises Unavailable."""
        for topic, partition in list(self._building):
            await self._dispatch(topic, partition)
        await self._wait_for(self._on_their_way)

    async def _append(self, topic: str, partition: int, key: bytes | None, value: bytes) -> None:
        while True:
            batch = self._building.get((topic, partition))
            if batch is None:
                batch = self._building[topic, partition] = self._producer.create_batch()
            if batch.append(key=key, value=value, timestamp=None) is not None:
                return
            if batch.record_count() == 0:
                raise Unavailable(f"a message of {len(value)} bytes is larger than a batch of {topic}")
            await self._dispatch(topic, partition)

    async def _dispatch(self, topic: str, partition: int) -> None:
        batch = self._building.pop((topic, partition))
        name = self._topics.name(topic)
        try:
            self._on_their_way.add(await self._producer.send_batch(batch, name, partition=partition))
        except KafkaError as error:
            raise self._refusal(error) from error
        if len(self._on_their_way) >= BATCHES_AHEAD:
            done, waiting = await asyncio.wait(
                self._on_their_way, timeout=TAKEN_WITHIN_S, return_when=asyncio.FIRST_COMPLETED
            )
            await self._wait_for(done or waiting)

    async def _wait_for(self, sent: Iterable[Awaitable[Any]]) -> None:
        for future in list(sent):
            try:
                await asyncio.wait_for(future, TAKEN_WITHIN_S)
            except (KafkaError, TimeoutError) as error:
                raise self._refusal(error) from error
            finally:
                self._on_their_way.discard(asyncio.ensure_future(future))

    def _refusal(self, error: Exception) -> Unavailable:
        why = str(error) or f"no answer within {TAKEN_WITHIN_S:.0f} s"
        return Unavailable(f"the broker at {self._bootstrap} does not take messages: {why}")


async def publish_records(publisher: Publisher, kind: Kind, path: str, sent: Sent) -> None:
    """Send a file of fences, routes, weather, manual records or device events. Raises UnreadableInput."""
    for record in kind.read(path):
        await publisher.send(kind.topic, kind.key(record), encode(record))
        sent.messages[kind.topic] = sent.messages.get(kind.topic, 0) + 1
    await publisher.flush()


async def publish_pings(
    publisher: Publisher, paths: Iterable[str], speed: float | None, advance: Advance, sent: Sent
) -> None:
    """Send pings, one a message: in the files' order, or by their time, `speed` times as fast as it passed.

    Raises UnreadableInput.
    """
    await publish_batches(
        publisher, chain.from_iterable(read_pings(path, advance=advance) for path in paths), speed, sent
    )


async def publish_batches(
    publisher: Publisher, reads: Iterable[PingsRead], speed: float | None, sent: Sent
) -> None:
    """The same of pings read already."""
    if speed is None:
        for read in reads:
            await _send_pings(publisher, read, sent)
    else:
        await _in_time(publisher, list(reads), speed, sent)
    await publisher.flush()


async def _send_pings(publisher: Publisher, read: PingsRead, sent: Sent) -> None:
    for driver_id, value in zip(read.batch.driver_ids, encoded_pings(read.batch), strict=True):
        await publisher.send("gps-pings", driver_id, value)
    for bad in read.bad:
        await publisher.send_keyless("gps-pings", bad.value)
    sent.bad += len(read.bad)
    sent.messages["gps-pings"] = sent.messages.get("gps-pings", 0) + len(read.batch) + len(read.bad)


async def _in_time(publisher: Publisher, reads: list[PingsRead], speed: float, sent: Sent) -> None:
    """Sorted by time over all files; bad lines, which have no time, first."""
    batch = PingBatch.joined([read.batch for read in reads])
    order = np.argsort(batch.ts_ms, kind="stable")
    await _send_pings(publisher, PingsRead(batch.select(order[:0]), [b for r in reads for b in r.bad]), sent)
    if not len(order):
        return
    due_s = (batch.ts_ms[order] - batch.ts_ms[order[0]]) / 1000 / speed
    began_s = time.monotonic()
    done = 0
    while done < len(order):
        passed_s = time.monotonic() - began_s
        upto = int(np.searchsorted(due_s, passed_s, side="right"))
        if upto > done:
            await _send_pings(publisher, PingsRead(batch.select(order[done:upto]), []), sent)
            await publisher.flush()
            done = upto
        elif done < len(order):
            await asyncio.sleep(max(TICK_S, due_s[done] - passed_s))


def encoded_pings(batch: PingBatch) -> Iterator[bytes]:
    """Each ping as the contract has it."""
    times = np.datetime_as_string(batch.ts_ms.astype("datetime64[ms]"), unit="ms").tolist()
    columns = (batch.lat, batch.lon, batch.accuracy_m, batch.speed_mps)
    for driver_id, ts, lat, lon, accuracy_m, speed_mps in zip(
        batch.driver_ids, times, *(c.tolist() for c in columns), strict=True
    ):
        accuracy = None if accuracy_m != accuracy_m else accuracy_m
        speed = None if speed_mps != speed_mps else speed_mps
        yield encode(PingOut(driver_id, f"{ts}Z", lat, lon, accuracy, speed))
