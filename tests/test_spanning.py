"""Several customers served in one visit over several standstills: each has the part that its order needs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geofence.events import ServiceTime
from geofence.spanning import changes_over
from geofence.stays import Stay
from tests.test_assignment import stand
from tests.test_handover import route
from tests.tracks import START_MS, Drawn, circle, visits


def stays(*spans_s: tuple[int, int]) -> list[Stay]:
    return [Stay(stand(0, begin_s, end_s - begin_s), (), None) for begin_s, end_s in spans_s]


def moments_s(found: list[Stay], *needs: float) -> list[float]:
    return [(c.at_ms - START_MS) / 1000 for c in changes_over(found, needs)]


def test_equal_orders_meet_in_the_middle_of_the_time_stood():
    assert moments_s(stays((0, 100), (130, 430)), 1, 1) == [230]
    assert moments_s(stays((0, 300), (330, 430)), 1, 1) == [200]


def test_where_that_is_a_move_of_the_van_the_first_is_served_up_to_it():
    assert moments_s(stays((0, 200), (230, 430)), 1, 1) == [200]


def test_each_of_three_has_its_part_over_three_standstills():
    assert moments_s(stays((0, 100), (120, 220), (240, 340)), 1, 1, 4) == [50, 100]


@given(
    st.lists(st.tuples(st.integers(1, 900), st.integers(0, 300)), min_size=2, max_size=5),
    st.lists(st.floats(0.2, 8.0), min_size=2, max_size=6),
)
def test_parts_of_the_time_stood_are_as_the_needs_and_changes_lie_within_their_bounds(lengths, needs):
    found, at_s = [], 0
    for stood_s, moved_s in lengths:
        found += stays((at_s, at_s + stood_s))
        at_s += stood_s + moved_s
    changes = changes_over(found, needs)

    def stood_ms(until_ms: int) -> int:
        spans = [(s.standstill.arrived_ms, s.standstill.departed_ms) for s in found]
        return sum(max(0, min(end, until_ms) - begin) for begin, end in spans)

    whole_ms = stood_ms(1 << 60)
    for n, change in enumerate(changes, 1):
        assert stood_ms(change.at_ms) == pytest.approx(whole_ms * sum(needs[:n]) / sum(needs), abs=2)
        assert change.low_ms <= change.at_ms <= change.high_ms
    assert sorted(changes) == list(changes)


def moved_within(boxes_a: int, boxes_b: int) -> list[ServiceTime]:
    """Two at one door; the van is moved by 22 m after half of the time."""
    track = Drawn(noise_m=2.0, speed=True).drive(2000).stand(280).drive(2022, mps=5).stand(280).drive(4000)
    return visits(track, [circle("a", 2000), circle("b", 2004)], [route(boxes_a, boxes_b)])


@pytest.mark.parametrize(("boxes_a", "boxes_b"), [(30, 1), (1, 30)])
def test_the_larger_order_has_the_larger_part_though_the_van_was_moved(boxes_a, boxes_b):
    a, b = moved_within(boxes_a, boxes_b)
    assert a.flags == b.flags == ("merged",)
    assert a.share_method == b.share_method == "by_order"
    shares = a.service_time_s, b.service_time_s
    assert sum(shares) == pytest.approx((a.departed_ms - a.arrived_ms) / 1000, abs=0.01)
    assert max(shares) > 4 * min(shares)
    assert shares.index(max(shares)) == (0 if boxes_a > boxes_b else 1)
