"""Fences and the live set of them, against a plain linear scan."""

from dataclasses import replace

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from geofence.cells import NEAR_M, key_of
from geofence.errors import InvalidFence
from geofence.fences import Fence, FenceSet, box_around, cells_near, widened
from geofence.geometry import LocalPlane, distance_m


def circle(fence_id="f", lat=47.0, lon=8.0, radius_m=50.0, **more):
    return Fence(fence_id, more.pop("customer_id", f"c-{fence_id}"), lat, lon, radius_m, **more)


def square(fence_id="f", lat=47.0, lon=8.0, half_m=50.0, **more):
    plane = LocalPlane(lat, lon)
    signs = ((-1, -1), (1, -1), (1, 1), (-1, 1))
    degrees = [plane.to_degrees(half_m * east, half_m * north) for east, north in signs]
    corners = [(lon + (x - lon + 180) % 360 - 180, y) for y, x in degrees]
    return Fence(
        fence_id, more.pop("customer_id", f"c-{fence_id}"), lat, lon, None, shapely.Polygon(corners), **more
    )


def test_the_distance_to_a_circle_is_negative_inside():
    fence = circle(lat=47.0, lon=8.0, radius_m=100.0)
    north_of_it = LocalPlane(47.0, 8.0).to_degrees(0.0, 150.0)
    assert fence.distance_m(47.0, 8.0) == -100.0
    assert fence.distance_m(*north_of_it) == pytest.approx(50.0, abs=0.01)


def test_the_distance_to_a_square_is_to_its_nearest_edge():
    fence = square(lat=47.0, lon=8.0, half_m=100.0)
    plane = LocalPlane(47.0, 8.0)
    assert fence.distance_m(*plane.to_degrees(0, 0)) == pytest.approx(-100, abs=0.01)
    assert fence.distance_m(*plane.to_degrees(70, 0)) == pytest.approx(-30, abs=0.01)
    assert fence.distance_m(*plane.to_degrees(0, -130)) == pytest.approx(30, abs=0.01)
    assert fence.distance_m(*plane.to_degrees(130, 140)) == pytest.approx(50, abs=0.01)


def test_a_hole_is_outside():
    ring = shapely.Point(8.0, 47.0).buffer(0.01) - shapely.Point(8.0, 47.0).buffer(0.002)
    fence = Fence("f", "c", 47.005, 8.0, None, ring)
    assert fence.distance_m(47.0, 8.0) == pytest.approx(0.002 * 111_195 * np.cos(np.radians(47)), rel=0.02)
    assert fence.distance_m(47.006, 8.0) < 0


@pytest.mark.parametrize("lon", [179.9995, -179.9995, 180.0, -180.0])
def test_a_fence_on_the_antimeridian_is_whole(lon):
    for fence in (circle(lon=lon, radius_m=100), square(lon=lon, half_m=100)):
        fences = FenceSet([fence])
        for east_m, inside in ((-90, True), (0, True), (90, True), (-120, False), (120, False)):
            place = LocalPlane(47.0, lon).to_degrees(east_m, 0)
            (found,) = fences.near(*place, 30.0, 0)
            assert (found[1] < 0) is inside
            assert found[1] == pytest.approx(abs(east_m) - 100, abs=0.1)


def test_many_distances_are_those_one_by_one():
    lat, lon = np.linspace(46.999, 47.001, 9), np.linspace(7.998, 8.002, 9)
    for fence in (circle(), square()):
        one_by_one = [fence.distance_m(a, b) for a, b in zip(lat.tolist(), lon.tolist(), strict=True)]
        assert fence.distances_m(lat, lon).tolist() == pytest.approx(one_by_one, abs=1e-6)


def test_a_version_holds_from_its_beginning_until_the_next():
    old, new = circle(radius_m=50), circle(radius_m=80, valid_from_ms=1000)
    fences = FenceSet([old])
    fences.put(new)
    assert fences.get("f", 999) == old
    assert fences.get("f", 1000) == new
    assert [f for f, _ in fences.near(47.0, 8.0, 10, 999)] == [old]
    assert [f for f, _ in fences.near(47.0, 8.0, 10, 1000)] == [new]


def test_a_version_that_has_ended_gives_way_to_the_one_beneath():
    fences = FenceSet([circle(radius_m=50), circle(radius_m=80, valid_from_ms=1000, valid_to_ms=2000)])
    assert [fences.get("f", t).radius_m for t in (0, 1000, 1999, 2000)] == [50, 80, 80, 50]


def test_a_version_without_beginning_replaces_all_others():
    fences = FenceSet([circle(radius_m=50), circle(radius_m=60, valid_from_ms=5), circle(radius_m=70)])
    assert [f.radius_m for f in fences] == [70]


def test_a_fence_that_changes_its_customer_leaves_the_former():
    fences = FenceSet([circle(customer_id="a")])
    fences.put(circle(customer_id="b"))
    assert fences.of_customer("a", 0) == []
    assert [f.fence_id for f in fences.of_customer("b", 0)] == ["f"]


