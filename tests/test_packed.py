"""Records read from Kafka's batches as columns, beside aiokafka's own reading of the same bytes."""

from itertools import chain

import pytest
from aiokafka.consumer.fetcher import READ_COMMITTED, PartitionRecords
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder
from aiokafka.record.legacy_records import LegacyRecordBatch, LegacyRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import TopicPartition
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.packed import VALUE, VALUE_END, PackedRecords, Record
from streams.records import decode_packed, decode_pings
from streams.unpacking import Batches, _objects, _packed, records_of

FIRST_MS = 1_790_000_000_000
ABORTS = bytes(4)  # version 0, type 0
PING = b'{"driver_id":"d","ts":1e9,"lat":1,"lon":2}'
blobs = st.none() | st.binary(max_size=40) | st.binary(min_size=200, max_size=20_000)
headers = st.lists(st.tuples(st.text(max_size=5), st.none() | st.binary(max_size=9)), max_size=3)
messages = st.lists(st.tuples(st.integers(0, 10**9), blobs, blobs, headers), min_size=1, max_size=20)


def batch_of(rows, compression: int = 0) -> bytes:
    builder = DefaultRecordBatchBuilder(2, compression, 0, -1, -1, -1, 1 << 26)
    for n, (ms, key, value, about) in enumerate(rows):
        builder.append(n, FIRST_MS + ms, key, value, about)
    return bytes(builder.build())


def plainly(batch) -> list[Record]:
    return [Record(r.offset, r.timestamp, r.key, r.value) for r in batch]


@settings(deadline=None)
@given(messages, st.sampled_from(range(5)))
def test_a_batch_is_read_as_aiokafka_reads_it(rows, compression):
    raw = batch_of(rows, compression)
    assert list(records_of(DefaultRecordBatch(raw), raw)) == plainly(DefaultRecordBatch(raw))


@settings(deadline=None)
@given(messages, st.data())
def test_bytes_that_are_no_batch_are_refused_or_read_within_their_bounds(rows, data):
    raw = bytearray(batch_of(rows))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(61, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = records_of(DefaultRecordBatch(bytes(raw)), bytes(raw))
    except CorruptRecordException:
        return
    assert all(len(r.key or b"") + len(r.value or b"") <= len(raw) for r in found)


def test_a_batch_cut_short_is_refused():
    raw = batch_of([(0, b"k", b"value", [])])
    with pytest.raises(CorruptRecordException, match="offset 0"):
        records_of(DefaultRecordBatch(raw), raw[:-1])


def test_a_broker_that_tells_the_time_itself_is_believed():
    raw = bytearray(batch_of([(0, None, b"v", []), (7, None, b"w", [])]))
    raw[22] |= 8  # the attribute of log append time
    assert [r.timestamp for r in records_of(DefaultRecordBatch(bytes(raw)), bytes(raw))] == [FIRST_MS + 7] * 2


def test_messages_of_the_former_format_are_read_too():
    builder = LegacyRecordBatchBuilder(1, 0, 1 << 16)
    builder.append(5, FIRST_MS, b"k", b"v")
    raw = bytes(builder.build())
    assert list(records_of(LegacyRecordBatch(raw, 1), raw)) == [Record(5, FIRST_MS, b"k", b"v")]


def test_batches_come_with_their_own_bytes():
    parts = [batch_of([(n, b"k", bytes(n * 50), [])]) for n in range(4)]
    batches = Batches(b"".join(parts) + parts[0][:30])  # the last one is not whole, as brokers send them
    found = []
    while batches.has_next():
        batch = batches.next_batch()
        found.append(batches.raw)
        assert list(records_of(batch, batches.raw)) == plainly(DefaultRecordBatch(batches.raw))
    assert found == parts
    assert batches.size_in_bytes() == sum(map(len, parts)) + 30


def fetched(kinds, since: int, batches=Batches) -> PartitionRecords:
    """What a fetch from offset `since` on holds: a batch of two records, or a marker, for each kind.

    Kinds are of no transaction (-1), or one of a producer (0 to 2), or the marker that aborts it (10 to 12).
    """
    data, offset, begun, aborted = b"", 0, {}, []
    for kind in kinds:
        marker, producer = kind >= 10, kind % 10 if kind >= 0 else -1
        builder = DefaultRecordBatchBuilder(2, 0, int(kind >= 0), producer, 0, 0, 1 << 16)
        rows = [(ABORTS, b"")] if marker else [(b"k", b"%d" % n) for n in (offset, offset + 1)]
        for n, (key, value) in enumerate(rows):
            builder.append(n, FIRST_MS, key, value, [])
        raw = builder.build()
        raw[:8] = offset.to_bytes(8)
        raw[22] |= 0x20 if marker else 0
        data += bytes(raw)
        if marker and producer in begun:
            aborted.append((producer, begun.pop(producer)))
        elif not marker and producer >= 0:
            begun.setdefault(producer, offset)
        offset += len(rows)
    tp = TopicPartition("t", 0)
    return PartitionRecords(tp, batches(data), aborted, since, None, None, False, READ_COMMITTED)


@given(st.lists(st.sampled_from([-1, 0, 1, 2, 10, 11, 12]), max_size=12), st.integers(0, 1))
def test_of_what_was_fetched_the_same_is_read_as_by_aiokafka(kinds, since):
    """Nothing of aborted transactions, no markers, nothing from before where was asked."""
    plain = fetched(kinds, since, MemoryRecords)
    expected = plainly(plain)
    for read in (_objects, _packed):
        part = fetched(kinds, since)
        assert plainly(read(part)) == expected
        assert part.next_fetch_offset == plain.next_fetch_offset


@given(st.lists(st.lists(st.tuples(st.integers(0, 3), blobs, blobs), max_size=5), min_size=1), st.data())
def test_parts_joined_sliced_and_cut_are_as_a_list_of_them(parts, data):
    offset, lists = 0, []
    for part in parts:
        rows = []
        for step, key, value in part:
            offset += 1 + step
            rows.append(Record(offset, FIRST_MS + offset, key, value))
        lists.append(rows)
    records, rows = PackedRecords.joined(list(map(PackedRecords.of, lists))), list(chain.from_iterable(lists))
    assert (len(records), list(records)) == (len(rows), rows)
    assert [records[n] for n in range(len(rows))] == rows
    first, last = sorted(data.draw(st.tuples(*[st.integers(0, len(rows))] * 2)))
    assert list(records[first:last]) == rows[first:last]
    assert list(records.since(first)) == [r for r in rows if r.offset >= first]
    assert records.latest() == {r.key: (r.value, r.timestamp) for r in rows if r.key is not None}


@given(
    st.lists(
        st.none() | st.sampled_from([b"", b"?", b'{"driver_id":"d","ts":1e9,"lat":1,"lon":2}']), max_size=80
    )
)
def test_pings_are_decoded_from_packed_messages_as_from_others(values):
    records = PackedRecords.of([Record(n, 0, b"d", value) for n, value in enumerate(values)])
    packed = decode_packed(records.data, records.columns[VALUE], records.columns[VALUE_END])
    plain = decode_pings(values)
    assert packed.bad == plain.bad
    assert packed.message_index.tolist() == plain.message_index.tolist()
    assert packed.batch.lat.tolist() == plain.batch.lat.tolist()
