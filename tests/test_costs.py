"""What plans cost on the day."""

import numpy as np
import pandas as pd
import pytest

from models.costs import Prices, plan_cost

PRICES = Prices(late_per_minute=2.0, idle_per_minute=1.0)


def route(*sequence: int, route_id: str = "r1") -> pd.DataFrame:
    return pd.DataFrame({"route_id": route_id, "sequence": list(sequence)})


def minutes(*values: float) -> np.ndarray:
    return np.array(values) * 60


def test_a_perfect_plan_costs_nothing() -> None:
    cost = plan_cost(route(1, 2), minutes(5, 6), minutes(5, 6), PRICES)
    assert (cost.late_minutes, cost.idle_minutes, cost.price) == (0, 0, 0)


def test_lateness_adds_up_until_it_is_made_good() -> None:
    # 2 min late after the first, 3 after the second, 1 idle after the third: 3 + 2 late, 1 idle, over 3 stops
    cost = plan_cost(route(1, 2, 3), minutes(7, 6, 1), minutes(5, 5, 5), PRICES)
    assert cost.late_minutes == pytest.approx((2 + 3 + 0) / 3)
    assert cost.idle_minutes == pytest.approx(1 / 3)
    assert cost.price == pytest.approx((2 * 5 + 1) / 3)


def test_stops_count_in_their_sequence_whatever_the_order_of_rows() -> None:
    forward = plan_cost(route(1, 2), minutes(9, 1), minutes(5, 5), PRICES)
    shuffled = plan_cost(route(2, 1), minutes(1, 9), minutes(5, 5), PRICES)
    assert forward == shuffled
    assert forward.late_minutes == pytest.approx(4 / 2)


def test_lateness_does_not_leave_its_route() -> None:
    two = pd.concat([route(1, 2), route(1, 2, 3, route_id="r2")])
    cost = plan_cost(two, minutes(9, 5, 5, 5, 5), minutes(5, 5, 5, 5, 5), PRICES)
    assert cost.late_minutes == pytest.approx((4 + 4) / 5)


def test_stops_without_a_route_cost_nothing() -> None:
    lone = pd.DataFrame({"route_id": [None], "sequence": [np.nan]})
    assert plan_cost(lone, minutes(9), minutes(5), PRICES).price == 0


def test_the_best_quantile_follows_the_prices() -> None:
    assert Prices(3.0, 1.0).best_level == 0.75
