"""Takes records out of fetched batches with less around each: several times faster than aiokafka's own."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Protocol

from aiokafka.consumer.fetcher import READ_COMMITTED
from aiokafka.errors import CorruptRecordException


class KafkaRecord(Protocol):
    """What this project reads of a record; aiokafka's ConsumerRecord has it too."""

    @property
    def offset(self) -> int: ...  # noqa: D102

    @property
    def timestamp(self) -> int: ...  # noqa: D102

    @property
    def key(self) -> bytes | None: ...  # noqa: D102

    @property
    def value(self) -> bytes | None: ...  # noqa: D102


def unpack_lightly(consumer: Any, wanted: Callable[[str], bool] = lambda _topic: True) -> None:
    """Let a started aiokafka consumer give records of these topics as they are in their batch.

    They have no topic and partition, and all that was fetched of a partition comes at once.
    """
    consumer._fetcher._records = _Results(wanted)


class _Results(dict[Any, Any]):
    """The fetcher's results by partition, none of which has been looked into when it comes."""

    def __init__(self, wanted: Callable[[str], bool]) -> None:
        super().__init__()
        self._wanted = wanted

    def __setitem__(self, tp: Any, result: Any) -> None:
        if hasattr(result, "getall") and self._wanted(tp.topic):  # else an error
            result.getall = partial(_get_all, result)
        super().__setitem__(tp, result)


def _get_all(result: Any, _max_records: int | None = None) -> list[KafkaRecord]:
    """In place of `FetchResult.getall`."""
    if not result.check_assignment(result._topic_partition) or not result.has_more():
        return []
    part = result._partition_records
    records = [record for batch in _batches(part) for record in batch]
    result._update_position()
    result._partition_records = None
    return records


def _batches(part: Any) -> Iterator[list[KafkaRecord]]:
    """The records that may be read, as `PartitionRecords._unpack_records` finds them, batch by batch."""
    while part._records.has_next():
        batch = part._records.next_batch()
        if part._check_crcs and not batch.validate_crc():
            raise CorruptRecordException(f"Invalid CRC - {part._tp}")
        if not batch.is_control_batch and not _aborted(part, batch):
            records: list[KafkaRecord] = list(batch)
            if records and records[0].offset < part.next_fetch_offset:
                records = [r for r in records if r.offset >= part.next_fetch_offset]
            yield records
        elif batch.is_control_batch:
            _note_control(part, batch)
        part.next_fetch_offset = max(part.next_fetch_offset, batch.next_offset)


def _aborted(part: Any, batch: Any) -> bool:
    """Whether the batch belongs to a transaction that was aborted."""
    if part._isolation_level != READ_COMMITTED or batch.producer_id is None:
        return False
    part._consume_aborted_up_to(batch.base_offset)
    return bool(batch.is_transactional and batch.producer_id in part._aborted_producers)


def _note_control(part: Any, batch: Any) -> None:
    """An abort marker ends the aborted transaction of its producer."""
    if part._isolation_level == READ_COMMITTED and batch.producer_id is not None:
        part._consume_aborted_up_to(batch.base_offset)
        if part._contains_abort_marker(batch):
            part._aborted_producers.discard(batch.producer_id)
