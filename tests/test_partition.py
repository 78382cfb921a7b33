"""One partition's records through its engine: order, repetition, dead letters, what waits for a commit."""

import json

import pytest
from aiokafka.structs import ConsumerRecord
from hypothesis import given
from hypothesis import strategies as st

from geofence.engine import Engine
from streams.partition import FenceChange, OutOfSequence, Partition, portions
from streams.state import Counts, DriverState, Positions, Stored, state_records
from streams.transport import Run
from tests.counting_engine import CountingEngine


def record(offset: int, value: bytes | None, key: bytes | None = b"d") -> ConsumerRecord:
    return ConsumerRecord("gps-pings", 3, offset, 1_790_000_000_000, 0, key, value, None, 1, 1, ())


def ping(offset: int, driver: str = "d") -> ConsumerRecord:
    value = {"driver_id": driver, "ts": 1_790_000_000 + offset, "lat": 47.0, "lon": 8.0}
    return record(offset, json.dumps(value).encode())


def run(start: int | None, end: int, *records: ConsumerRecord) -> Run:
    return Run("gps-pings", 3, start, end, records)


def fresh(stored: Stored | None = None) -> tuple[Partition, CountingEngine]:
    engine = CountingEngine()
    partition = Partition(3, engine, stored or Stored())
    partition.start_at("gps-pings", 0)
    return partition, engine


def test_a_run_is_used_and_moves_the_position_to_its_end() -> None:
    partition, engine = fresh()
    partition.take("gps-pings", run(0, 5, ping(0), ping(1), ping(3)))
    assert engine.pings == {"d": 3}
    assert partition.positions.inputs == {"gps-pings": 5}


def test_a_run_without_records_moves_the_position_too() -> None:
    partition, _ = fresh()
    partition.take("gps-pings", run(0, 7))
    assert partition.positions.inputs == {"gps-pings": 7}
    assert partition.has_changed


def test_records_fetched_twice_are_used_once() -> None:
    partition, engine = fresh()
    partition.take("gps-pings", run(0, 2, ping(0), ping(1)))
    partition.take("gps-pings", run(1, 4, ping(1), ping(2), ping(3)))
    partition.take("gps-pings", run(0, 3, ping(0), ping(1), ping(2)))
    assert engine.pings == {"d": 4}
    assert partition.positions.inputs == {"gps-pings": 4}


@pytest.mark.parametrize("start", [3, None])
def test_a_run_that_does_not_follow_on_is_refused(start: int | None) -> None:
    partition, engine = fresh()
    partition.take("gps-pings", run(0, 2, ping(0), ping(1)))
    with pytest.raises(OutOfSequence, match="does not follow on 2"):
        partition.take("gps-pings", run(start, 5, ping(3), ping(4)))
    assert engine.pings == {"d": 2}


def test_bad_messages_are_buried_with_their_offsets_and_keys_and_the_good_ones_used() -> None:
    partition, engine = fresh()
    partition.take("gps-pings", run(0, 3, ping(0), record(1, b"?", b"k"), ping(2)))
    letters = partition.changes(0).letters
    assert engine.pings == {"d": 2}
    assert [(key, letter.topic, letter.partition, letter.offset) for key, letter in letters] == [
        (b"k", "gps-pings", 3, 1)
    ]
    assert partition.counts == Counts(used=2, dead=1)


def test_changes_are_handed_out_once() -> None:
    partition, _ = fresh()
    partition.take("gps-pings", run(0, 10, *(ping(n) for n in range(10))))
    partition.add([("stop-predictions", b"s", b"{}")])
    assert partition.has_outputs
    first, second = partition.changes(0), partition.changes(0)
    assert (len(first.outputs), first.extra, set(first.states)) == (
        1,
        [("stop-predictions", b"s", b"{}")],
        {"d"},
    )
    assert (second.outputs, second.extra, second.states) == ([], [], {})
    assert not partition.has_changed


def test_positions_in_changes_stay_as_they_were_when_the_work_goes_on() -> None:
    partition, _ = fresh()
    partition.take("gps-pings", run(0, 1, ping(0)))
    changes = partition.changes(0)
    partition.take("gps-pings", run(1, 2, ping(1)))
    assert changes.positions.inputs == {"gps-pings": 1}
    assert changes.positions.counts == Counts(used=1)


def test_a_partition_goes_on_from_what_was_stored() -> None:
    before = Positions({"gps-pings": 40}, {0: 7}, Counts(used=38, duplicate=1, dead=1))
    partition, engine = fresh(Stored(before, {"d": DriverState(b"38"), "gone": DriverState(b"")}))
    partition.take("gps-pings", run(30, 42, *(ping(n) for n in range(30, 42))))
    assert engine.pings == {"d": 40}
    assert partition.counts == Counts(used=40, duplicate=1, dead=1)
    assert partition.changes(0).positions.fences == {0: 7}


def test_fences_known_never_go_back() -> None:
    partition, engine = fresh()
    partition.fences_read(0, 10)
    partition.take_fence(FenceChange(0, 4, "f", None))
    assert partition.positions.fences == {0: 10}
    assert engine.fences == {}


def test_drivers_unchanged_for_long_are_settled_and_let_go() -> None:
    stored = Stored(Positions({"gps-pings": 2}), {"old": DriverState(b"1", {}, 1_000)})
    partition, engine = fresh(stored)
    partition.take("gps-pings", run(2, 3, ping(2, "new")))
    partition.changes(5_000)
    assert partition.let_go_unchanged_since(1_001) == 1
    assert engine.settled == ["old"]
    states = partition.changes(6_000).states
    assert {driver: delta.head for driver, delta in states.items()} == {"old": b""}
    assert partition.drivers == 1
    assert partition.let_go_unchanged_since(1_001) == 0


def test_nothing_remains_stored_of_a_driver_let_go() -> None:
    partition = Partition(3, Engine(), Stored())
    partition.start_at("gps-pings", 0)
    stored = Stored()
    for now_ms, pings in ((1_000, ("old", "new")), (9_000, ("new",))):
        start = partition.positions.inputs["gps-pings"]
        records = [ping(start + n, driver) for n, driver in enumerate(pings * 700)]
        partition.take("gps-pings", run(start, start + len(records), *records))
        store(partition, stored, now_ms)
    assert set(stored.drivers) == {"old", "new"}
    assert partition.let_go_unchanged_since(5_000) == 1
    store(partition, stored, 10_000)
    assert set(stored.drivers) == {"new"}


def store(partition: Partition, stored: Stored, now_ms: int) -> None:
    changes = partition.changes(now_ms)
    for key, value in state_records(changes.states, changes.positions):
        stored.apply(key, value, now_ms)


@given(st.lists(st.integers(1, 5), max_size=30), st.integers(1, 7), st.integers(0, 3))
def test_portions_are_the_run_in_order_without_gap_or_overlap(steps: list[int], size: int, tail: int) -> None:
    offsets = [sum(steps[: n + 1]) for n in range(len(steps))]
    whole = run(0, (offsets[-1] if offsets else 0) + 1 + tail, *(record(o, b"") for o in offsets))
    parts = list(portions(whole, lambda: size))
    assert [r.offset for part in parts for r in part.records] == offsets
    assert [part.start for part in parts] == [0, *(part.end for part in parts[:-1])]
    assert parts[-1].end == whole.end
    assert all(len(part.records) <= size for part in parts)
    assert all(part.start <= r.offset < part.end for part in parts for r in part.records)
