"""When a track crossed a fence's boundary."""

import numpy as np
import pytest
import shapely

from geofence.clock import NEVER_MS
from geofence.crossing import crossings
from geofence.evidence import Candidate
from geofence.fences import Fence
from geofence.geometry import LocalPlane
from geofence.rules import Rules
from geofence.standstills import to_standstill
from geofence.track import Decoded, Track
from tests.tracks import HOME, START_MS, Drawn, circle


def all_crossed(drawn: Drawn, fences) -> list[tuple[float | None, float | None]]:
    """Seconds of entry and exit around the longest stand, of each fence."""
    track, d, nan = Track(), Decoded(), float("nan")
    track.append(np.array([[p.ts_ms, p.lat, p.lon, nan, nan] for p in drawn.pings]))
    d.extend(track, len(track), Rules())
    runs, _ = d.runs(0, all_of_them=True)
    longest = max((to_standstill(r, d.origin_ms) for r in runs), key=lambda s: s.departed_ms - s.arrived_ms)
    return [
        tuple(None if ts == NEVER_MS else (ts - START_MS) / 1000 for ts in times)
        for times in crossings(d, [near(f, d.plane) for f in fences], longest)
    ]


def near(fence: Fence, plane: LocalPlane) -> Candidate:
    return Candidate(fence, plane.to_plane(fence.lat, fence.lon), fence.spread_m(), 0.0)


def crossed(drawn: Drawn, fence) -> tuple[float | None, float | None]:
    return all_crossed(drawn, [fence])[0]


def passing(every_s: float = 5.0) -> Drawn:
    """Enters a circle of 100 m about 2000 m at second 251 and leaves it at 459 (10 m a second)."""
    return Drawn(every_s=every_s).stand(60).drive(2000).stand(180).drive(6000)


@pytest.mark.parametrize("every_s", [1.0, 5.0, 20.0])
def test_a_crossing_lies_on_the_straight_line_between_two_fixes(every_s):
    entered, exited = crossed(passing(every_s), circle("a", 2000, radius_m=100))
    assert entered == pytest.approx(252.5, abs=every_s / 3)
    assert exited == pytest.approx(457.5, abs=every_s / 3)


def test_a_track_that_begins_or_ends_inside_does_not_show_the_crossing():
    fence = circle("a", 2000, radius_m=100)
    begins = Drawn(at=(2000, 0)).stand(200).drive(6000)
    ends = Drawn().stand(60).drive(2000).stand(200)
    assert crossed(begins, fence)[0] is None
    assert crossed(begins, fence)[1] is not None
    assert crossed(ends, fence)[1] is None


def test_a_vehicle_that_stood_outside_crossed_nothing():
    assert crossed(passing(), circle("beside", 2000, 150, radius_m=100)) == (None, None)


def test_an_exit_long_after_the_stand_is_not_looked_for():
    slow = Drawn().stand(60).drive(2000).stand(180).drive(6000, mps=4)
    assert crossed(slow, circle("a", 2000, radius_m=3000))[1] is None


def test_circles_and_shapes_side_by_side_are_each_crossed_at_their_own_times():
    lat, lon = HOME.to_degrees(2000, 0)
    west, east = (HOME.to_degrees(2000 + side, 0)[1] for side in (-100, 100))
    square = Fence("square", "c", lat, lon, shape=shapely.box(west, lat - 0.01, east, lat + 0.01))
    fences = [circle("a", 2000, radius_m=100), circle("far", 9000), square, circle("b", 2000, radius_m=50)]
    track = passing()
    together = all_crossed(track, fences)
    assert together == [crossed(track, fence) for fence in fences]
    assert together[1] == (None, None)
    assert together[2] == pytest.approx(together[0], abs=0.1)
    assert together[3] != together[0]
