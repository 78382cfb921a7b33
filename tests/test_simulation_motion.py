"""Streets, driving and walking in simulated towns."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components, dijkstra

from simulation.day import Happened, live_day
from simulation.drive import Way, draw_way
from simulation.layouts import draw_streets
from simulation.plan import DayPlan, plan_day
from simulation.profiles import PROFILES, Profile, settled
from simulation.randomness import stream
from simulation.streets import Spot, Streets
from simulation.town import Town, build_town
from simulation.weather import Weather

DAY_MS = 1_772_409_600_000


def network(name: str, seed: int = 1, metres: float = 6_000) -> Streets:
    return draw_streets(settled(PROFILES[name], stream(seed, "p")), metres, stream(seed, "s"))


@pytest.mark.parametrize("name", ["suburb", "dense", "countryside"])
def test_every_place_can_be_reached(name: str) -> None:
    streets = network(name)
    n = len(streets.crossings)
    graph = csr_array((np.ones(len(streets.ends)), streets.ends.T), shape=(n, n))
    assert connected_components(graph, directed=False)[0] == 1
    assert streets.length_m.sum() > 3_000


@pytest.mark.parametrize("name", ["suburb", "dense", "countryside"])
def test_a_way_runs_without_a_jump_from_spot_to_spot(name: str) -> None:
    streets = network(name)
    rng = stream(3, "spots")
    for _ in range(30):
        start, goal = (
            Spot(street, float(rng.uniform(0, streets.length_m[street])))
            for street in rng.integers(len(streets.ends), size=2).tolist()
        )
        way = streets.way(start, goal)
        np.testing.assert_allclose(way.xy[0], streets.place(start), atol=1e-6)
        np.testing.assert_allclose(way.xy[-1], streets.place(goal), atol=1e-6)
        assert np.hypot(*np.diff(way.xy, axis=0).T).max() < 21


def test_no_way_is_quicker_than_the_one_taken() -> None:
    streets = network("suburb")
    n, m = len(streets.crossings), len(streets.ends)
    rng = stream(4, "spots")
    for _ in range(25):
        a, b = rng.choice(m, 2, replace=False).tolist()
        start, goal = (Spot(s, float(rng.uniform(0, streets.length_m[s]))) for s in (a, b))
        rows, columns, costs = streets.ends[:, 0].tolist(), streets.ends[:, 1].tolist(), []
        costs = (streets.length_m / streets.speed_mps).tolist()
        for node, spot in ((n, start), (n + 1, goal)):
            for end, rest in zip(
                streets.ends[spot.street].tolist(),
                (spot.along_m, streets.length_m[spot.street] - spot.along_m),
                strict=True,
            ):
                rows.append(node)
                columns.append(end)
                costs.append(max(1e-9, rest / streets.speed_mps[spot.street]))
        graph = csr_array((costs, (rows, columns)), shape=(n + 2, n + 2))
        best_s = dijkstra(graph, directed=False, indices=n)[n + 1]
        way = streets.way(start, goal)
        steps = np.hypot(*np.diff(way.xy, axis=0).T)
        assert (steps / np.maximum(way.limit_mps[1:], way.limit_mps[:-1])).sum() <= best_s * 1.02 + 1


def busy(profile: Profile) -> Profile:
    return replace(profile, search_share=(0.9, 0.9), jams_per_day=(4, 4))


def played(carried: bool, creep: float = 0.5) -> tuple[Town, DayPlan, Way, Happened]:
    profile = replace(busy(PROFILES["suburb"]), creep_share=(creep, creep))
    town = build_town(profile, drivers=2, seed=2, stops_per_day=20)
    district = town.districts[0]
    rng = stream(5, "day")
    plan = plan_day(town, district, 0, DAY_MS, 20, rng)
    way = draw_way(town.profile, district.streets, plan.halts, rng)
    return town, plan, way, live_day(district, "driver-001", plan, way, DAY_MS, Weather(0, {}), carried, rng)


def test_the_vehicle_keeps_to_what_a_vehicle_can() -> None:
    _, _, way, happened = played(carried=False)
    step_s = np.diff(happened.t_s)
    metres = np.hypot(*np.diff(happened.xy, axis=0).T)
    assert (step_s >= 0).all()
    assert metres[step_s < 1e-9].max(initial=0) < 1e-3
    speed = np.divide(metres, step_s, out=np.zeros_like(metres), where=step_s > 1e-9)
    assert 5 < speed.max() < 17
    driving = speed[metres > 5]
    assert (np.diff(driving) < 6).all()
    assert way.traffic_s.min() >= 0


def test_the_vehicle_stands_from_arrival_to_departure() -> None:
    _, plan, way, happened = played(carried=False)
    at = 0
    for halt, stands in zip(plan.halts, way.stands, strict=True):
        rows = happened.truth[at : at + len(halt.services)]
        at += len(rows)
        if not rows:
            continue
        begin, end = rows[0].arrived_s - DAY_MS / 1000, rows[-1].departed_s - DAY_MS / 1000
        moments = np.linspace(begin + 0.01, end - 0.01, 50)
        where = np.column_stack([np.interp(moments, happened.t_s, happened.xy[:, k]) for k in (0, 1)])
        moved = np.hypot(*(where - where[0]).T).max()
        assert moved < (0.5 if len(stands) == 1 else 45)
        for moment in (begin - 1.5, end + 1.5):
            outside = [np.interp(moment, happened.t_s, happened.xy[:, k]) for k in (0, 1)]
            assert np.hypot(*(outside - where[0])) > 0.5 or np.hypot(*(outside - where[-1])) > 0.5
    assert at == len(happened.truth)


def test_a_carried_phone_goes_to_the_door_and_is_back_before_the_van_leaves() -> None:
    town, _, _, happened = played(carried=True, creep=0.0)
    doors = {c.customer_id: np.array(c.door) for c in town.districts[0].customers}
    reached = 0
    for row in happened.truth:
        begin, end = row.arrived_s - DAY_MS / 1000, row.departed_s - DAY_MS / 1000
        inside = happened.xy[(happened.t_s >= begin) & (happened.t_s <= end)]
        reached += bool(np.hypot(*(inside - doors[row.customer_id]).T).min() < 8)
    assert reached > 0.8 * len(happened.truth)
    pace = np.hypot(*np.diff(happened.xy, axis=0).T) / np.maximum(np.diff(happened.t_s), 1e-3)
    assert pace[happened.inside[:-1]].max() < 0.1


def test_service_times_follow_the_law() -> None:
    made = [played(c)[3].truth for c in (True, False)]
    ratios = [(t.departed_s - t.arrived_s) / (t.law_s or 1) for rows in made for t in rows]
    assert np.median(ratios) == pytest.approx(1.0, abs=0.12)