def test_an_empty_set_finds_nothing_and_can_be_filled():
    fences = FenceSet()
    assert fences.near(47.0, 8.0, 1000, 0) == []
    fences.remove("unknown")
    fences.put(circle())
    assert len(fences.near(47.0, 8.0, 0, 0)) == 1


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"fence_id": ""}, "fence_id"),
        ({"customer_id": ""}, "customer_id"),
        ({"radius_m": 0.0}, "radius_m"),
        ({"radius_m": 50_001.0}, "radius_m"),
        ({"radius_m": None}, "geometry"),
        ({"lat": 91.0}, "geometry.coordinates"),
        ({"dwell_s": -1.0}, "dwell_s"),
    ],
)
def test_an_impossible_fence_names_its_field(change, field):
    with pytest.raises(InvalidFence) as caught:
        replace(circle(), **change)
    assert caught.value.field == field


latitudes = st.floats(-89.5, 89.5)
longitudes = st.floats(-180, 180) | st.floats(179.99, 180) | st.floats(-180, -179.99)


@given(latitudes, longitudes, st.floats(0.1, 20_000), st.floats(0, 360))
def test_a_circle_lies_within_its_box(lat, lon, radius_m, bearing):
    west, south, east, north = box_around(lat, lon, radius_m)
    if east - west >= 360:
        return
    b, d, phi = np.radians(bearing), radius_m / 6_371_008.8, np.radians(lat)
    to_lat = np.arcsin(np.sin(phi) * np.cos(d) + np.cos(phi) * np.sin(d) * np.cos(b))
    off = np.arctan2(np.sin(b) * np.sin(d) * np.cos(phi), np.cos(d) - np.sin(phi) * np.sin(to_lat))
    assert south - 1e-9 <= np.degrees(to_lat) <= north + 1e-9
    assert west - 1e-9 <= lon + np.degrees(off) <= east + 1e-9
    assert distance_m(lat, lon, float(np.degrees(to_lat)), lon + float(np.degrees(off))) == pytest.approx(
        radius_m, rel=1e-3, abs=0.01
    )


# A handful of places close together, some across the antimeridian, so that fences often overlap.
near_lats = st.floats(-17.002, -17.0)
near_lons = st.one_of(st.floats(179.999, 180.0), st.floats(-180.0, -179.999))
ids = st.sampled_from(["a", "b", "c", "d"])
customers = st.sampled_from(["x", "y"])
begins = st.sampled_from([None, 0, 10, 20])
made = st.builds(
    lambda make, i, lat, lon, size, customer, begin, length: make(
        i,
        lat,
        lon,
        size,
        customer_id=customer,
        valid_from_ms=begin,
        valid_to_ms=None if length is None else (begin or 0) + length,
    ),
    st.sampled_from([circle, square]),
    ids,
    near_lats,
    near_lons,
    st.floats(1, 150),
    customers,
    begins,
    st.sampled_from([None, 5, 15]),
)


def test_a_distance_is_that_of_the_fence_to_the_last_digit():
    fence = Fence("b", "x", -17.001896233569898, 179.99969205409377, radius_m=50.0)
    place = -17.001953125, -180.0
    assert FenceSet([fence]).near(*place, 0.0, 0) == [(fence, fence.distance_m(*place))]


class Scan:
    """The oracle: a list, looked through from end to end."""

    def __init__(self):
        self.fences = []

    def put(self, fence):
        replaced = [
            f
            for f in self.fences
            if f.fence_id == fence.fence_id and fence.valid_from_ms in (None, f.valid_from_ms)
        ]
        self.fences = [f for f in self.fences if f not in replaced] + [fence]

    def remove(self, fence_id):
        self.fences = [f for f in self.fences if f.fence_id != fence_id]

    def holding(self, ts_ms):
        valid = [f for f in self.fences if f.valid_at(ts_ms)]
        latest = {}
        for f in valid:
            rank = -1 if f.valid_from_ms is None else f.valid_from_ms
            if f.fence_id not in latest or rank > latest[f.fence_id][0]:
                latest[f.fence_id] = (rank, f)
        return [f for _, f in latest.values()]

    def near(self, lat, lon, within_m, ts_ms):
        found = [(f, f.distance_m(lat, lon)) for f in self.holding(ts_ms)]
        return sorted(((f, d) for f, d in found if d <= within_m), key=lambda p: (p[1], p[0].fence_id))


def meet(one, other):
    """Whether two boxes have a place in common, however their longitudes are counted."""
    turns = [360 * k for k in (-2, -1, 0, 1, 2)]
    return (one[1] <= other[3] and other[1] <= one[3]) and any(
        one[0] + turn <= other[2] and other[0] <= one[2] + turn for turn in turns
    )


@given(latitudes, longitudes, st.floats(1, 900), st.floats(1, 900), st.floats(0, 360))
def test_a_widened_box_holds_what_lies_so_far_beside_the_box(lat, lon, half_m, by_m, bearing):
    inner = box_around(lat, lon, half_m)
    plane = LocalPlane(inner[3], inner[2])
    to = by_m * np.sin(np.radians(bearing)), by_m * np.cos(np.radians(bearing))
    beside = plane.to_degrees(*(0.999 * to[0], 0.999 * to[1]))
    assert meet(widened(inner, by_m), (beside[1], beside[0], beside[1], beside[0]))


