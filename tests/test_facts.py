"""What every worker knows of routes: all that a visit may still be told of, and no more."""

import json
from types import SimpleNamespace
from typing import Any

from geofence.times import format_time
from streams.facts import Facts
from streams.topics import Topics

START_MS = 1_790_000_000_000
DAY_MS = 86_400_000


def route(route_id: str, day: float, driver_id: str = "d", hours: float | None = 8.0) -> Any:
    begin_ms = START_MS + round(day * DAY_MS)
    value: dict[str, Any] = {
        "route_id": route_id,
        "driver_id": driver_id,
        "starts_at": format_time(begin_ms),
        "stops": [{"stop_id": f"{route_id}-s", "customer_id": "c", "sequence": 1}],
    }
    if hours is not None:
        value["ends_at"] = format_time(begin_ms + round(3_600_000 * hours))
    return SimpleNamespace(value=json.dumps(value).encode())


def taken(*records: Any, **settings: Any) -> Facts:
    facts = Facts("127.0.0.1:1", Topics(), **settings)
    for number, record in enumerate(records):
        facts._take_route(number % 2, record)
    return facts


def test_a_drivers_routes_are_let_go_days_after_they_were_over() -> None:
    year = [route(f"r{day}", day) for day in range(365)]
    facts = taken(*year)
    assert set(facts.routes) == {"r361", "r362", "r363", "r364"}
    assert sorted(r.route_id for p in (0, 1) for r in facts.routes_of(p)) == sorted(facts.routes)
    assert facts._of_driver == {"d": set(facts.routes)}
    assert len(taken(*year, day_kept_s=10 * 86_400).routes) == 13


def test_one_driver_says_nothing_of_another_and_a_plan_far_ahead_costs_only_his_own() -> None:
    facts = taken(route("a", 0, "a"), route("b", 300, "b"), route("c1", 0, "c"), route("c2", 9_000, "c"))
    assert set(facts.routes) == {"a", "b", "c2"}


def test_routes_without_an_end_and_those_given_to_another_driver_stay() -> None:
    facts = taken(route("open", 0, hours=None), route("later", 3), route("mine", 3, "e"), route("mine", 0))
    assert set(facts.routes) == {"open", "later", "mine"}
    facts._take_route(0, route("new", 40, "e"))
    assert set(facts.routes) == {"open", "later", "mine", "new"}
