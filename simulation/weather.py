"""Weather hour by hour: seasonal temperature, spells of rain, snow that falls, stays and melts."""

from dataclasses import dataclass

import numpy as np

from simulation.law import Air
from simulation.randomness import stream

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


@dataclass(frozen=True, slots=True)
class Weather:
    """Hours from `start_ms` on, by region; an unknown region or hour is calm and dry."""

    start_ms: int
    hours: dict[str, list[Air]]

    def at(self, region: str, ts_ms: int) -> Air:
        """The weather of the hour that holds that time."""
        hours = self.hours.get(region, [])
        hour = (ts_ms - self.start_ms) // HOUR_MS
        return hours[hour] if 0 <= hour < len(hours) else Air()


def draw_weather(regions: list[str], start_ms: int, days: int, seed: int) -> Weather:
    """Weather from the day before `start_ms` to two days after the last."""
    begin_ms = start_ms - DAY_MS
    count = (days + 3) * 24
    drawn = {region: _hours(begin_ms, count, seed, number) for number, region in enumerate(regions)}
    return Weather(begin_ms, drawn)


def _hours(begin_ms: int, count: int, seed: int, region: int) -> list[Air]:
    rng = stream(seed, "weather", region)
    warmth = rng.normal(0, 2)
    raining, slow, snow = False, 0.0, 0.0
    found = []
    for hour in range(count):
        ts_ms = begin_ms + hour * HOUR_MS
        year = 2 * np.pi * ((ts_ms / DAY_MS) % 365.25) / 365.25
        day = 2 * np.pi * ((ts_ms / HOUR_MS) % 24) / 24
        slow = 0.985 * slow + rng.normal(0, 0.6)
        temperature = 10 + warmth - 10 * np.cos(year - 0.35) - 3.5 * np.cos(day - 0.8) + slow
        raining = rng.random() < (0.82 if raining else 0.035)
        rain = float(rng.exponential(1.1)) if raining else 0.0
        snow = snow + 0.9 * rain if temperature < 0.5 else max(0.0, snow - 0.08 * temperature)
        wind = float(abs(rng.normal(3 + 2 * raining, 1.5)))
        found.append(Air(round(float(temperature), 1), round(rain, 2), round(float(snow), 1), round(wind, 1)))
    return found
