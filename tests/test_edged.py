"""Distances to shapes by their edges, with shapely as the oracle."""

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from geofence.fences import Fence
from geofence.geometry import METRES_PER_DEGREE

metres = st.floats(-300, 300)
stars = st.lists(st.floats(5, 120), min_size=3, max_size=12)


def shape_of(radii: list[float], hole: float, apart_m: float) -> shapely.MultiPolygon:
    """Two stars in metres, the first with a hole."""
    angles = np.linspace(0, 2 * np.pi, len(radii), endpoint=False)
    star = np.column_stack([np.cos(angles), np.sin(angles)]) * np.array(radii)[:, None]
    shell = shapely.Polygon(star)
    cut = shell - shapely.Point(0, 0).buffer(hole)
    return shapely.union_all([cut, shapely.Polygon(star + np.array([apart_m, 0.0]))])


@given(stars, st.floats(0.5, 3), st.floats(250, 400), metres, metres)
def test_distances_are_those_of_shapely(radii, hole, apart_m, east, north):
    shape = shape_of(radii, hole, apart_m)
    in_degrees = shapely.transform(shape, lambda xy: xy / METRES_PER_DEGREE)
    fence = Fence("f", "c", 0.0, 0.0, None, in_degrees)
    place = shapely.Point(east, north)
    away = shapely.distance(shapely.boundary(shape), place)
    expected = -away if shapely.contains(shape, place) else away
    lat, lon = north / METRES_PER_DEGREE, east / METRES_PER_DEGREE
    assert fence.distance_m(lat, lon) == pytest.approx(expected, abs=1e-4)
    assert fence.distances_m(np.array([lat]), np.array([lon]))[0] == fence.distance_m(lat, lon)