@given(
    st.sampled_from([circle, square]),
    latitudes,
    longitudes,
    st.floats(1, 100),
    st.floats(0, 360),
    st.floats(0, 1),
)
def test_places_near_a_fence_are_in_its_cells(make, lat, lon, off_m, bearing, share):
    fence = make(lat=lat, lon=lon)
    away_m = off_m + share * NEAR_M
    to = away_m * np.sin(np.radians(bearing)), away_m * np.cos(np.radians(bearing))
    place = LocalPlane(lat, lon).to_degrees(*to)
    cells = cells_near(fence)
    if -90 < place[0] < 90 and fence.distance_m(*place) <= NEAR_M:
        assert cells is None or key_of(*place) in cells


def test_far_fences_share_no_cell_and_wide_ones_are_not_counted():
    near, far = circle(lat=47.0, lon=179.9999), circle(lat=47.2, lon=-179.9999)
    assert key_of(47.0, -179.999) in cells_near(near)
    assert cells_near(near).isdisjoint(cells_near(far))
    assert cells_near(circle(radius_m=40_000.0)) is None


class LiveFences(RuleBasedStateMachine):
    """Random puts and removes on the set and on the oracle; they must always answer alike."""

    def __init__(self):
        super().__init__()
        self.fences, self.scan = FenceSet(), Scan()

    @rule(fence=made)
    def put(self, fence):
        self.fences.put(fence)
        self.scan.put(fence)

    @rule(fence_id=ids)
    def remove(self, fence_id):
        self.fences.remove(fence_id)
        self.scan.remove(fence_id)

    @rule(fence=made, times=st.integers(50, 120))
    def put_often(self, fence, times):
        for k in range(times):
            again = replace(fence, radius_m=None if fence.radius_m is None else fence.radius_m + k)
            self.fences.put(again)
            self.scan.put(again)

    @rule(lat=near_lats, lon=near_lons, within_m=st.floats(0, 300), ts_ms=st.integers(-5, 40))
    def look(self, lat, lon, within_m, ts_ms):
        assert self.fences.near(lat, lon, within_m, ts_ms) == self.scan.near(lat, lon, within_m, ts_ms)

    @rule(lat=near_lats, lon=near_lons, ts_ms=st.integers(-5, 40))
    def number(self, lat, lon, ts_ms):
        cell = self.fences.about([(lat, lon)], 300, ts_ms)
        if cell is not None:
            assert list(cell.fences) == [self.fences.at(number) for number, _ in cell.owners.tolist()]

    @rule(lat=near_lats, lon=near_lons, within_m=st.floats(1, 300), ts_ms=st.integers(-5, 40))
    def count(self, lat, lon, within_m, ts_ms):
        box = box_around(lat, lon, within_m)
        there = [f for f in self.scan.holding(ts_ms) if meet(f.box(), box)]
        assert self.fences.count_in(box, ts_ms) == len(there)
        assert self.fences.ids_in(box) == {f.fence_id for f in self.scan.fences if meet(f.box(), box)}

    @rule(customer_id=customers, ts_ms=st.integers(-5, 40))
    def ask_a_customer(self, customer_id, ts_ms):
        expected = [f for f in self.scan.holding(ts_ms) if f.customer_id == customer_id]
        assert self.fences.of_customer(customer_id, ts_ms) == sorted(expected, key=lambda f: f.fence_id)

    @invariant()
    def holds_the_same_fences(self):
        assert sorted(map(repr, self.fences)) == sorted(map(repr, self.scan.fences))


TestLiveFences = LiveFences.TestCase
TestLiveFences.settings = settings(max_examples=40, stateful_step_count=25)


@given(st.lists(made, max_size=12), near_lats, near_lons, st.integers(-5, 40))
def test_loading_at_once_equals_putting_one_by_one(fences, lat, lon, ts_ms):
    one_by_one = FenceSet()
    for fence in fences:
        one_by_one.put(fence)
    at_once = FenceSet(fences)
    assert sorted(map(repr, at_once)) == sorted(map(repr, one_by_one))
    assert at_once.near(lat, lon, 100, ts_ms) == one_by_one.near(lat, lon, 100, ts_ms)


@given(
    latitudes,
    longitudes,
    st.floats(0, 1000),
    st.floats(1, 5000),
    st.floats(-0.06, 0.06),
    st.floats(-0.06, 0.06),
)
def test_a_circle_anywhere_is_found_exactly_within_reach(lat, lon, within_m, radius_m, d_lat, d_lon):
    fence = circle(lat=lat, lon=lon, radius_m=radius_m)
    place = (max(-90.0, min(90.0, lat + d_lat)), (lon + d_lon + 180) % 360 - 180)
    expected = [fence] if fence.distance_m(*place) <= within_m else []
    assert [f for f, _ in FenceSet([fence]).near(*place, within_m, 0)] == expected
