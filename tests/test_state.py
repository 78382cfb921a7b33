"""The state topic: what is written comes back, whatever the drivers are called."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from streams.packed import Latest, PackedRecords, Record
from streams.state import Counts, DriverState, Positions, Stored, collect, state_records
from tests.counting_engine import CountDelta

names = st.text(min_size=1, max_size=8) | st.sampled_from(
    ["a|1", "1|a", "head|a", "positions", "chunk|1|a", "|"]
)


def restored(*records: tuple[bytes, bytes | None]) -> Stored:
    stored = Stored()
    for ts_ms, (key, value) in enumerate(records):
        stored.apply(key, value, ts_ms)
    return stored


@given(
    st.dictionaries(
        names, st.tuples(st.binary(min_size=1), st.dictionaries(st.integers(0, 2**61), st.binary()))
    )
)
def test_what_is_written_comes_back(drivers: dict[str, tuple[bytes, dict[int, bytes]]]) -> None:
    states = {name: CountDelta(head, dict(chunks)) for name, (head, chunks) in drivers.items()}
    positions = Positions({"gps-pings": 5}, {0: 3, 1: 4}, Counts(1, 2, 3, 4))
    found = restored(*state_records(states, positions))
    assert found.positions == positions
    assert {name: (s.head, s.chunks) for name, s in found.drivers.items()} == drivers


def test_a_head_of_none_stays_as_it_was() -> None:
    written = [*state_records({"d": CountDelta(b"h", {0: b"x"})}, Positions())]
    written += state_records({"d": CountDelta(None, {1: b"y"})}, Positions())
    assert restored(*written).drivers["d"] == DriverState(b"h", {0: b"x", 1: b"y"}, 3)


def test_a_deleted_chunk_and_a_deleted_driver_are_gone() -> None:
    written = [
        *state_records({"d": CountDelta(b"h", {0: b"x", 1: b"y"}), "e": CountDelta(b"h")}, Positions())
    ]
    written += state_records({"d": CountDelta(None, {0: None}), "e": CountDelta(b"")}, Positions())
    found = restored(*written)
    assert found.drivers["d"].chunks == {1: b"y"}
    assert set(found.drivers) == {"d"}


@given(
    st.lists(st.tuples(st.sampled_from("de"), st.sampled_from([None, b"h", b"k", b""]), st.integers(0, 3))),
    st.lists(st.integers(0, 9)),
    st.booleans(),
)
def test_the_latest_record_of_each_key_says_what_all_of_them_say(steps, cuts, packed):
    written: list[Record] = []
    chunks: dict[str, set[int]] = {"d": set(), "e": set()}
    for now_ms, (driver, head, number) in enumerate(steps):
        own = chunks[driver]
        if head == b"":  # nothing remains of the driver
            delta = CountDelta(b"", dict.fromkeys(own))
            chunks[driver] = set()
        else:
            first = head or b"h"  # a driver's first record has a head
            delta = CountDelta(head if own else first, {number: b"%d" % now_ms})
            own.add(number)
        for key, value in state_records({driver: delta}, Positions({"gps-pings": now_ms})):
            written.append(Record(len(written), now_ms, key, value))
    latest: Latest = {}
    bounds = sorted({0, len(written), *(n for n in cuts if n < len(written))})
    for begin, end in pairwise(bounds):
        part = written[begin:end]
        collect(PackedRecords.of(part) if packed else part, latest)
    one_by_one = Stored()
    for record in written:
        one_by_one.apply(record.key or b"", record.value, record.timestamp)
    assert Stored.of(latest) == one_by_one


def test_positions_are_written_after_the_states_they_stand_for() -> None:
    keys = [key for key, _ in state_records({"d": CountDelta(b"h")}, Positions())]
    assert keys == [b"head|d", b"positions"]


def test_nothing_stored_means_no_positions() -> None:
    assert restored().positions is None
