"""Metres and degrees."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geofence.geometry import LocalPlane, distance_m, wrap_degrees

lats, lons = st.floats(-85, 85), st.floats(-180, 180)
near = st.floats(-5000, 5000)


def test_known_distances():
    assert distance_m(48.8566, 2.3522, 51.5074, -0.1278) == pytest.approx(343_556, abs=50)  # Paris, London
    assert distance_m(0, 179.999, 0, -179.999) == pytest.approx(222.4, abs=0.1)
    assert distance_m(90, 0, -90, 0) == pytest.approx(20_015_114, abs=10)
    assert distance_m(50, 8, 50, 8) == 0


@given(st.floats(-1000, 1000))
def test_wrapping_keeps_the_place_and_the_range(lon):
    wrapped = wrap_degrees(lon)
    assert -180 <= wrapped < 180 or wrapped == pytest.approx(180)
    assert (wrapped - lon) / 360 == pytest.approx(round((wrapped - lon) / 360), abs=1e-9)


@given(lats, lons, near, near)
def test_a_plane_gives_back_what_it_was_given(lat, lon, east, north):
    plane = LocalPlane(lat, lon)
    assert plane.to_plane(*plane.to_degrees(east, north)) == pytest.approx((east, north), abs=1e-3)


@given(st.floats(-70, 70), lons, near, near)
def test_distances_in_a_plane_are_those_on_earth(lat, lon, east, north):
    plane = LocalPlane(lat, lon)
    there = plane.to_degrees(east, north)
    assert distance_m(lat, lon, *there) == pytest.approx((east**2 + north**2) ** 0.5, rel=0.003, abs=0.01)


def test_a_plane_is_whole_across_the_antimeridian():
    plane = LocalPlane(-17.0, 179.9999)
    lat, lon = plane.to_degrees(100.0, 0.0)
    assert lon < -179.99
    assert plane.to_plane(lat, lon) == pytest.approx((100.0, 0.0), abs=1e-6)


@given(lats, lons, st.lists(st.tuples(near, near), min_size=1, max_size=5))
def test_many_points_at_once_are_as_one_by_one(lat, lon, points):
    plane = LocalPlane(lat, lon)
    east, north = np.array(points).T
    both = np.column_stack(plane.all_to_degrees(east, north))
    assert np.allclose(both, [plane.to_degrees(*p) for p in points], atol=1e-12)
