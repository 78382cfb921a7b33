"""What a worker knows of routes: as they were, all that a visit may still be told of, and no more."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from geofence.routes import Order, Route, Stop
from streams.records.reasons import LARGEST_WHOLE
from streams.route_book import RouteBook

START_MS = 1_790_000_000_000
DAY_MS = 86_400_000

whole_numbers = st.integers(-LARGEST_WHOLE, LARGEST_WHOLE)
numbers = st.none() | st.integers(0, LARGEST_WHOLE)
orders = st.none() | st.builds(Order, st.none() | st.floats(0, 1000), numbers, numbers)
stops = st.lists(
    st.builds(Stop, st.text(), st.text(), whole_numbers, st.none() | st.integers(0, 2 * START_MS), orders),
    max_size=5,
    unique_by=lambda stop: stop.stop_id,
).map(tuple)
any_route = st.builds(
    Route,
    st.text(min_size=1),
    st.text(min_size=1),
    st.integers(0, START_MS),
    stops,
    st.none() | st.integers(START_MS, 2 * START_MS),
    st.none() | st.text(),
)


def route(route_id: str, day: float, driver_id: str = "d", hours: float | None = 8.0) -> Route:
    begins_ms = START_MS + round(day * DAY_MS)
    ends_ms = None if hours is None else begins_ms + round(3_600_000 * hours)
    return Route(route_id, driver_id, begins_ms, (Stop(f"{route_id}-s", "c", 1),), ends_ms)


def book(*routes: Route, day_kept_s: float = 86_400.0) -> RouteBook:
    kept = RouteBook(day_kept_s)
    for number, one in enumerate(routes):
        kept.put(number % 2, one)
    return kept


def everything(_span: Any) -> bool:
    return True


@given(any_route)
def test_a_route_comes_back_as_it_was(one: Route) -> None:
    kept = book(one)
    assert kept.get(one.route_id) == one
    assert list(kept.of_partition(0, everything)) == [one]
    assert kept.get(None) is None
    assert kept.get(one.route_id + "x") is None


def test_only_those_of_a_partition_that_are_wanted_are_given() -> None:
    kept = book(route("a", 0, "a"), route("b", 0, "b"), route("c", 1, "c"), route("e", 2, "e", None))
    assert [r.route_id for r in kept.of_partition(0, everything)] == ["a", "c"]
    assert [r.route_id for r in kept.of_partition(1, lambda span: span.ends_ms is None)] == ["e"]
    assert [r.route_id for r in kept.of_partition(1, lambda span: span.driver_id == "b")] == ["b"]
    assert [r.route_id for r in kept.of_partition(0, lambda span: span.starts_ms > START_MS)] == ["c"]


def test_a_route_that_came_again_replaces_the_former_one() -> None:
    kept = book(route("r", 0), route("r", 0, hours=4.0))
    assert len(kept) == 1
    assert kept.get("r") == route("r", 0, hours=4.0)
    assert list(kept.of_partition(0, everything)) == []


def test_a_drivers_routes_are_let_go_days_after_they_were_over() -> None:
    year = [route(f"r{day}", day) for day in range(365)]
    kept = book(*year)
    assert set(kept.ids()) == {"r361", "r362", "r363", "r364"}
    assert sorted(r.route_id for p in (0, 1) for r in kept.of_partition(p, everything)) == sorted(kept.ids())
    assert kept._of_driver == {"d": set(kept.ids())}
    assert len(book(*year, day_kept_s=10 * 86_400)) == 13


def test_one_driver_says_nothing_of_another_and_a_plan_far_ahead_costs_only_his_own() -> None:
    kept = book(route("a", 0, "a"), route("b", 300, "b"), route("c1", 0, "c"), route("c2", 9_000, "c"))
    assert set(kept.ids()) == {"a", "b", "c2"}


def test_routes_without_an_end_and_those_given_to_another_driver_stay() -> None:
    kept = book(route("open", 0, hours=None), route("later", 3), route("mine", 3, "e"), route("mine", 0))
    assert set(kept.ids()) == {"open", "later", "mine"}
    kept.put(0, route("new", 40, "e"))
    assert set(kept.ids()) == {"open", "later", "mine", "new"}
