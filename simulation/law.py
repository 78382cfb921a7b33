"""The service-time law: what a service is expected to take, given order, place, hour, season and weather."""

from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil

import numpy as np

from geofence.routes import Order


@dataclass(frozen=True, slots=True)
class Place:
    """What the law knows of a customer; `effect` is the customer's own lasting factor (1 is average)."""

    floor: int
    elevator: bool
    parking_difficulty: int
    effect: float


@dataclass(frozen=True, slots=True)
class Air:
    """The weather of an hour, as the law uses it; calm, dry and mild unless said otherwise."""

    temperature_c: float = 15.0
    precipitation_mm: float = 0.0
    snow_depth_cm: float = 0.0
    wind_mps: float = 2.0


@dataclass(frozen=True, slots=True)
class Law:
    """Coefficients of the law; `pace` scales it for a trade (parcels are quick, groceries slow) or region."""

    pace: float = 1.0
    base_s: float = 140.0
    item_s: float = 5.0
    box_s: float = 30.0
    kilogram_s: float = 2.0
    kilograms_a_trip: float = 30.0
    stairs_s: float = 32.0
    lift_s: float = 40.0
    lift_floor_s: float = 6.0
    parking_s: float = 28.0
    rush_share: float = 0.06
    evening_share: float = 0.10
    december_share: float = 0.12
    rain_share: float = 0.05
    snow_share: float = 0.14
    monday_share: float = 0.04
    saturday_share: float = -0.05
    noise_sd: float = 0.20

    def expected_s(self, order: Order, place: Place, ts_ms: int, air: Air) -> float:
        """Expected seconds of a service that begins then (hours and weekdays are UTC)."""
        return (
            self.pace * place.effect * self._work_s(order, place) * self._season(ts_ms) * self._weather(air)
        )

    def drawn_s(self, expected_s: float, rng: np.random.Generator) -> float:
        """A service as it happens: expected seconds times log-normal noise of mean 1, at least 10 seconds."""
        noise = rng.lognormal(-(self.noise_sd**2) / 2, self.noise_sd)
        return max(10.0, expected_s * float(noise))

    def _work_s(self, order: Order, place: Place) -> float:
        weight_kg = order.weight_kg or 0.0
        trips = max(1, ceil(weight_kg / self.kilograms_a_trip))
        if place.elevator:
            climb_s = (self.lift_s + self.lift_floor_s * place.floor) * (place.floor > 0)
        else:
            climb_s = self.stairs_s * place.floor
        handling_s = self.item_s * (order.items or 0) + self.box_s * (order.boxes or 0)
        carrying_s = self.kilogram_s * weight_kg + trips * climb_s
        return self.base_s + handling_s + carrying_s + self.parking_s * (place.parking_difficulty - 1)

    def _season(self, ts_ms: int) -> float:
        when = datetime.fromtimestamp(ts_ms / 1000, UTC)
        factor = 1.0
        if 7 <= when.hour < 9:
            factor += self.rush_share
        elif when.hour >= 17:
            factor += self.evening_share
        if when.month == 12:
            factor += self.december_share * min(1.0, when.day / 20)
        return factor + {0: self.monday_share, 5: self.saturday_share}.get(when.weekday(), 0.0)

    def _weather(self, air: Air) -> float:
        rain = self.rain_share * min(2.0, air.precipitation_mm) if air.temperature_c > 0 else 0.0
        return 1.0 + rain + self.snow_share * min(1.0, air.snow_depth_cm / 10)
