"""Fences driven through without standing are told once each, as rejected: `pass_by`."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shapely import LineString, MultiPolygon, Point, Polygon, box, get_parts, transform

from geofence.events import FenceEvent, FenceEventType, Rejection
from geofence.fences import Fence, FenceSet
from geofence.geometry import LocalPlane
from geofence.rules import Rules
from geofence.sweep import SILENT_S, cells_along, insides
from tests.playing import Recording, cut, in_order, play
from tests.test_engine import cuts, drawn, shuffled, sorted_town
from tests.tracks import HOME, START_MS, Drawn, batch, circle, engine_of, events, plan, standing

A, B = circle("a", 2000), circle("b", 4000)


def passes(outputs) -> list[tuple[str, float]]:
    """Fence and second of each pass told."""
    found = [e for e in events(outputs) if e.reason is Rejection.PASS_BY]
    assert all(e.type is FenceEventType.REJECTED and e.visit_id is None for e in found)
    return [(e.fence_id, (e.ts_ms - START_MS) / 1000) for e in found]


def driven(track: Drawn, fences, routes=(), rules=None) -> list[tuple[str, float]]:
    engine = engine_of(fences, routes, rules)
    return passes([*engine.feed(batch(track.pings)), *engine.settle()])


def through() -> Drawn:
    """At 10 m/s along the x axis, past a and b."""
    return Drawn().stand(30).drive(8000).stand(30)


def test_driving_through_is_told_when_the_fence_was_entered():
    radius = A.radius_m
    (first, second) = driven(through(), [A, B])
    entered_s = 30 + 2.5 + (2000 - radius) / 10
    assert first == ("a", pytest.approx(entered_s, abs=0.2))
    assert second == ("b", pytest.approx(entered_s + 200, abs=0.2))


@pytest.mark.parametrize("every_s", [1, 5, 20, 60])
def test_a_pass_between_two_pings_counts(every_s):
    track = Drawn(every_s=every_s).stand(60).drive(8000).stand(120)
    (told,) = driven(track, [A])
    assert told == ("a", pytest.approx(60 + 2.5 + 196, abs=0.2))


def test_beside_the_road_is_no_pass():
    assert driven(through(), [circle("a", 2000, 60, radius_m=50)]) == []


def test_jitter_at_the_edge_is_one_pass_and_a_second_pass_is_a_second():
    edge = circle("edge", 2000, 48, radius_m=50)
    wobbling = Drawn(every_s=1, noise_m=3, seed=3).stand(30).drive(8000).stand(30)
    assert [f for f, _ in driven(wobbling, [edge])] == ["edge"]
    twice = Drawn().stand(30).drive(8000).drive(0).stand(30)
    assert [f for f, _ in driven(twice, [A])] == ["a", "a"]


def test_standing_in_the_fence_speaks_for_itself():
    """A visit, or a rejection with its own reason; the ways in and out are no passes."""
    served = Drawn().stand(30).drive(2000).stand(200).drive(8000).stand(30)
    assert driven(served, [A]) == []
    light = Drawn().stand(30).drive(2000).stand(14).drive(8000).stand(30)
    engine = engine_of([A])
    told = events([*engine.feed(batch(light.pings)), *engine.settle()])
    assert [e.reason for e in told] == [Rejection.TOO_SHORT]


def test_on_the_way_to_a_place_beside_the_fence_where_the_customer_is_served_is_no_pass():
    track = Drawn().stand(30).drive(2065).stand(240).drive(8000).stand(30)
    assert driven(track, [A], [plan("a")]) == []
    engine = engine_of([A], [plan("a")])
    told = standing([*engine.feed(batch(track.pings)), *engine.settle()])
    assert [r.customer_id for r in told] == ["a"]


def test_on_the_way_to_a_neighbour_is_a_pass():
    track = Drawn().stand(30).drive(2300).stand(240).drive(8000).stand(30)
    assert [f for f, _ in driven(track, [A, circle("next", 2300)])] == ["a"]


def test_passing_by_first_and_coming_back_to_serve_tells_both():
    track = Drawn().stand(30).drive(5000).drive(2000).stand(240).drive(0).stand(30)
    engine = engine_of([A])
    told = [*engine.feed(batch(track.pings)), *engine.settle()]
    assert [f for f, _ in passes(told)] == ["a"]
    assert [r.customer_id for r in standing(told)] == ["a"]


def test_a_long_silence_tells_of_no_way():
    track = Drawn().stand(30).drive(1000).silent(SILENT_S + 60, at=(3000, 0)).drive(8000).stand(30)
    assert [f for f, _ in driven(track, [A, B])] == ["b"]


def test_a_polygon_with_a_yard_is_passed_once():
    ring = [HOME.to_degrees(2000 + x, y)[::-1] for x, y in ((-200, -90), (200, -90), (200, 90), (-200, 90))]
    yard = [HOME.to_degrees(2000 + x, y)[::-1] for x, y in ((-60, -40), (60, -40), (60, 40), (-60, 40))]
    shape = Fence("p", "p", *HOME.to_degrees(1900, 0), shape=Polygon(ring, [yard]))
    assert driven(through(), [shape]) == [("p", pytest.approx(32.5 + 180, abs=0.2))]


@pytest.mark.parametrize("lon", [179.99, -179.999, 0.0])
def test_passes_across_the_antimeridian_and_in_greenwich(lon):
    plane = LocalPlane(-17.0, lon)
    track = Drawn(plane=plane).stand(60).drive(6000).stand(30)
    assert [f for f, _ in driven(track, [circle("a", 2000, plane=plane)])] == ["a"]


def test_they_can_be_switched_off():
    assert driven(through(), [A, B], rules=Rules(tell_pass_bys=False)) == []


def test_a_pass_is_told_while_the_day_goes_on():
    track = Drawn().stand(30).drive(16000).stand(30)
    engine = engine_of([A])
    told_at = next(p.ts_ms for p in track.pings if passes(engine.feed(batch([p]))))
    assert told_at - START_MS <= 1000 * (230 + 900 + 120 + 60 + 30 + 60)


def test_the_version_of_a_fence_that_held_then_is_passed():
    later = circle("a", 2000, valid_from_ms=START_MS + 3_600_000)
    assert driven(through(), [circle("a", 4000, 500), later]) == []
    held = circle("a", 2000, valid_from_ms=START_MS - 3_600_000)
    assert [f for f, _ in driven(through(), [circle("a", 4000, 500), held])] == ["a"]


def test_fences_that_come_and_go_while_driving():
    engine, pings = engine_of([A]), Drawn().stand(30).drive(20000).stand(30).pings
    told = []
    for ping in pings:
        second = (ping.ts_ms - START_MS) / 1000
        if second == 130:
            engine.put_fence(circle("new", 3000))
            engine.remove_fence("a")
        told += engine.feed(batch([ping]))
    assert [f for f, _ in passes([*told, *engine.settle()])] == ["new"]


@given(drawn(), cuts, st.integers(0, 9))
@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])
def test_passes_of_drawn_tracks_do_not_depend_on_portions_restarts_or_order(recording, at, seed):
    assert_same_events(recording, at, seed)


@given(st.sampled_from(["suburb", "dense", "hostile"]), cuts, st.integers(0, 9))
@settings(max_examples=4, suppress_health_check=[HealthCheck.too_slow])
def test_passes_in_towns_do_not_depend_on_portions_restarts_or_order(profile, at, seed):
    assert_same_events(sorted_town(profile), at, seed)


def assert_same_events(recording: Recording, at, seed: int) -> None:
    pings = in_order(recording.pings)
    whole = play(recording, [pings])
    portions = cut(shuffled(pings, seed), at)
    pieces = play(recording, portions, restarts={seed % 5, seed % 13, 2 * seed})
    assert told(pieces.outputs) == told(whole.outputs)


def told(outputs) -> list[FenceEvent]:
    found = [o for o in outputs if isinstance(o, FenceEvent) and o.reason is Rejection.PASS_BY]
    assert len({(e.driver_id, e.fence_id, e.ts_ms) for e in found}) == len(found)  # each once
    return sorted(found, key=lambda e: (e.driver_id, e.ts_ms, e.fence_id))


shapes = st.lists(
    st.tuples(
        st.floats(-900, 900),
        st.floats(-900, 900),
        st.floats(15, 300),
        st.sampled_from(["disc", "box", "ring", "two"]),
    ),
    min_size=1,
    max_size=12,
)
places = st.lists(st.tuples(st.floats(-1500, 1500), st.floats(-1500, 1500)), min_size=2, max_size=12)


def fence_of(n: int, east: float, north: float, size: float, kind: str) -> tuple[Fence, Polygon]:
    """A fence, and the same in the plane."""
    if kind == "disc":
        disc = Point(east, north).buffer(size, quad_segs=100)
        return Fence(f"{n}", f"c{n}", *HOME.to_degrees(east, north), radius_m=size), disc
    flat = box(east - size, north - size / 2, east + size, north + size / 2)
    if kind == "ring":
        hole = box(east - size / 2, north - size / 4, east + size / 2, north + size / 4)
        flat = Polygon(flat.exterior.coords, [hole.exterior.coords[::-1]])
    if kind == "two":
        flat = MultiPolygon([flat, box(east - size, north + size, east + size, north + 2 * size)])
    degrees = transform(flat, lambda xy: np.array([HOME.to_degrees(*p)[::-1] for p in xy]))
    inside = get_parts(degrees)[0].representative_point()
    return Fence(f"{n}", f"c{n}", inside.y, inside.x, shape=degrees), flat


@given(shapes, places)
@settings(max_examples=150)
def test_what_a_track_sweeps_over_is_what_shapely_finds(drawn_shapes, corners):
    """All fences that the line meets, and none that it clearly misses; first and last moment inside agree."""
    made = [fence_of(n, *s) for n, s in enumerate(drawn_shapes)]
    x, y = (np.array(c) for c in zip(*corners, strict=True))
    t = 5.0 * np.arange(len(x))
    fences = FenceSet([f for f, _ in made])
    found: dict[str, tuple[float, float]] = {}
    whole = np.array([[0, len(t) - 1]])
    for key, first, last in cells_along(t, x, y, whole, *HOME.numbers()).tolist():
        cell = fences.cells.at(key)
        if cell is None:
            continue
        for shape, begin, end in insides(t, x, y, first, last, cell.shapes, cell.edges, *HOME.numbers()):
            before = found.get(cell.fences[int(shape)].fence_id, (begin, end))
            found[cell.fences[int(shape)].fence_id] = min(before[0], begin), max(before[1], end)
    line = LineString(np.column_stack([x, y]))
    for fence, flat in made:
        inside = line.intersection(flat.buffer(-0.05))
        if not inside.is_empty and inside.length > 1.0:
            assert fence.fence_id in found
            begin, end = found[fence.fence_id]
            steps = [LineString(np.column_stack([x[k : k + 2], y[k : k + 2]])) for k in range(len(x) - 1)]
            meets = [k for k, step in enumerate(steps) if step.intersection(flat).length > 0.5]
            assert begin <= t[meets[0] + 1]
            assert end >= t[meets[-1]]
        elif line.distance(flat) > 1.0:
            assert fence.fence_id not in found
