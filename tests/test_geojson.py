"""GeoJSON Features to fences and back: shapes mended, the antimeridian crossed, bad fields named."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geofence.errors import InvalidFence
from geofence.geojson import feature_of, fence_of
from geofence.geometry import METRES_PER_DEGREE


def feature(geometry=None, **properties):
    return {
        "type": "Feature",
        "geometry": geometry or {"type": "Point", "coordinates": [8.0, 47.0]},
        "properties": {"fence_id": "f", "customer_id": "c", "radius_m": 50, **properties},
    }


def polygon(*rings):
    return feature({"type": "Polygon", "coordinates": [list(map(list, r)) for r in rings]})


SQUARE = [(8.0, 47.0), (8.01, 47.0), (8.01, 47.01), (8.0, 47.01), (8.0, 47.0)]


def test_a_point_with_a_radius_is_a_circle_and_other_properties_are_facts():
    fence = fence_of(
        feature(
            dwell_s=30, valid_from="2026-09-21T12:00:00Z", valid_to=1_790_000_000, floor=3, elevator=False
        )
    )
    assert (fence.fence_id, fence.customer_id, fence.lat, fence.lon) == ("f", "c", 47.0, 8.0)
    assert (fence.radius_m, fence.shape, fence.dwell_s) == (50.0, None, 30.0)
    assert (fence.valid_from_ms, fence.valid_to_ms) == (1_789_992_000_000, 1_790_000_000_000)
    assert fence.facts == {"floor": 3, "elevator": False}


def test_the_feature_s_own_id_will_do():
    given_id = feature()
    del given_id["properties"]["fence_id"]
    assert fence_of({**given_id, "id": 17}).fence_id == "17"


def test_a_polygon_has_its_hole():
    hole = [(8.004, 47.004), (8.006, 47.004), (8.006, 47.006), (8.004, 47.006), (8.004, 47.004)]
    fence = fence_of(polygon(SQUARE, hole))
    assert fence.distance_m(47.001, 8.005) < 0
    assert fence.distance_m(47.005, 8.005) == pytest.approx(0.001 * METRES_PER_DEGREE * 0.682, rel=0.01)
    assert fence.distance_m(fence.lat, fence.lon) < 0


def test_an_unclosed_ring_is_closed():
    assert fence_of(polygon(SQUARE[:-1])).shape.equals(fence_of(polygon(SQUARE)).shape)


def test_a_bow_tie_becomes_its_two_triangles():
    tie = [(8.0, 47.0), (8.01, 47.01), (8.01, 47.0), (8.0, 47.01), (8.0, 47.0)]
    fence = fence_of(polygon(tie))
    assert fence.shape.geom_type == "MultiPolygon"
    assert fence.shape.area == pytest.approx(0.01 * 0.01 / 2)


def test_a_spike_is_dropped():
    spiked = [*SQUARE[:2], (8.01, 47.05), *SQUARE[2:]]
    assert fence_of(polygon(spiked)).shape.area == pytest.approx(0.0001)


def test_a_multipolygon_may_have_two_parts():
    east = [[x + 0.02, y] for x, y in SQUARE]
    fence = fence_of(feature({"type": "MultiPolygon", "coordinates": [[SQUARE], [east]]}))
    assert [fence.distance_m(47.005, lon) < 0 for lon in (8.005, 8.015, 8.025)] == [True, False, True]


ACROSS = [(179.99, -17.0), (180.01, -17.0), (180.01, -16.99), (179.99, -16.99), (179.99, -17.0)]
SPLIT = [
    [[[179.99, -17.0], [180.0, -17.0], [180.0, -16.99], [179.99, -16.99], [179.99, -17.0]]],
    [[[-180.0, -17.0], [-179.99, -17.0], [-179.99, -16.99], [-180.0, -16.99], [-180.0, -17.0]]],
]


@pytest.mark.parametrize(
    "geometry",
    [
        {"type": "Polygon", "coordinates": [ACROSS]},
        {"type": "Polygon", "coordinates": [[(x - 360, y) for x, y in ACROSS]]},
        {"type": "Polygon", "coordinates": [[(x if x <= 180 else x - 360, y) for x, y in ACROSS]]},
        {"type": "MultiPolygon", "coordinates": SPLIT},
        {"type": "MultiPolygon", "coordinates": SPLIT[::-1]},
    ],
    ids=["past 180", "past -180", "jumping", "split", "split, east first"],
)
def test_a_shape_across_the_antimeridian_is_one_piece_however_written(geometry):
    fence = fence_of(feature(geometry))
    assert fence.shape.area == pytest.approx(0.02 * 0.01)
    half_height_m = 0.005 * METRES_PER_DEGREE
    assert fence.distance_m(-16.995, 180.0) == pytest.approx(-half_height_m, rel=0.01)
    assert fence.distance_m(-16.995, -179.995) == pytest.approx(-0.005 * METRES_PER_DEGREE * 0.956, rel=0.01)
    assert fence.distance_m(-16.995, 179.98) > 0


@pytest.mark.parametrize(
    ("bad", "field", "reason"),
    [
        ({"type": "Point", "coordinates": [8, 47]}, "type", "is 'Point', not 'Feature'"),
        ({**feature(), "properties": None}, "radius_m", "is missing: a Point needs one"),
        ({**feature(), "properties": 3}, "properties", "3 is not an object"),
        ({**feature(), "geometry": None}, "geometry", "is missing"),
        (
            feature({"type": "LineString"}),
            "geometry.type",
            "is 'LineString', not 'Point', 'Polygon' or 'MultiPolygon'",
        ),
        (feature({"type": "Point"}), "geometry.coordinates", "is missing"),
        (feature({"type": "Point", "coordinates": [8]}), "geometry.coordinates", "[8] is not [lon, lat]"),
        (
            feature({"type": "Point", "coordinates": [8, "47"]}),
            "geometry.coordinates",
            "[8, '47'] is not [lon, lat]",
        ),
        (
            feature({"type": "Point", "coordinates": [47.0, 120.0]}),
            "geometry.coordinates",
            "latitude 120.0 is not between -90 and 90 (the order is [lon, lat])",
        ),
        (feature(radius_m=None), "radius_m", "is missing: a Point needs one"),
        (feature(radius_m="50"), "radius_m", "'50' is not a number"),
        (feature(radius_m=True), "radius_m", "True is not a number"),
        (feature(radius_m=10**400), "radius_m", f"1{'0' * 59} is not a number"),
        (feature(customer_id="x" * 1001), "customer_id", "is longer than 1,000 characters"),
        (feature(radius_m=-1), "radius_m", "-1.0 is not between 0 and 50,000 metres"),
        (feature(fence_id=None), "fence_id", "is missing"),
        (feature(fence_id=5), "fence_id", "5 is not text"),
        (feature(customer_id=""), "customer_id", "is empty"),
        (feature(dwell_s="x"), "dwell_s", "'x' is not a number"),
        (feature(valid_from="soon"), "valid_from", "'soon' is not a time"),
        (feature(valid_from=10, valid_to=10), "valid_to", "is not after valid_from"),
        (polygon(), "geometry.coordinates", "holds no ring"),
        (polygon(SQUARE[:2]), "geometry.coordinates[0]", "has fewer than three corners"),
        (polygon([(8, 47), (8.1, 47), (8.2, 47), (8, 47)]), "geometry.coordinates", "has no area"),
        (polygon(SQUARE, [(8, 95)] * 4), "geometry.coordinates[1][0]", None),
        (
            polygon([(-170, 0), (0, 0), (170, 0), (0, 10)]),
            "geometry.coordinates",
            "reaches around half the Earth",
        ),
        (feature({"type": "MultiPolygon", "coordinates": []}), "geometry.coordinates", "has no area"),
        (
            feature({"type": "MultiPolygon", "coordinates": [[SQUARE], [[[1]]]]}),
            "geometry.coordinates[1][0][0]",
            None,
        ),
    ],
)
def test_a_bad_feature_names_its_field(bad, field, reason):
    with pytest.raises(InvalidFence) as caught:
        fence_of(bad)
    assert caught.value.field == field
    assert reason is None or caught.value.reason == reason


def test_a_longitude_past_180_is_the_same_place():
    assert fence_of(feature({"type": "Point", "coordinates": [188.0, 47.0]})).lon == -172.0


@pytest.mark.parametrize(
    "original",
    [
        feature(dwell_s=30, valid_from="2026-09-21T12:00:00Z", floor=3),
        polygon(SQUARE),
        feature({"type": "MultiPolygon", "coordinates": SPLIT}),
    ],
)
def test_a_fence_written_as_a_feature_is_read_back(original):
    fence = fence_of(original)
    assert fence_of(json.loads(json.dumps(feature_of(fence)))) == fence


corners = st.tuples(st.floats(-180, 360), st.floats(-90, 90)) | st.tuples(
    st.floats(179, 181), st.floats(-1, 1)
)


@given(st.lists(st.lists(corners, max_size=6), max_size=3))
def test_any_rings_become_a_valid_fence_or_a_named_field(rings):
    fence, field = None, ""
    try:
        fence = fence_of(polygon(*rings))
    except InvalidFence as error:
        field = error.field or ""
    if fence is None:
        assert field.startswith("geometry.coordinates")
    else:
        assert fence.shape.is_valid
        assert -180 <= fence.lon <= 180
