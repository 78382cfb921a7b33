"""Draws synthetic tracks: a van that drives and stands, a driver who walks, a noisy or silent phone."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from math import ceil, hypot

import numpy as np

from geofence.engine import Engine
from geofence.events import FenceEvent, Output, Ping, PingBatch, ServiceTime, VisitStatus
from geofence.fences import Fence, FenceSet
from geofence.geometry import LocalPlane
from geofence.routes import Route, Stop
from geofence.rules import Rules

START_MS = 1_790_000_000_000
HOME = LocalPlane(50.0, 8.0)


class Drawn:
    """A track that grows by what the driver does; places are metres east and north of `plane`'s origin."""

    def __init__(
        self,
        driver_id: str = "d",
        every_s: float = 5.0,
        noise_m: float = 0.0,
        seed: int = 0,
        start_ms: int = START_MS,
        at: tuple[float, float] = (0.0, 0.0),
        plane: LocalPlane = HOME,
        speed: bool = False,
        accuracy_m: float | None = None,
    ) -> None:
        self.driver_id = driver_id
        self.now_s = 0.0
        self.at = at
        self._every_s = every_s
        self._noise_m = noise_m
        self._random = random.Random(seed)
        self._start_ms = start_ms
        self._plane = plane
        self._speed = speed
        self._accuracy_m = accuracy_m
        self._next_s = 0.0
        self.pings: list[Ping] = []

    @property
    def now_ms(self) -> int:
        return self._start_ms + round(1000 * self.now_s)

    def stand(self, seconds: float) -> Drawn:
        return self._move(self.at, seconds)

    def drive(self, east_m: float, north_m: float = 0.0, mps: float = 10.0) -> Drawn:
        """To a place in a straight line, braking and pulling away at 2 m/s²."""
        (x, y), way = self.at, hypot(east_m - self.at[0], north_m - self.at[1])
        ramp = min(mps * mps / 4, way / 2)
        top = (4 * ramp) ** 0.5
        ramp_s, cruise_s = top / 2, (way - 2 * ramp) / top
        begin = self.now_s
        end = begin + 2 * ramp_s + cruise_s

        def gone(t: float) -> tuple[float, float]:
            into, left = t - begin, end - t
            if into < ramp_s:
                s, v = into * into, 2 * into
            elif left < ramp_s:
                s, v = way - left * left, 2 * left
            else:
                s, v = ramp + (into - ramp_s) * top, top
            return s / way, v

        while self._next_s < end:
            share, v = gone(self._next_s)
            self._ping(x + share * (east_m - x), y + share * (north_m - y), v)
        self.now_s, self.at = end, (east_m, north_m)
        return self

    def walk(self, east_m: float, north_m: float, seconds: float) -> Drawn:
        """The driver goes to a door, stays and comes back to the van; all of it takes `seconds`."""
        van = self.at
        way_s = hypot(east_m - van[0], north_m - van[1]) / 1.2
        self._move((east_m, north_m), way_s)
        self._move((east_m, north_m), max(seconds - 2 * way_s, 0.0))
        return self._move(van, way_s)

    def silent(self, seconds: float, at: tuple[float, float] | None = None) -> Drawn:
        """No pings for so long; the vehicle is elsewhere afterwards when `at` is given."""
        self.now_s += seconds
        self._next_s = max(self._next_s, ceil(self.now_s / self._every_s) * self._every_s)
        self.at = self.at if at is None else at
        return self

    def glitch(self, east_m: float, north_m: float, accuracy_m: float | None = None) -> Drawn:
        """One fix at a place where the vehicle is not."""
        lat, lon = self._plane.to_degrees(east_m, north_m)
        self.pings.append(Ping(self.driver_id, self._fix_ms(), lat, lon, accuracy_m))
        self._next_s += self._every_s
        self.now_s = max(self.now_s, self._next_s)
        return self

    def _move(self, to: tuple[float, float], seconds: float) -> Drawn:
        (x, y), begin = self.at, self.now_s
        end = begin + seconds
        while self._next_s < end:
            share = (self._next_s - begin) / seconds
            self._ping(x + share * (to[0] - x), y + share * (to[1] - y), 0.0)
        self.now_s, self.at = end, to
        return self

    def _ping(self, east_m: float, north_m: float, mps: float) -> None:
        gauss = self._random.gauss
        east_m, north_m = east_m + gauss(0, 1) * self._noise_m, north_m + gauss(0, 1) * self._noise_m
        lat, lon = self._plane.to_degrees(east_m, north_m)
        speed = round(mps, 2) if self._speed else None
        self.pings.append(Ping(self.driver_id, self._fix_ms(), lat, lon, self._accuracy_m, speed))
        self._next_s += self._every_s

    def _fix_ms(self) -> int:
        return self._start_ms + round(1000 * self._next_s)


