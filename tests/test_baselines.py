"""The plain rules that detection is compared with."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geofence.events import Ping, PingBatch
from geofence.fences import Fence
from simulation.baselines import NearestFence, enter_exit, movingpandas_stops
from simulation.recorded import goal_dir
from simulation.recording import chained
from simulation.scoring import score
from streams.files.judged import read_truth
from streams.files.pings import read_pings
from streams.files.records import read_fences

METRE = 1 / 111_195
HERE, NEAR, FAR = (
    Fence(f"f-{c}", c, 47.0 + m * METRE, 8.0, radius_m=50)
    for c, m in (("here", 0), ("near", 60), ("far", 900))
)


def track(*metres_north: float, every_s: float = 10, driver: str = "d") -> PingBatch:
    return PingBatch.of(
        [Ping(driver, int(n * every_s * 1000), 47.0 + m * METRE, 8.0) for n, m in enumerate(metres_north)]
    )


def test_staying_a_minute_in_a_fence_is_a_visit() -> None:
    (visit,) = enter_exit(track(500, 0, 1, 0, 2, 0, 0, 0, 500), [HERE, FAR])
    assert (visit.customer_id, visit.arrived_s, visit.departed_s, visit.service_time_s) == (
        "here",
        10,
        70,
        60,
    )


def test_leaving_before_the_minute_is_none() -> None:
    assert enter_exit(track(500, 0, 1, 0, 2, 0, 0, 500), [HERE, FAR]) == []


def test_a_nearer_neighbour_cuts_a_visit_in_two() -> None:
    visits = enter_exit(track(0, 0, 0, 0, 0, 0, 0, 40, 0, 0, 0, 0, 0, 0, 0), [HERE, NEAR])
    assert [(v.customer_id, v.arrived_s, v.departed_s) for v in visits] == [
        ("here", 0, 60),
        ("here", 80, 140),
    ]


def test_the_order_of_the_file_does_not_matter() -> None:
    whole = track(500, 0, 1, 0, 2, 0, 0, 0, 500)
    other = track(0, 0, 0, 0, 0, 0, 0, driver="e")
    mixed = chained([other, PingBatch(*(getattr(whole, n)[::-1] for n in PingBatch.__dataclass_fields__))])
    assert enter_exit(mixed, [HERE, FAR]) == enter_exit(whole, [HERE, FAR]) + enter_exit(other, [HERE, FAR])


def test_a_polygon_counts_as_a_fence() -> None:
    square = shapely.box(7.999, 46.9995, 8.001, 47.0005)
    fence = Fence("f-p", "polygon", 47.0, 8.0, shape=square)
    assert [v.customer_id for v in enter_exit(track(0, 0, 0, 0, 0, 0, 0), [fence])] == ["polygon"]


places = st.tuples(st.integers(-120, 120), st.integers(-120, 120))


@settings(deadline=None)
@given(
    st.lists(st.tuples(places, st.integers(20, 80)), min_size=1, max_size=8),
    st.lists(places, min_size=1, max_size=8),
)
def test_the_nearest_fence_is_the_one_that_a_search_of_all_finds(
    circles: list[tuple[tuple[int, int], int]], points: list[tuple[int, int]]
) -> None:
    fences = [
        Fence(f"f{n}", f"c{n}", 47.0 + y * METRE, 8.0 + x * METRE, radius_m=r)
        for n, ((x, y), r) in enumerate(circles)
    ]
    lat = np.array([47.0 + y * METRE for _, y in points])
    lon = np.array([8.0 + x * METRE for x, _ in points])
    for at, found in enumerate(NearestFence(fences).find(lat, lon).tolist()):
        centre_m = [f.distance_m(lat[at], lon[at]) + (f.radius_m or 0) for f in fences]
        inside = [n for n, f in enumerate(fences) if f.distance_m(lat[at], lon[at]) <= 0]
        if found < 0:
            assert all(fences[n].distance_m(lat[at], lon[at]) > -0.2 for n in inside)
        else:
            assert fences[found].distance_m(lat[at], lon[at]) <= 0.2
            assert centre_m[found] <= min((centre_m[n] for n in inside), default=np.inf) + 0.2


def goal(drivers: int | None = None) -> tuple[PingBatch, list[Fence]]:
    pings = chained([r.batch for r in read_pings(str(goal_dir() / "pings.jsonl.gz"))])
    if drivers is not None:
        wanted = set(sorted(set(pings.driver_ids))[:drivers])
        rows = np.array([d in wanted for d in pings.driver_ids])
        pings = PingBatch(
            [d for d in pings.driver_ids if d in wanted],
            *(getattr(pings, n)[rows] for n in ("ts_ms", "lat", "lon", "accuracy_m", "speed_mps")),
        )
    return pings, list(read_fences(str(goal_dir() / "fences.geojson")))


def test_on_the_recorded_drivers_enter_and_exit_reach_the_published_figures() -> None:
    result = score(enter_exit(*goal()), list(read_truth(str(goal_dir() / "truth.jsonl"))))
    found = (result.precision, result.recall, result.f1, result.mae_s, result.median_ae_s, result.within_30s)
    assert found == pytest.approx((0.988, 0.927, 0.957, 29.3, 25.0, 0.64), abs=0.05)
    assert (round(result.precision, 3), round(result.recall, 3)) == (0.988, 0.927)


def test_on_some_recorded_drivers_movingpandas_finds_more_stops_and_more_that_are_none() -> None:
    pings, fences = goal(drivers=25)
    truth = [t for t in read_truth(str(goal_dir() / "truth.jsonl")) if t.driver_id in set(pings.driver_ids)]
    plain, stops = score(enter_exit(pings, fences), truth), score(movingpandas_stops(pings, fences), truth)
    assert (stops.records, stops.truth, stops.hits) == (43, 41, 40)
    assert (plain.records, plain.hits) == (36, 36)


def test_movingpandas_needs_two_fixes() -> None:
    assert movingpandas_stops(track(0), [HERE]) == []
