"""A batch taken apart by driver beside the plainest way to do it."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from geofence.events import Ping, PingBatch
from geofence.portions import portions_of

GAP_MS = 1000

pings = st.lists(
    st.builds(
        Ping,
        driver_id=st.sampled_from("abc"),
        ts_ms=st.integers(0, 3000),
        lat=st.sampled_from([0.0, 47.5]),
        lon=st.just(-8.25),
        accuracy_m=st.sampled_from([None, 4.5]),
        speed_mps=st.sampled_from([None, 0.0, 3.5]),
    ),
    max_size=12,
)


def numbers(ping):
    return [ping.ts_ms, ping.lat, ping.lon, ping.accuracy_m, ping.speed_mps]


def known(row):
    return [None if number != number else number for number in row]


@given(pings)
def test_each_driver_has_its_own_pings_in_the_order_they_came(given):
    drivers, rows, bounds, _ = portions_of(PingBatch.of(given), GAP_MS)
    assert drivers == list(dict.fromkeys(p.driver_id for p in given))
    assert bounds[0] == 0
    assert bounds[-1] == len(given)
    for n, driver in enumerate(drivers):
        own = [known(row) for row in rows[bounds[n] : bounds[n + 1]].tolist()]
        assert own == [numbers(p) for p in given if p.driver_id == driver]


@given(pings)
def test_steady_are_times_that_ascend_without_a_silence(given):
    drivers, _, _, steady = portions_of(PingBatch.of(given), GAP_MS)
    for driver, is_steady in zip(drivers, steady, strict=True):
        times = [p.ts_ms for p in given if p.driver_id == driver]
        steps = [later - earlier for earlier, later in pairwise(times)]
        assert is_steady == all(0 < step < GAP_MS for step in steps)


def test_names_without_a_ping_are_no_drivers():
    batch = PingBatch.of([Ping("a", 1, 0.0, 0.0), Ping("b", 2, 0.0, 0.0)])
    assert portions_of(batch.select([1]), GAP_MS).drivers == ["b"]
    assert portions_of(batch.select([]), GAP_MS).drivers == []


@given(pings)
def test_turns_are_in_order_of_first_appearance(given):
    batch = PingBatch.of([Ping("unseen", 0, 0.0, 0.0), *given])
    assert batch.select(list(range(1, len(given) + 1))).turns() == list(
        dict.fromkeys(p.driver_id for p in given)
    )
