"""A driver's day on paper: who ordered what, the planned route, and what the driver makes of it."""

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from geofence.routes import Order, Route, Stop
from simulation.law import Air
from simulation.profiles import Profile
from simulation.streets import Metres, Spot
from simulation.town import Customer, District, Town

Stops = list[tuple[Stop, Customer]]


@dataclass(frozen=True, slots=True)
class Service:
    """One customer to serve; `hurried` is an attempt in vain that takes this share of the usual time."""

    customer: Customer
    stop_id: str | None
    order: Order
    hurried: float = 1.0


@dataclass(frozen=True, slots=True)
class Halt:
    """One standstill of the vehicle: services one after another, or a wait for another purpose."""

    purpose: str
    spot: Spot
    services: list[Service] = field(default_factory=list)
    wait_s: float = 0.0
    search: bool = False
    creep_m: float = 0.0


@dataclass(frozen=True, slots=True)
class DayPlan:
    """The published route and the halts that the driver really makes, in order, from depot to depot."""

    route: Route
    halts: list[Halt]
    starts_ms: int


def plan_day(
    town: Town,
    district: District,
    driver: int,
    day_ms: int,
    stops_per_day: float | None,
    rng: np.random.Generator,
) -> DayPlan:
    """Plan the day of the district's driver of that number (0, 1, …) that begins at midnight `day_ms`."""
    profile = town.profile
    driver_id = district.drivers[driver]
    mean = profile.stops_per_day[0] if stops_per_day is None else stops_per_day
    chosen = _ordering(profile, district, driver, max(1, round(rng.normal(mean, mean * 0.08))), rng)
    tour = _tour(district, chosen, rng)
    starts_ms = day_ms + int(rng.uniform(6.0, 9.0) * 3_600_000)
    route = _route(district, driver_id, tour, starts_ms, rng)
    by_id = {c.customer_id: c for c in chosen}
    stops = [(stop, by_id[stop.customer_id]) for stop in route.stops]
    served = _as_driven(profile, district, driver, stops, rng)
    halts = _halts(profile, district, served, rng)
    halts = _with_returns(profile, halts, rng)
    halts = _with_pauses(profile, district, halts, rng)
    begin = Halt("depot", district.depot, wait_s=float(rng.uniform(120, 1500)))
    end = Halt("depot", district.depot, wait_s=float(rng.uniform(30, 900)))
    return DayPlan(route, [begin, *halts, end], starts_ms)


def draw_order(rng: np.random.Generator) -> Order:
    """An order: items and weight are skewed, boxes follow from both."""
    items = 1 + int(rng.gamma(1.6, 7.0))
    weight = round(float(items * rng.lognormal(-0.3, 0.5)), 1)
    boxes = 1 + int(max(items / 14, weight / 18) + rng.uniform(-0.3, 0.6))
    return Order(weight_kg=weight, items=items, boxes=max(1, boxes))


