"""What really happened on a driver's day: where the phone was at every moment, and who was served when."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simulation.drive import Way
from simulation.plan import DayPlan, Halt, Service
from simulation.scoring import Served
from simulation.streets import Metres
from simulation.town import District
from simulation.weather import Weather

Knot = tuple[float, float, float, bool]
"""Seconds, east and north in metres, and whether the phone is in a building from here to the next knot."""


@dataclass(frozen=True, slots=True)
class Happened:
    """The phone's path as knots (seconds since midnight; straight between), and the truth of the services."""

    t_s: Metres
    xy: Metres
    inside: npt.NDArray[np.bool_]
    truth: list[Served]


def live_day(
    district: District,
    driver_id: str,
    plan: DayPlan,
    way: Way,
    day_ms: int,
    weather: Weather,
    carried: bool,
    rng: np.random.Generator,
) -> Happened:
    """Play the day: the vehicle follows the way, each service takes what the law and chance give it.

    `carried` says whether the phone goes to the door with the driver or stays in the van.
    """
    begin_s = (plan.starts_ms - day_ms) / 1000
    before_s = np.concatenate([[0.0], np.cumsum(way.traffic_s)[:-1]])
    moving_s = begin_s + way.driven_s + before_s
    waited = way.traffic_s.copy()
    truth: list[Served] = []
    walks: list[tuple[int, list[Knot]]] = []
    extra_s = 0.0
    for halt, stands in zip(plan.halts, way.stands, strict=True):
        arrived_s = float(moving_s[stands[0]]) + extra_s
        spans = _durations(district, halt, arrived_s, day_ms, weather, rng)
        driven_s = float(moving_s[stands[-1]] - moving_s[stands[0]])
        waits = _split_wait(sum(t for t, _ in spans) or halt.wait_s, driven_s, len(stands), rng)
        waited[stands] = waits
        truth += _truth(halt, spans, driver_id, arrived_s, driven_s + sum(waits), day_ms)
        if carried and len(stands) == 1:
            knots = _walks(halt, spans, way.xy[stands[0]], arrived_s, sum(waits), rng)
            walks.append((stands[0], knots))
        extra_s += sum(waits)
    arrive_s = begin_s + way.driven_s + np.concatenate([[0.0], np.cumsum(waited)[:-1]])
    return Happened(*_knots(way, arrive_s, arrive_s + waited, walks), truth)


def _durations(
    district: District, halt: Halt, arrived_s: float, day_ms: int, weather: Weather, rng: np.random.Generator
) -> list[tuple[float, float]]:
    """Seconds that each service takes, and what the law expected."""
    spans = []
    at_ms = day_ms + int(arrived_s * 1000)
    for service in halt.services:
        air = weather.at(district.region, at_ms)
        expected_s = district.law.expected_s(service.order, service.customer.place, at_ms, air)
        took_s = max(10.0, district.law.drawn_s(expected_s, rng) * service.hurried)
        spans.append((took_s, expected_s))
        at_ms += int(took_s * 1000)
    return spans


def _split_wait(total_s: float, driven_s: float, stands: int, rng: np.random.Generator) -> list[float]:
    if stands == 1:
        return [total_s]
    rest_s = max(20.0, total_s - driven_s)
    first_s = rest_s * float(rng.uniform(0.2, 0.7))
    return [first_s, rest_s - first_s]


def _truth(
    halt: Halt,
    spans: list[tuple[float, float]],
    driver_id: str,
    arrived_s: float,
    stood_s: float,
    day_ms: int,
) -> list[Served]:
    """Services of one standstill follow each other: each begins where the last one ended."""
    rows = []
    scale = stood_s / sum(t for t, _ in spans) if spans else 1.0
    at_s = arrived_s + day_ms / 1000
    for service, (took_s, expected_s) in zip(halt.services, spans, strict=True):
        until_s = at_s + took_s * scale
        rows.append(
            Served(
                driver_id,
                service.stop_id,
                service.customer.customer_id,
                round(at_s, 3),
                round(until_s, 3),
                group=len(spans),
                law_s=round(expected_s, 2),
            )
        )
        at_s = until_s
    return rows


