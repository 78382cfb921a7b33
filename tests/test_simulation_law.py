"""The service-time law of the simulator."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geofence.routes import Order
from simulation.law import Air, Law, Place
from simulation.weather import DAY_MS, draw_weather

WEDNESDAY_NOON = 1_772_625_600_000 + 0  # 2026-03-04T12:00Z
HOUR = 3_600_000
LAW = Law()
ORDER = Order(weight_kg=20.0, items=10, boxes=2)
GROUND = Place(floor=0, elevator=False, parking_difficulty=1, effect=1.0)


def seconds(
    order: Order = ORDER, place: Place = GROUND, at_ms: int = WEDNESDAY_NOON, air: Air | None = None
) -> float:
    return LAW.expected_s(order, place, at_ms, air or Air())


def test_an_order_on_the_ground_floor() -> None:
    assert seconds() == pytest.approx(140 + 10 * 5 + 2 * 30 + 20 * 2.0)


def test_stairs_cost_every_trip_and_the_lift_less() -> None:
    third = Place(3, False, 1, 1.0)
    assert seconds(place=third) - seconds() == pytest.approx(3 * 32)
    heavy = Order(weight_kg=61.0, items=10, boxes=2)
    assert seconds(heavy, third) - seconds(heavy) == pytest.approx(3 * 3 * 32)
    assert seconds(place=Place(3, True, 1, 1.0)) - seconds() == pytest.approx(40 + 3 * 6)
    assert seconds(place=Place(0, True, 1, 1.0)) == seconds()


def test_parking_and_the_customers_own_way() -> None:
    assert seconds(place=Place(0, False, 4, 1.0)) - seconds() == pytest.approx(3 * 28)
    assert seconds(place=Place(0, False, 1, 1.3)) == pytest.approx(1.3 * seconds())


@pytest.mark.parametrize(
    ("shift_ms", "factor"),
    [
        (-4 * HOUR, 1.06),  # 08:00
        (6 * HOUR, 1.10),  # 18:00
        (-2 * DAY_MS, 1.04),  # Monday
        (3 * DAY_MS, 0.95),  # Saturday
        (280 * DAY_MS, 1 + 0.12 * 9 / 20),  # 9 December, a Wednesday
        (294 * DAY_MS, 1.12),  # 23 December, a Wednesday
    ],
)
def test_hours_weekdays_and_december(shift_ms: int, factor: float) -> None:
    assert seconds(at_ms=WEDNESDAY_NOON + shift_ms) == pytest.approx(factor * seconds())


@pytest.mark.parametrize(
    ("air", "factor"),
    [
        (Air(precipitation_mm=1.0), 1.05),
        (Air(precipitation_mm=9.0), 1.10),
        (Air(temperature_c=-2, precipitation_mm=1.0), 1.0),
        (Air(snow_depth_cm=5.0), 1.07),
        (Air(snow_depth_cm=40.0), 1.14),
    ],
)
def test_rain_and_snow(air: Air, factor: float) -> None:
    assert seconds(air=air) == pytest.approx(factor * seconds())


@given(st.integers(0, 50), st.floats(0, 100), st.integers(0, 10))
def test_more_of_anything_never_takes_less(items: int, weight: float, boxes: int) -> None:
    here = seconds(Order(weight, items, boxes))
    assert here <= seconds(Order(weight + 5, items, boxes))
    assert here <= seconds(Order(weight, items + 1, boxes))
    assert here <= seconds(Order(weight, items, boxes + 1))


def test_what_happens_is_on_average_what_is_expected() -> None:
    rng = np.random.default_rng(1)
    drawn = np.array([LAW.drawn_s(300.0, rng) for _ in range(20_000)])
    assert drawn.mean() == pytest.approx(300, rel=0.01)
    assert np.log(drawn).std() == pytest.approx(0.20, rel=0.02)


def test_winter_is_colder_than_summer_and_snow_melts() -> None:
    year = draw_weather(["r"], WEDNESDAY_NOON, 365, seed=1).hours["r"]
    temperature = np.array([air.temperature_c for air in year])
    snow = np.array([air.snow_depth_cm for air in year])
    july, january = slice(24 * 130, 24 * 150), slice(24 * 310, 24 * 330)
    assert temperature[july].mean() > temperature[january].mean() + 8
    assert snow[july].max() == 0
    assert 0.03 < np.mean([air.precipitation_mm > 0 for air in year]) < 0.4


def test_an_hour_outside_the_record_is_calm() -> None:
    weather = draw_weather(["r"], WEDNESDAY_NOON, 2, seed=1)
    assert weather.at("r", 0) == Air()
    assert weather.at("elsewhere", WEDNESDAY_NOON) == Air()
    assert weather.at("r", weather.start_ms + 30 * HOUR + 5) == weather.hours["r"][30]