def wandering(
    places: Sequence[float], noise_m: float, speed_mps: float | Sequence[float], seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Rows of fixes that wander about these places east (m): east, north, their noise, reported speeds."""
    n = len(places)
    wander = np.random.default_rng(seed).normal(0.0, 0.5 * noise_m, (2, n))
    speeds = np.broadcast_to(np.asarray(speed_mps, dtype=float), n).copy()
    return np.asarray(places, dtype=float) + wander[0], wander[1], np.full(n, noise_m), speeds


def circle(
    name: str,
    east_m: float,
    north_m: float = 0.0,
    radius_m: float = 40.0,
    plane: LocalPlane = HOME,
    customer_id: str | None = None,
    dwell_s: float | None = None,
    valid_from_ms: int | None = None,
) -> Fence:
    """A circular fence `name` of the customer of that name."""
    lat, lon = plane.to_degrees(east_m, north_m)
    return Fence(
        name,
        customer_id or name,
        lat,
        lon,
        radius_m=radius_m,
        dwell_s=dwell_s,
        valid_from_ms=valid_from_ms,
    )


def plan(*customers: str, driver_id: str = "d", route_id: str = "r", start_ms: int = START_MS) -> Route:
    """A route that visits customers in that order; stops are called s1, s2, ..."""
    stops = tuple(Stop(f"s{n}", customer, n) for n, customer in enumerate(customers, 1))
    return Route(route_id, driver_id, start_ms, stops)


def batch(pings: Iterable[Ping]) -> PingBatch:
    return PingBatch.of(list(pings))


def picked(pings: PingBatch, rows: Sequence[int] | np.ndarray) -> PingBatch:
    """Some rows of a batch, in the order given."""
    return pings.select(np.asarray(rows, dtype=np.int64))


def engine_of(fences: Iterable[Fence], routes: Iterable[Route] = (), rules: Rules | None = None) -> Engine:
    engine = Engine(rules, FenceSet(fences))
    for route in routes:
        engine.put_route(route)
    return engine


def final(outputs: Iterable[Output]) -> dict[str, ServiceTime]:
    """The record of the highest revision of each visit, retracted ones too; revisions must come in order."""
    records: dict[str, ServiceTime] = {}
    for output in outputs:
        if isinstance(output, ServiceTime):
            before = records.get(output.visit_id)
            assert output.revision == (1 if before is None else before.revision + 1)
            records[output.visit_id] = output
    return records


def standing(outputs: Iterable[Output]) -> list[ServiceTime]:
    """The final records that are not retracted, by time of arrival."""
    found = [r for r in final(outputs).values() if r.status is not VisitStatus.RETRACTED]
    return sorted(found, key=lambda r: (r.arrived_ms, r.visit_id))


def events(outputs: Iterable[Output]) -> list[FenceEvent]:
    return [o for o in outputs if isinstance(o, FenceEvent)]


def visits(
    track: Drawn | Iterable[Ping],
    fences: Iterable[Fence],
    routes: Iterable[Route] = (),
    rules: Rules | None = None,
) -> list[ServiceTime]:
    """The visits that a whole track tells of."""
    pings = track.pings if isinstance(track, Drawn) else list(track)
    engine = engine_of(fences, routes, rules)
    return standing([*engine.feed(batch(pings)), *engine.settle()])
