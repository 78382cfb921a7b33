"""Reading a stretch of one partition without a consumer group, as often as a start or a repair needs it."""

from bisect import bisect_left
from collections.abc import AsyncIterator, Sequence
from operator import attrgetter
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.packed import KafkaRecord
from streams.unpacking import unpack_lightly

FETCH_BYTES: Final = 8 * 2**20


def groupless_consumer(bootstrap: str) -> AIOKafkaConsumer:
    """A consumer that reads only what was committed, from where it is told, and commits nothing."""
    return AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=FETCH_BYTES,
        fetch_max_wait_ms=100,
    )


async def read_stretch(
    bootstrap: str, topic: str, partition: int, start: int = 0
) -> AsyncIterator[Sequence[KafkaRecord]]:
    """The records from offset `start` to the present end, in portions. Raises KafkaError."""
    tp = TopicPartition(topic, partition)
    consumer = groupless_consumer(bootstrap)
    await consumer.start()
    unpack_lightly(consumer)
    try:
        consumer.assign([tp])
        first = (await consumer.beginning_offsets([tp]))[tp]
        end = (await consumer.end_offsets([tp]))[tp]
        consumer.seek(tp, max(start, first))
        while await consumer.position(tp) < end:
            for records in (await consumer.getmany(tp, timeout_ms=500)).values():
                yield records[: bisect_left(records, end, key=attrgetter("offset"))]
    finally:
        await consumer.stop()
