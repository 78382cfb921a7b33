"""Runs of records, apart from Kafka."""

from aiokafka.structs import ConsumerRecord
from faust.transport import drivers

from streams import transport
from streams.transport import Run


def record(offset: int) -> ConsumerRecord:
    return ConsumerRecord("t", 0, offset, 0, 0, None, b"", None, -1, 0, ())


def test_the_rest_of_a_run_begins_at_the_offset() -> None:
    run = Run("t", 0, 2, 9, [record(2), record(5), record(8)])
    rest = run.since(5)
    assert (rest.start, rest.end, [r.offset for r in rest.records]) == (5, 9, [5, 8])


def test_a_run_that_begins_later_stays_as_it_is() -> None:
    run = Run("t", 0, 6, 9, [record(6)])
    assert run.since(5) is run


def test_nothing_is_left_of_a_run_that_ends_before_the_offset() -> None:
    rest = Run("t", 0, 2, 5, [record(2), record(4)]).since(7)
    assert (rest.start, rest.end, list(rest.records)) == (7, 7, [])


def test_faust_finds_the_transport_by_the_scheme() -> None:
    transport.register()
    assert drivers.TRANSPORTS.by_url("runs://localhost:9092") is transport.Transport