def _ordering(
    profile: Profile, district: District, driver: int, count: int, rng: np.random.Generator
) -> list[Customer]:
    """Customers who ordered: of the driver's zone, a few of others', some with a neighbour."""
    zone = np.array([1.0 if c.zone == driver else 0.02 for c in district.customers])
    count = min(count, max(1, int(0.6 * np.count_nonzero(zone == 1.0))))
    picked = rng.choice(len(zone), size=count, replace=False, p=zone / zone.sum()).tolist()
    doors = np.array([c.door for c in district.customers])
    found = list(dict.fromkeys(picked))
    for at in picked[: int(count * profile.companion_chance[0]) + 1]:
        near = np.hypot(*(doors - doors[at]).T)
        near[found] = np.inf
        companion = int(np.argmin(near))
        if near[companion] < 60:
            found.append(companion)
    return [district.customers[at] for at in found[: max(count, 1)] + found[count:][: max(1, count // 4)]]


def _tour(district: District, chosen: list[Customer], rng: np.random.Generator) -> list[Customer]:
    """A short tour from and to the depot: nearest neighbour, then 2-opt; a planner is good, not perfect."""
    spots = [district.depot, *(c.spot for c in chosen)]
    seconds = district.streets.seconds_between(spots)
    seconds = (seconds + seconds.T) / 2
    order = [0]
    left = set(range(1, len(spots)))
    while left:
        order.append(min(left, key=lambda n: (seconds[order[-1], n], n)))
        left.remove(order[-1])
    best = _two_opt(np.array(order), seconds, rounds=int(rng.integers(5, 40)))
    return [chosen[n - 1] for n in best[1:]]


def _two_opt(order: npt.NDArray[np.int64], seconds: Metres, rounds: int) -> list[int]:
    closed = np.append(order, 0)
    for _ in range(rounds):
        here, there = closed[:-1], closed[1:]
        now = seconds[here, there]
        swapped = seconds[np.ix_(here, here)] + seconds[np.ix_(there, there)]
        gain = np.triu(now[:, None] + now[None, :] - swapped, 1)
        i, j = np.unravel_index(int(np.argmax(gain)), gain.shape)
        if gain[i, j] <= 1e-9:
            break
        closed[i + 1 : j + 1] = closed[i + 1 : j + 1][::-1]
    return [int(n) for n in closed[:-1]]


def _route(
    district: District, driver_id: str, tour: list[Customer], starts_ms: int, rng: np.random.Generator
) -> Route:
    """The published plan: arrivals from free driving times and rough guesses of the service times."""
    legs = [district.depot, *(c.spot for c in tour)]
    seconds = district.streets.seconds_between(legs)
    date = np.datetime64(starts_ms, "ms").astype("datetime64[D]")
    at_ms = float(starts_ms + 600_000)
    stops = []
    for n, customer in enumerate(tour):
        order, number = draw_order(rng), n + 1
        at_ms += 1000 * (1.35 * seconds[n, number] + 20)
        stop_id, planned_ms = f"stop-{date}-{driver_id}-{number}", int(at_ms // 1000) * 1000
        stops.append(Stop(stop_id, customer.customer_id, number, planned_ms, order))
        guess = district.law.expected_s(order, customer.place, starts_ms, Air())
        at_ms += 1000 * guess * float(rng.lognormal(0, 0.25))
    route_id, ends_ms = f"route-{date}-{driver_id}", int(at_ms) + 7_200_000
    return Route(route_id, driver_id, starts_ms, tuple(stops), ends_ms, district.region)


def _as_driven(
    profile: Profile, district: District, driver: int, stops: Stops, rng: np.random.Generator
) -> list[Service]:
    """The plan as the driver carries it out: some stops skipped, swapped, moved far or added."""
    kept = [s for s in stops if rng.random() >= profile.skip_share[0]]
    served = [Service(c, s.stop_id, s.order or Order()) for s, c in kept]
    for n in range(len(served) - 1):
        if rng.random() < profile.swap_share[0]:
            served[n], served[n + 1] = served[n + 1], served[n]
    if len(served) > 6 and rng.random() < 4 * profile.swap_share[0]:
        moved = served.pop(int(rng.integers(len(served))))
        served.insert(int(rng.integers(len(served) + 1)), moved)
    planned = {c.customer_id for _, c in stops}
    free = [c for c in district.customers if c.zone == driver and c.customer_id not in planned]
    for _ in range(int(rng.binomial(len(stops), profile.add_share[0])) if free else 0):
        extra = Service(free[int(rng.integers(len(free)))], None, draw_order(rng))
        served.insert(_beside(served, extra), extra)
    return served


def _beside(served: list[Service], extra: Service) -> int:
    """Where an added stop costs the least: after the nearest one."""
    if not served:
        return 0
    apart = [np.hypot(*np.subtract(s.customer.door, extra.customer.door)) for s in served]
    return int(np.argmin(apart)) + 1


def _halts(
    profile: Profile, district: District, served: list[Service], rng: np.random.Generator
) -> list[Halt]:
    """Services gathered into standstills: one door always shares one, near doors often do."""
    groups: list[list[Service]] = []
    for service in served:
        last = groups[-1] if groups else []
        if last and _shares(profile, last, service, rng):
            last.append(service)
        else:
            groups.append([service])
    return [_halt(profile, district, group, rng) for group in groups]


def _shares(profile: Profile, group: list[Service], service: Service, rng: np.random.Generator) -> bool:
    if any(s.customer.customer_id == service.customer.customer_id for s in group):
        return False
    doors = [s.customer.door for s in group]
    apart = max(np.hypot(*np.subtract(d, service.customer.door)) for d in doors)
    same_house = group[-1].customer.house == service.customer.house
    if same_house and len(group) < 6:
        return True
    return bool(
        len(group) < 4 and apart < profile.share_reach_m[0] and rng.random() < profile.share_chance[0]
    )


def _halt(profile: Profile, district: District, group: list[Service], rng: np.random.Generator) -> Halt:
    spots = [s.customer.spot for s in group]
    street = spots[int(rng.integers(len(spots)))]
    difficulty = max(s.customer.place.parking_difficulty for s in group)
    off_m = rng.normal(0, profile.parking_sd_m[0] * (0.6 + 0.2 * difficulty))
    same = [s.along_m for s in spots if s.street == street.street]
    along = float(np.clip(np.mean(same) + off_m, 1.0, district.streets.length_m[street.street] - 1.0))
    creep = float(rng.choice([-1, 1]) * rng.uniform(10, 40)) if rng.random() < profile.creep_share[0] else 0.0
    return Halt(
        "service",
        Spot(street.street, along),
        group,
        search=bool(rng.random() < profile.search_share[0] * (0.4 + 0.3 * difficulty)),
        creep_m=creep if len(group) == 1 else 0.0,
    )


def _with_returns(profile: Profile, halts: list[Halt], rng: np.random.Generator) -> list[Halt]:
    """Nobody at home, or something forgotten: the same customer again later the same day."""
    found = list(halts)
    for n, halt in enumerate(halts):
        if rng.random() >= profile.return_share[0] or len(halts) - n < 4:
            continue
        again = halt.services[-1]
        if rng.random() < 0.6:
            first = replace(again, hurried=float(rng.uniform(0.2, 0.5)))
            found[found.index(halt)] = replace(halt, services=[*halt.services[:-1], first])
        else:
            again = replace(again, hurried=float(rng.uniform(0.3, 0.8)))
        later = int(rng.integers(n + 3, len(halts) + 1))
        found.insert(min(len(found), later), replace(halt, services=[again], search=False, creep_m=0.0))
    return found


def _with_pauses(
    profile: Profile, district: District, halts: list[Halt], rng: np.random.Generator
) -> list[Halt]:
    """Lunch, fuel and errands between the stops; some in the fence of a customer who is not served then."""
    pauses = []
    if rng.random() < 0.85:
        pauses.append((float(rng.normal(0.5, 0.1)), "break", float(rng.uniform(900, 2700))))
    if rng.random() < 0.2:
        pauses.append((float(rng.uniform(0.1, 1)), "fuel", float(rng.uniform(180, 500))))
    errands = int(rng.poisson(profile.errands_per_day[0]))
    pauses += [
        (float(rng.uniform(0.05, 0.95)), "errand", float(rng.uniform(60, 420))) for _ in range(errands)
    ]
    at = sorted(((int(np.clip(s, 0, 1) * len(halts)), p, w) for s, p, w in pauses), reverse=True)
    found = list(halts)
    for before, purpose, wait_s in at:
        near = halts[min(before, len(halts) - 1)].spot if halts else district.depot
        spot = _pause_spot(profile, district, halts, near, rng)
        found.insert(before, Halt(purpose, spot, wait_s=wait_s))
    return found


def _pause_spot(
    profile: Profile, district: District, halts: list[Halt], near: Spot, rng: np.random.Generator
) -> Spot:
    """Within a fence of somebody not served today, or where no fence of today's customers is near."""
    streets = district.streets
    here = streets.place(near)
    today = {s.customer.customer_id for h in halts for s in h.services}
    doors = np.array([c.door for h in halts for c in (s.customer for s in h.services)] or [(1e9, 1e9)])
    if rng.random() < profile.break_in_fence[0]:
        others = [c for c in district.customers if c.customer_id not in today]
        apart = [float(np.hypot(*np.subtract(c.door, here))) for c in others]
        nearest = np.argsort(apart)[:40]
        if len(nearest):
            return others[int(rng.choice(nearest))].spot
    spots = []
    for _ in range(40):
        street = int(rng.integers(len(streets.ends)))
        spots.append(Spot(street, float(rng.uniform(0, streets.length_m[street]))))
    places = np.array([streets.place(s) for s in spots])
    clear = np.hypot(*(places[:, None, :] - doors[None, :, :]).transpose(2, 0, 1)).min(axis=1)
    cost = np.hypot(*(places - here).T) + np.where(clear < 90, 1e5, 0)
    return spots[int(np.argmin(cost))]