def _walks(
    halt: Halt,
    spans: list[tuple[float, float]],
    van: Metres,
    arrived_s: float,
    stood_s: float,
    rng: np.random.Generator,
) -> list[Knot]:
    """Knots of the phone while the vehicle stands."""
    if not halt.services:
        return _stroll(halt, van, arrived_s, stood_s, rng)
    knots: list[Knot] = []
    at_s = arrived_s
    for service, (took_s, _) in zip(halt.services, spans, strict=True):
        knots += _to_the_door(service, van, at_s, took_s, rng)
        at_s += took_s
    return knots


def _to_the_door(
    service: Service, van: Metres, at_s: float, took_s: float, rng: np.random.Generator
) -> list[Knot]:
    """Out of the van, to the door, inside, back; hurried where time is short, twice for many boxes."""
    door = np.array(service.customer.door) + rng.normal(0, 1.5, 2)
    trips = 2 if (service.order.boxes or 1) >= 3 and took_s > 200 and rng.random() < 0.5 else 1
    walk_s = float(np.hypot(*(door - van))) / float(rng.uniform(1.1, 1.6))
    walk_s = min(walk_s, 0.35 * took_s / trips)
    idle_s = took_s - 2 * trips * walk_s
    in_van = idle_s * float(rng.uniform(0.15, 0.45))
    at_door = (idle_s - in_van) / trips
    enters = service.customer.place.floor > 0 or rng.random() < 0.3
    knots: list[Knot] = []
    now = at_s + in_van * float(rng.uniform(0.3, 0.7)) / trips
    for _ in range(trips):
        knots.append((now, float(van[0]), float(van[1]), False))
        knots.append((now + walk_s, float(door[0]), float(door[1]), bool(enters)))
        knots.append((now + walk_s + at_door, float(door[0]), float(door[1]), False))
        now += 2 * walk_s + at_door
        knots.append((now, float(van[0]), float(van[1]), False))
        now += in_van * 0.2 / trips
    return knots


def _stroll(
    halt: Halt, van: Metres, arrived_s: float, stood_s: float, rng: np.random.Generator
) -> list[Knot]:
    """On a break some drivers walk to a shop and back."""
    if halt.purpose == "depot" or stood_s < 180 or rng.random() < 0.5:
        return []
    angle, far = rng.uniform(0, 2 * np.pi), rng.uniform(10, 70)
    shop = van + far * np.array([np.cos(angle), np.sin(angle)])
    walk_s = far / 1.3
    out_s = arrived_s + float(rng.uniform(10, 40))
    back_s = arrived_s + stood_s - float(rng.uniform(10, 40)) - walk_s
    inside = bool(rng.random() < 0.7)
    return [
        (out_s, float(van[0]), float(van[1]), False),
        (out_s + walk_s, float(shop[0]), float(shop[1]), inside),
        (back_s, float(shop[0]), float(shop[1]), False),
        (back_s + walk_s, float(van[0]), float(van[1]), False),
    ]


def _knots(
    way: Way, arrive_s: Metres, leave_s: Metres, walks: list[tuple[int, list[Knot]]]
) -> tuple[Metres, Metres, npt.NDArray[np.bool_]]:
    """The vehicle's points, each with arrival and leaving, and the walks put in between."""
    t = np.column_stack([arrive_s, leave_s]).ravel()
    xy = np.repeat(way.xy, 2, axis=0)
    parts, at = [], 0
    for point, knots in walks:
        if not knots:
            continue
        cut = 2 * point + 1
        parts.append(np.column_stack([t[at:cut], xy[at:cut], np.zeros(cut - at)]))
        parts.append(np.array(knots, dtype=np.float64))
        at = cut
    parts.append(np.column_stack([t[at:], xy[at:], np.zeros(len(t) - at)]))
    whole = np.concatenate(parts)
    return np.maximum.accumulate(whole[:, 0]), whole[:, 1:3], whole[:, 3] > 0
