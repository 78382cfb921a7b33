"""Reports unreadable records of the topics that every worker merely follows: each one exactly once."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from aiokafka import TopicPartition

from geofence.errors import InvalidRecord
from streams.checkpoint import Fenced, Letter, NotCommitted, Producer
from streams.intake import Intake, until_it_works
from streams.partition import letter_for
from streams.records import decode_fence, decode_manual, decode_weather, encode
from streams.topics import Topics
from streams.transport import Run

DECODERS: Final[Mapping[str, Callable[[bytes], Any]]] = {
    "geofences": decode_fence,
    "weather": decode_weather,
    "manual-records": decode_manual,
}
MAY_BE_NULL: Final = frozenset({"geofences"})
AGAIN_AFTER_S: Final = 1.0

log = logging.getLogger(__name__)


class Inspection:
    """Decodes what no partition of pings depends on being decoded by it, and buries what cannot be."""

    def __init__(self, bootstrap: str, topics: Topics, intake: Intake) -> None:
        self._bootstrap = bootstrap
        self._topics = topics
        self._intake = intake
        self._producers: dict[TopicPartition, Producer] = {}
        self._positions: dict[TopicPartition, int] = {}

    async def assign(self, tps: Iterable[TopicPartition]) -> None:
        """From now on these partitions, and no others, are this worker's. Raises KafkaError."""
        wanted = {tp for tp in tps if self._topics.bare(tp.topic) in DECODERS}
        for tp in set(self._producers) - wanted:
            await self._producers.pop(tp).close()
            del self._positions[tp]
        for tp in wanted:
            producer = self._producers.setdefault(
                tp, Producer(self._bootstrap, f"{self._topics.app_id}-{tp.topic}-{tp.partition}")
            )
            await until_it_works(producer.open, f"take {tp.topic} over")
        self._positions = {}
        if wanted:
            points = await until_it_works(lambda: self._intake.starting_points(wanted), "read offsets")
            self._positions = dict(points)

    async def stop(self) -> None:
        """Let everything go."""
        for producer in self._producers.values():
            await producer.close()
        self._producers.clear()
        self._positions.clear()

    def positions(self) -> Mapping[TopicPartition, int]:
        """Where each partition continues."""
        return dict(self._positions)

    async def take(self, run: Run) -> None:
        """Look through a run and report what is unreadable, with its offset, in one transaction."""
        tp = TopicPartition(run.topic, run.partition)
        position = self._positions.get(tp)
        if position is None or run.start is None or run.start > position:
            return
        fresh = run.since(position)
        letters = [letter async for letter in _unreadable(self._topics.bare(run.topic), fresh)]
        while tp in self._producers and self._positions.get(tp) == position:
            try:
                await self._commit(tp, letters, fresh.end)
            except (Fenced, NotCommitted) as reason:
                log.warning("Cannot commit what was unreadable in %s: %s; trying again", run.topic, reason)
                await self._reopen(tp, fresh.end)
            else:
                self._positions[tp] = fresh.end

    async def _commit(self, tp: TopicPartition, letters: list[Letter], end: int) -> None:
        topic = self._topics.name("dead-letters")
        records = [(topic, key, encode(letter), None) for key, letter in letters]
        await self._producers[tp].commit(records, {tp: end}, self._topics.app_id)

    async def _reopen(self, tp: TopicPartition, end: int) -> None:
        """A new producer; the group's offset tells whether the transaction had gone through after all."""
        await asyncio.sleep(AGAIN_AFTER_S)
        producer = self._producers.get(tp)
        if producer is None:
            return
        await until_it_works(producer.open, f"take {tp.topic} over")
        points = await until_it_works(lambda: self._intake.starting_points([tp]), "read offsets")
        if points[tp] >= end and tp in self._positions:
            self._positions[tp] = end


async def _unreadable(topic: str, run: Run) -> Any:
    decode = DECODERS[topic]
    for number, record in enumerate(run.records):
        if number % 1_000 == 0:
            await asyncio.sleep(0)
        if record.value is None and topic in MAY_BE_NULL:
            continue
        try:
            decode(record.value or b"")
        except InvalidRecord as error:
            yield letter_for(run, record, error.reason, error.field)
