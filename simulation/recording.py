"""Whole simulated recordings: a town, its days, and everything that is published of them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

import numpy as np

from geofence.errors import InvalidSetting
from geofence.events import PingBatch
from geofence.fences import Fence
from geofence.routes import Route
from simulation.day import live_day
from simulation.drive import draw_way
from simulation.manual import ManualRecord, write_down
from simulation.phone import Fixes, Phone, draw_phone, observe
from simulation.plan import plan_day
from simulation.profiles import Profile, profile_named
from simulation.randomness import stream
from simulation.scoring import Served
from simulation.town import District, Town, build_town
from simulation.weather import DAY_MS, Weather, draw_weather

DEFAULT_START = date(2026, 3, 2)


@dataclass(frozen=True, slots=True)
class Settings:
    """What to simulate; `stops_per_day` and `spacing_s` stand in for the profile's own ranges."""

    profile: Profile
    drivers: int = 8
    days: int = 2
    seed: int = 0
    start: date = DEFAULT_START
    regions: int = 1
    stops_per_day: float | None = None
    spacing_s: float | None = None
    weather: bool = True

    def __post_init__(self) -> None:
        for name, low, high in (("drivers", 1, 10_000), ("days", 1, 3_700), ("regions", 1, 100)):
            if not low <= getattr(self, name) <= high:
                raise InvalidSetting(f"{name}: {getattr(self, name)} is not between {low} and {high}")
        if self.seed < 0:
            raise InvalidSetting(f"seed: {self.seed} is negative")
        if self.stops_per_day is not None and not 1 <= self.stops_per_day <= 150:
            raise InvalidSetting(f"stops_per_day: {self.stops_per_day} is not between 1 and 150")
        if self.spacing_s is not None and not 0.5 <= self.spacing_s <= 600:
            raise InvalidSetting(f"spacing_s: {self.spacing_s} is not between 0.5 and 600")

    @property
    def start_ms(self) -> int:
        """Midnight (UTC) of the first day."""
        return int(datetime.combine(self.start, datetime.min.time(), UTC).timestamp() * 1000)


@dataclass(frozen=True, slots=True)
class Day:
    """What one day of all drivers yields; pings are in the order in which they reach the server."""

    pings: PingBatch
    routes: list[Route]
    truth: list[Served]
    manual: list[ManualRecord]


@dataclass(frozen=True, slots=True)
class Recording:
    """A whole simulation in memory."""

    town: Town
    weather: Weather
    pings: PingBatch
    fences: list[Fence]
    routes: list[Route]
    truth: list[Served]
    manual: list[ManualRecord]


class Simulation:
    """A town whose days can be played one by one, each independent of the others."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        s = settings
        self.town = build_town(s.profile, s.drivers, s.seed, s.regions, s.stops_per_day)
        regions = self.town.regions if s.weather else []
        self.weather = draw_weather(regions, s.start_ms, s.days, s.seed)
        self._phones = {
            driver: draw_phone(self.town.profile, s.spacing_s, stream(s.seed, "phone", number))
            for number, driver in enumerate(sorted(d for t in self.town.districts for d in t.drivers))
        }

    def days(self, done: Callable[[], None] = lambda: None) -> Iterator[Day]:
        """All days in order; `done` is called after each driver's day."""
        for number in range(self.settings.days):
            yield self.day(number, done)

    def day(self, number: int, done: Callable[[], None] = lambda: None) -> Day:
        """The day of that number (0 is the first)."""
        drivers: list[str] = []
        parts: list[Fixes] = []
        owners: list[np.ndarray[tuple[int], np.dtype[np.int64]]] = []
        day = Day(_no_pings(), [], [], [])
        for district in self.town.districts:
            for at, driver_id in enumerate(district.drivers):
                fixes, route, truth, manual = self._driver_day(district, at, number)
                owners.append(np.full(len(fixes.ts_ms), len(drivers), dtype=np.int64))
                drivers.append(driver_id)
                parts.append(fixes)
                day.routes.extend([route] if self.town.profile.routes else [])
                day.truth.extend(truth)
                day.manual.extend(manual)
                done()
        return replace(day, pings=_merged(drivers, parts, owners))

    def _driver_day(
        self, district: District, at: int, number: int
    ) -> tuple[Fixes, Route, list[Served], list[ManualRecord]]:
        s, profile = self.settings, self.town.profile
        driver_id = district.drivers[at]
        phone: Phone = self._phones[driver_id]
        day_ms = s.start_ms + number * DAY_MS
        rng = stream(s.seed, "day", district.number, at, number)
        plan = plan_day(self.town, district, at, day_ms, s.stops_per_day, rng)
        way = draw_way(profile, district.streets, plan.halts, rng)
        happened = live_day(district, driver_id, plan, way, day_ms, self.weather, phone.carried, rng)
        fixes, truth = observe(profile, district, phone, happened, day_ms, rng)
        manual = write_down(truth, stream(s.seed, "manual", district.number, at), rng)
        return fixes, plan.route, truth, manual


def simulate(
    profile: str | Profile = "suburb",
    drivers: int = 8,
    days: int = 2,
    seed: int = 0,
    start: date = DEFAULT_START,
    regions: int = 1,
    stops_per_day: float | None = None,
    spacing_s: float | None = None,
    weather: bool = True,
) -> Recording:
    """Simulate in memory; equal arguments give equal recordings. InvalidSetting for what is out of range."""
    kind = profile_named(profile) if isinstance(profile, str) else profile
    simulation = Simulation(
        Settings(kind, drivers, days, seed, start, regions, stops_per_day, spacing_s, weather)
    )
    played = list(simulation.days())
    return Recording(
        town=simulation.town,
        weather=simulation.weather,
        pings=PingBatch.joined([d.pings for d in played]),
        fences=simulation.town.fences,
        routes=[r for d in played for r in d.routes],
        truth=[t for d in played for t in d.truth],
        manual=[m for d in played for m in d.manual],
    )


def _merged(
    drivers: list[str], parts: list[Fixes], owners: list[np.ndarray[tuple[int], np.dtype[np.int64]]]
) -> PingBatch:
    """All drivers' fixes as one batch in the order of arrival, rounded to what is written."""
    owner = np.concatenate(owners)
    order = np.argsort(np.concatenate([p.arrives_s for p in parts]), kind="stable")
    return PingBatch(
        names=drivers,
        codes=owner[order].astype(np.int32),
        ts_ms=np.concatenate([p.ts_ms for p in parts])[order],
        lat=np.round(np.concatenate([p.lat for p in parts])[order], 7),
        lon=np.round(np.concatenate([p.lon for p in parts])[order], 7),
        accuracy_m=np.round(np.concatenate([p.accuracy_m for p in parts])[order], 1),
        speed_mps=np.round(np.concatenate([p.speed_mps for p in parts])[order], 2),
    )


def _no_pings() -> PingBatch:
    return PingBatch.of([])
