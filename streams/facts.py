"""What every worker knows: all geofences, routes and weather; read before the first ping, then followed."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from geofence.errors import InvalidRecord
from geofence.fences import Fence, FenceSet
from geofence.rules import Rules
from models.rows import Facts as StopFacts
from models.weather import Weather, WeatherBook
from streams.packed import KafkaRecord
from streams.partition import FenceChange
from streams.reading import groupless_consumer, read_stretch
from streams.records import decode_fence, decode_route, decode_weather
from streams.route_book import RouteBook
from streams.topics import Topics

POLL_MS: Final = 100
LOOK_AGAIN_S: Final = 0.005
AFTER_ERROR_S: Final = 1.0
AT_ONCE: Final = 200  # records, before other work has its turn

log = logging.getLogger(__name__)


class Facts:
    """Follows the compacted topics without a consumer group, so that each worker has all of them.

    Records that cannot be read are skipped here: the worker that holds their partition reports them.
    """

    def __init__(self, bootstrap: str, topics: Topics, day_kept_s: float = Rules().day_kept_s) -> None:
        self.routes = RouteBook(day_kept_s)
        self.weather = WeatherBook()
        self.know(FenceSet())
        self.on_fence: list[Callable[[FenceChange], None]] = []
        self._bootstrap = bootstrap
        self._topics = topics
        self._consumer: AIOKafkaConsumer | None = None
        self._asking: AIOKafkaConsumer | None = None  # a question would wait behind what the other fetches
        self._following: asyncio.Task[None] | None = None
        self._loaded: _Versions | None = _Versions()

    def know(self, fences: FenceSet) -> None:
        """Have these fences, and what they say of stops."""
        self.fences = fences
        self.stops = StopFacts(fences, self.weather)

    async def start(self) -> None:
        """Read everything to the present end, then follow. Raises KafkaError."""
        self._consumer = groupless_consumer(self._bootstrap)
        self._asking = groupless_consumer(self._bootstrap)
        await self._consumer.start()
        await self._asking.start()
        self._consumer.assign(self.partitions("geofences", "routes", "weather"))
        await self._consumer.seek_to_beginning()
        self._following = asyncio.create_task(self._follow(self._consumer))
        await self.present("geofences", "routes", "weather")
        assert self._loaded is not None
        self.know(FenceSet(self._loaded.all()))
        self._loaded = None
        log.info("Knows %d geofences, %d routes", len(self.fences), len(self.routes))

    async def stop(self) -> None:
        """Stop following."""
        if self._following is not None:
            self._following.cancel()
            with suppress(asyncio.CancelledError):
                await self._following
        for consumer in filter(None, (self._consumer, self._asking)):
            await consumer.stop()

    async def present(self, *topics: str) -> None:
        """Return when everything that is in these topics now has been taken in. Raises KafkaError."""
        await self.reach(await self.ends(self.partitions(*topics)))

    async def reach(self, ends: Mapping[TopicPartition, int]) -> None:
        """Return when everything before these offsets has been taken in."""
        while not all([await self.position(tp) >= end for tp, end in ends.items()]):
            await asyncio.sleep(LOOK_AGAIN_S)

    async def ends(self, tps: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
        """The present ends of any partitions, of what is committed there. Raises KafkaError."""
        assert self._asking is not None
        ends: Mapping[TopicPartition, int] = await self._asking.end_offsets(list(tps))
        return ends

    async def firsts(self, tps: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
        """The first offsets that any partitions still have. Raises KafkaError."""
        assert self._asking is not None
        firsts: Mapping[TopicPartition, int] = await self._asking.beginning_offsets(list(tps))
        return firsts

    async def position(self, tp: TopicPartition) -> int:
        """The next offset to take in."""
        assert self._consumer is not None
        return int(await self._consumer.position(tp))

    async def fence_positions(self) -> dict[int, int]:
        """The next offset of each geofences' partition."""
        return {tp.partition: await self.position(tp) for tp in self.partitions("geofences")}

    async def fence_changes(self, since: Mapping[int, int]) -> list[FenceChange]:
        """The changes of fences from those offsets on, in their order. Raises KafkaError."""
        changes: list[FenceChange] = []
        for tp in self.partitions("geofences"):
            start = since.get(tp.partition, 0)
            async for records in read_stretch(self._bootstrap, tp.topic, tp.partition, start):
                found = (fence_change(tp.partition, record) for record in records)
                changes += filter(None, found)
        return changes

    def partitions(self, *topics: str) -> list[TopicPartition]:
        """All partitions of the contract's topics."""
        return [TopicPartition(self._topics.name(t), p) for t in topics for p in range(self._topics.count(t))]

    async def _follow(self, consumer: AIOKafkaConsumer) -> None:
        take: Mapping[str, Callable[[int, KafkaRecord], None]] = {
            self._topics.name("geofences"): self._take_fence,
            self._topics.name("routes"): self._take_route,
            self._topics.name("weather"): self._take_weather,
        }
        while True:
            try:
                fetched: Mapping[Any, list[KafkaRecord]] = await consumer.getmany(
                    timeout_ms=POLL_MS, max_records=AT_ONCE
                )
            except KafkaError as error:
                log.warning("Cannot read geofences, routes and weather: %s; trying on", error)
                await asyncio.sleep(AFTER_ERROR_S)
                continue
            for tp, records in fetched.items():
                for record in records:
                    take[tp.topic](tp.partition, record)
            await asyncio.sleep(0)

    def _take_fence(self, partition: int, record: KafkaRecord) -> None:
        change = fence_change(partition, record)
        if change is None:
            return
        if self._loaded is not None:
            self._loaded.take(change)
            return
        for tell in self.on_fence:
            tell(change)
        if change.fence is None:
            self.fences.remove(change.fence_id)
        else:
            self.fences.put(change.fence)

    def _take_route(self, partition: int, record: KafkaRecord) -> None:
        with suppress(InvalidRecord):
            if record.value is not None:
                self.routes.put(partition, decode_route(record.value))

    def _take_weather(self, _partition: int, record: KafkaRecord) -> None:
        with suppress(InvalidRecord):
            w = decode_weather(record.value or b"")
            report = (w.region, w.ts_ms, w.temperature_c, w.precipitation_mm, w.snow_depth_cm, w.wind_mps)
            self.weather.put(Weather(*report))


def fence_change(partition: int, record: KafkaRecord) -> FenceChange | None:
    """What a record of `geofences` changes; None when it cannot be used."""
    if record.value is None:
        fence_id = (record.key or b"").decode(errors="replace")
        return FenceChange(partition, record.offset, fence_id, None)
    try:
        fence = decode_fence(record.value)
    except InvalidRecord:
        return None
    return FenceChange(partition, record.offset, fence.fence_id, fence)


class _Versions:
    """Fences gathered while loading, to build the tree in one go."""

    def __init__(self) -> None:
        self._fences: dict[str, dict[int | None, Fence]] = {}

    def take(self, change: FenceChange) -> None:
        fence = change.fence
        if fence is None:
            self._fences.pop(change.fence_id, None)
        elif fence.valid_from_ms is None:
            self._fences[fence.fence_id] = {None: fence}
        else:
            self._fences.setdefault(fence.fence_id, {})[fence.valid_from_ms] = fence

    def all(self) -> list[Fence]:
        return [fence for versions in self._fences.values() for fence in versions.values()]
