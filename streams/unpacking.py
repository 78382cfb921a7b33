"""Takes records out of fetched batches, many of them packed: faster than with an object for each."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Final

import numpy as np
from aiokafka.codec import gzip_decode, lz4_decode, snappy_decode
from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import READ_COMMITTED
from aiokafka.errors import CorruptRecordException
from aiokafka.record.memory_records import MemoryRecords

from streams.compression import unpack_zstd
from streams.packed import COLUMNS, OFFSET, TIMESTAMP, KafkaRecord, PackedRecords
from streams.varints import read_records

FORMAT_AT: Final = 16  # in a batch: the number of its format ...
FORMAT: Final = 2
COUNT_AT: Final = 57  # ... and that of its records, as four bytes
RECORDS_AT: Final = 61
LOG_APPEND_TIME: Final = 1
UNPACK: Final = (bytes, gzip_decode, snappy_decode, lz4_decode, unpack_zstd)
"""By the number of the compression."""

LENGTH_AT: Final = 8
LENGTH: Final = 4
"""A batch's bytes after these four are as many as they say."""

WORTH_PACKING: Final = 1 << 16
"""Of fewer bytes fetched at once, an object for each record costs less than the columns."""


def unpack_lightly(consumer: Any, wanted: Callable[[str], bool] = lambda _topic: True) -> None:
    """Let a started aiokafka consumer give records of these topics as they are in their batch, many packed.

    They have no topic and partition, and all that was fetched of a partition comes at once.
    """
    fetcher.MemoryRecords = Batches
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


class Batches:
    """In place of `MemoryRecords`, which gives batches: it has the bytes of the latest one too."""

    def __init__(self, data: bytes) -> None:
        self.raw = b""
        self._data = data
        self._end = 0
        self._batches = MemoryRecords(data)

    def size_in_bytes(self) -> int:
        """How many bytes there are."""
        return len(self._data)

    def has_next(self) -> bool:
        """Whether there is a batch left."""
        return bool(self._batches.has_next())

    def next_batch(self) -> Any:
        """The next batch."""
        begin, after_length = self._end, self._end + LENGTH_AT + LENGTH
        self._end = after_length + int.from_bytes(self._data[begin + LENGTH_AT : after_length])
        self.raw = self._data[begin : self._end]
        return self._batches.next_batch()


def records_of(batch: Any, raw: bytes) -> PackedRecords:
    """The records of one of aiokafka's batches, read from its bytes.

    Raises CorruptRecordException when these are not as the format says.
    """
    if raw[FORMAT_AT] < FORMAT:
        return PackedRecords.of(batch)
    data = UNPACK[batch.compression_type](raw[RECORDS_AT:])
    columns = np.empty((COLUMNS, int.from_bytes(raw[COUNT_AT:RECORDS_AT])), np.int64)
    if not read_records(np.frombuffer(data, np.uint8), columns):
        raise CorruptRecordException(f"the batch at offset {batch.base_offset} is not as its format says")
    columns[OFFSET] += batch.base_offset
    if batch.timestamp_type == LOG_APPEND_TIME:
        columns[TIMESTAMP] = batch.max_timestamp
    else:
        columns[TIMESTAMP] += batch.first_timestamp
    return PackedRecords(data, columns)


def _get_all(result: Any, _max_records: int | None = None) -> Sequence[KafkaRecord]:
    """In place of `FetchResult.getall`."""
    if not result.check_assignment(result._topic_partition) or not result.has_more():
        return []
    part = result._partition_records
    few = part._records.size_in_bytes() < WORTH_PACKING
    records = _objects(part) if few else _packed(part)
    result._update_position()
    result._partition_records = None
    return records


def _objects(part: Any) -> list[KafkaRecord]:
    return [r for batch in _batches(part) for r in batch if r.offset >= part.next_fetch_offset]


def _packed(part: Any) -> PackedRecords:
    since = (records_of(b, part._records.raw).since(part.next_fetch_offset) for b in _batches(part))
    return PackedRecords.joined(list(since))


def _batches(part: Any) -> Iterator[Any]:
    """The batches to be read, as `PartitionRecords._unpack_records` finds them.

    Each before the next one: then what is before `next_fetch_offset` is no news.
    """
    while part._records.has_next():
        batch = part._records.next_batch()
        if part._check_crcs and not batch.validate_crc():
            raise CorruptRecordException(f"Invalid CRC - {part._tp}")
        if not batch.is_control_batch and not _aborted(part, batch):
            yield batch
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
