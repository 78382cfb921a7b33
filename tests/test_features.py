"""Features: known when planned, and the same for training and serving."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from learning_town import DAY_MS, START_MS, Row, framed, small_town

from geofence.fences import Fence, FenceSet
from geofence.routes import Order, Route, Stop
from models.features import FeatureSpec, build, frame_of, histories, usable
from models.rows import Facts, training_row
from models.weather import Weather, WeatherBook

AWARE = FeatureSpec(driver_aware=True)


def matrix(visits: pd.DataFrame, stops: pd.DataFrame, spec: FeatureSpec) -> np.ndarray[Any, Any]:
    past = usable(visits)
    return build(stops, histories(past, np.full(len(past), 300.0)), spec)


def scrambled(row: Row) -> Row:
    """The same stop with another outcome: everything that is known only afterwards is different."""
    return {
        **row,
        "service_time_s": row["service_time_s"] * 7 + 100,
        "arrived_at": row["arrived_at"] + pd.Timedelta(minutes=50),
        "departed_at": row["departed_at"] + pd.Timedelta(minutes=95),
        "confidence": 0.11,
        "flags": ["gap_bridged"],
        "driver_id": row["driver_id"],
    }


@pytest.mark.parametrize("day", [3, 11, 20])
def test_changing_the_future_changes_no_feature(day: int) -> None:
    rows = small_town().rows
    now = pd.Timestamp(START_MS + day * DAY_MS + 7 * 3_600_000, unit="ms", tz="UTC")
    changed = [scrambled(r) if r["as_of"] >= now else r for r in rows]
    fewer = [r for r in rows if r["as_of"] < now]
    spec = AWARE.learned(small_town().frame())
    stops = framed([r for r in rows if r["as_of"] == now])
    expected = matrix(framed(rows), stops, spec)
    assert len(stops) == 48
    for others in (changed, fewer):
        np.testing.assert_array_equal(matrix(framed(others), stops, spec), expected)


@given(
    moment_ms=st.integers(START_MS + DAY_MS, START_MS + 23 * DAY_MS),
    factor=st.floats(0.01, 50),
    delay_s=st.integers(0, 500_000),
    dropped=st.sets(st.integers(0, 1151), max_size=300),
)
@settings(max_examples=25)
def test_whatever_ends_later_leaves_every_feature_as_it_was(
    moment_ms: int, factor: float, delay_s: int, dropped: set[int]
) -> None:
    visits = small_town().frame()
    now = pd.Timestamp(moment_ms, unit="ms", tz="UTC")
    later = visits["departed_at"] >= now
    changed = visits.assign(
        service_time_s=visits["service_time_s"].where(~later, visits["service_time_s"] * factor),
        departed_at=visits["departed_at"].where(
            ~later, visits["departed_at"] + pd.Timedelta(seconds=delay_s)
        ),
    )
    gone = later & visits.index.isin(dropped)
    stops = visits.sample(40, random_state=moment_ms % 2**32).assign(as_of=now)
    spec = AWARE.learned(visits)
    np.testing.assert_array_equal(matrix(changed[~gone], stops, spec), matrix(visits, stops, spec))


def test_the_outcome_of_a_visit_is_no_part_of_its_own_features() -> None:
    rows = small_town().rows
    spec = AWARE.learned(small_town().frame())
    visits = framed(rows)
    changed = framed([scrambled(r) for r in rows])
    stops, same = visits.sort_values("visit_id"), changed.sort_values("visit_id")
    np.testing.assert_array_equal(matrix(visits, same, spec), matrix(visits, stops, spec))


def test_drivers_play_no_part_unless_asked_for() -> None:
    visits = small_town().frame()
    other = visits.assign(driver_id="someone")
    spec = FeatureSpec().learned(visits)
    assert not [name for name in spec.names if "driver" in name]
    np.testing.assert_array_equal(matrix(other, other, spec), matrix(visits, visits, spec))


ROUTE = Route(
    "r1",
    "d1",
    START_MS,
    (
        Stop("s1", "c1", 1, START_MS + 3_600_000, Order(30.0, 6, 2)),
        Stop("s2", "c2", 2, None, None),
        Stop("s3", "c3", 3, START_MS + 2 * 3_600_000, Order(None, None, None)),
    ),
    region="north",
)
FENCES = [
    Fence("f1b", "c1", 47.0, 8.0, radius_m=50, facts={"floor": 9}),
    Fence(
        "f1a",
        "c1",
        47.0,
        8.0,
        radius_m=50,
        facts={"floor": 3, "elevator": False, "parking_difficulty": "hard"},
    ),
    Fence("f2", "c2", 47.001, 8.0, radius_m=50, facts={"area_type": "urban", "elevator": True, "floor": "2"}),
]
REPORTS = [
    Weather("north", START_MS + 1_000, 4.0, 0.5, None, 3.0),
    Weather("north", START_MS + DAY_MS, 9.0, 0.0),
]


def served() -> pd.DataFrame:
    return frame_of(Facts(FenceSet(FENCES), WeatherBook(REPORTS)).of_routes([ROUTE]))


def detected() -> pd.DataFrame:
    facts = Facts(FenceSet(FENCES), WeatherBook(REPORTS))
    rows = []
    for number, (stop, fence) in enumerate(zip(ROUTE.stops, ["f1b", "f2", "f3"], strict=True)):
        record = {
            "visit_id": f"v{number}",
            "revision": 1,
            "status": "completed",
            "driver_id": "d1",
            "customer_id": stop.customer_id,
            "fence_id": fence,
            "route_id": "r1",
            "stop_id": stop.stop_id,
            "arrived_at": "2026-09-01T12:00:00.000Z",
            "departed_at": "2026-09-01T12:10:00.000Z",
            "service_time_s": 600.0,
        }
        rows.append(training_row(record, facts.of_visit(record, ROUTE)))
    return framed(rows)


def test_training_rows_equal_serving_rows() -> None:
    visits = small_town().frame()
    spec = FeatureSpec(time_zone="Europe/Zurich").learned(detected())
    serving, training = matrix(visits, served(), spec), matrix(visits, detected(), spec)
    np.testing.assert_array_equal(training, serving)
    assert not np.isnan(serving[0]).all()


FACTS = st.fixed_dictionaries(
    {},
    optional={
        "floor": st.one_of(st.integers(-2, 30), st.just("3"), st.just(10**400)),
        "elevator": st.sampled_from([True, False, "yes", "no"]),
        "parking_difficulty": st.sampled_from([1, 4.5, "easy", "hard", -(10**400)]),
        "area_type": st.sampled_from(["urban", "rural"]),
        "region": st.sampled_from(["north", "south"]),
    },
)
ORDERS = st.none() | st.builds(
    Order, st.none() | st.floats(0, 900), st.none() | st.integers(0, 90), st.none() | st.integers(0, 20)
)
PLANNED = st.lists(st.tuples(ORDERS, FACTS, st.none() | st.integers(0, 40_000_000)), min_size=1, max_size=5)


@given(PLANNED, st.sampled_from(["north", "south", None]), st.integers(0, 5))
@settings(max_examples=40)
def test_any_plan_gives_the_same_features_for_training_and_serving(
    planned: list[Any], region: str | None, days: int
) -> None:
    starts_ms = START_MS + days * DAY_MS
    stops = [
        Stop(f"s{n}", f"c{n}", n + 1, None if after_ms is None else starts_ms + after_ms, order)
        for n, (order, _, after_ms) in enumerate(planned)
    ]
    fences = [
        Fence(f"f{n}", f"c{n}", 47.0 + n / 500, 8.0, radius_m=40, facts=facts)
        for n, (_, facts, _) in enumerate(planned)
    ]
    facts, route = (
        Facts(FenceSet(fences), WeatherBook(REPORTS)),
        Route("r", "d", starts_ms, tuple(stops), None, region),
    )
    records = [
        {
            "visit_id": f"v{n}",
            "revision": 1,
            "status": "completed",
            "driver_id": "d",
            "customer_id": f"c{n}",
            "fence_id": f"f{n}",
            "route_id": "r",
            "stop_id": f"s{n}",
            "arrived_at": f"2026-09-0{days + 1}T{12 + n}:00:00.000Z",
            "departed_at": f"2026-09-0{days + 1}T{12 + n}:08:00.000Z",
            "service_time_s": 480.0,
        }
        for n in range(len(stops))
    ]
    visits = small_town().frame()
    training = framed([training_row(r, facts.of_visit(r, route)) for r in records])
    spec = FeatureSpec().learned(training)
    serving = matrix(visits, frame_of(facts.of_routes([route])), spec)
    np.testing.assert_array_equal(matrix(visits, training, spec), serving)


def test_features_are_what_the_plan_says() -> None:
    spec = FeatureSpec(time_zone="Europe/Zurich").learned(detected())
    one = dict(zip(spec.names, matrix(small_town().frame(), served(), spec)[0].tolist(), strict=True))
    wanted = {
        "order_weight_kg": 30.0,
        "weight_per_item_kg": 5.0,
        "floor": 3.0,
        "stairs": 3.0,
        "elevator": 0.0,
        "parking_difficulty": 5.0,
        "fence_density": 3.0,
        "sequence": 1.0,
        "hour": 3.0,  # 01:00 UTC in summer
        "weekday": 1.0,
        "month": 9.0,
        "temperature_c": 4.0,
        "customer_visits": 0.0,
    }
    assert {name: one[name] for name in wanted} == wanted
    assert np.isnan(one["snow_depth_cm"])


def test_a_stop_without_facts_has_gaps_and_a_day_all_the_same() -> None:
    spec = FeatureSpec().learned(detected())
    one = dict(zip(spec.names, matrix(small_town().frame(), served(), spec)[1].tolist(), strict=True))
    assert np.isnan([one["order_weight_kg"], one["hour"], one["weight_per_item_kg"]]).all()
    assert (one["weekday"], one["stairs"], one["elevator"]) == (1.0, 0.0, 1.0)


places = st.tuples(st.floats(47.0, 47.02), st.floats(7.99, 8.01), st.sampled_from([40.0, 300.0]))


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.none() | places, st.integers(0, 60)), max_size=12))
@settings(max_examples=60)
def test_densities_remembered_follow_the_fences(changes: list[Any]) -> None:
    fences = FenceSet([Fence(n, n, 47.01 + k / 500, 8.0, radius_m=40.0) for k, n in enumerate("abcdefgh")])
    facts = Facts(fences)
    for name, place, times in changes:
        if place is None:
            fences.remove(name)
        for more in range(times if place is not None else 0):
            lat, lon, radius_m = place
            fences.put(Fence(name, name, lat, lon, radius_m=radius_m + more))
        for day in (0, 40):
            stops = tuple(Stop(n, n, 1) for n in "abcdefgh")
            route = Route("r", "d", START_MS + day * DAY_MS, stops)
            assert facts.of_routes([route]) == Facts(fences).of_routes([route])


def test_a_value_never_seen_in_training_is_unknown_not_another_one() -> None:
    visits = small_town().frame()
    spec = FeatureSpec().learned(visits)
    elsewhere = visits.head(3).assign(region="region-99")
    assert np.isnan(matrix(visits, elsewhere, spec)[:, spec.names.index("region")]).all()


def test_holidays_follow_the_country_of_the_region() -> None:
    visits = small_town().frame().head(2)
    stops = visits.assign(
        region=["region-1", "region-2"], planned_arrival=pd.Timestamp("2026-07-14T09:00Z").as_unit("us")
    )
    spec = FeatureSpec(country="DE", countries={"region-2": "FR"}).learned(stops)
    assert matrix(visits, stops, spec)[:, spec.names.index("is_holiday")].tolist() == [0.0, 1.0]


def test_a_visit_without_a_route_is_planned_at_the_start_of_its_day() -> None:
    facts = Facts(FenceSet(FENCES))
    row = facts.of_visit(
        {"customer_id": "c2", "stop_id": None, "arrived_at": "2026-09-01T12:00:00.000Z"}, None
    )
    assert (row["as_of"].isoformat(), row["area_type"]) == ("2026-09-01T00:00:00+00:00", "urban")
    assert row["planned_arrival"] is None
