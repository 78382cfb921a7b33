"""A town: districts of streets, houses and customers with their fences, and the drivers who serve them."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely
from scipy.cluster.vq import kmeans2
from scipy.spatial import KDTree

from geofence.fences import Fence
from geofence.geometry import METRES_PER_DEGREE, LocalPlane
from simulation.law import Law, Place
from simulation.layouts import draw_streets
from simulation.profiles import Profile, settled
from simulation.randomness import stream
from simulation.streets import Metres, Spot, Streets

DRIVERS_A_DISTRICT = 4
DEPOT_CLEAR_M = 160.0


@dataclass(frozen=True, slots=True)
class Customer:
    """Who is served: the true door in metres of the plane, the street before it, and the published fence."""

    customer_id: str
    door: tuple[float, float]
    spot: Spot
    house: int
    zone: int
    place: Place
    fence: Fence


@dataclass(frozen=True, slots=True)
class District:
    """Streets, customers and the depot that a few drivers share."""

    number: int
    region: str
    plane: LocalPlane
    streets: Streets
    customers: list[Customer]
    depot: Spot
    law: Law
    drivers: list[str]

    def degrees(self, xy: Metres) -> tuple[Metres, Metres]:
        """Latitudes and longitudes of points (n, 2) of the plane."""
        per_lon = METRES_PER_DEGREE * np.cos(np.radians(self.plane.lat))
        return self.plane.lat + xy[:, 1] / METRES_PER_DEGREE, self.plane.lon + xy[:, 0] / per_lon


@dataclass(frozen=True, slots=True)
class Town:
    """Everything that stands still."""

    profile: Profile
    seed: int
    districts: list[District]

    @property
    def fences(self) -> list[Fence]:
        """The published fence of each customer."""
        return [c.fence for d in self.districts for c in d.customers]

    @property
    def regions(self) -> list[str]:
        """Names of the regions, each once."""
        return list(dict.fromkeys(d.region for d in self.districts))


def build_town(
    profile: Profile, drivers: int, seed: int, regions: int = 1, stops_per_day: float | None = None
) -> Town:
    """The town that this seed draws; regions differ in place, pace and parking."""
    own = settled(profile, stream(seed, f"profile {profile.name}"))
    stops = own.stops_per_day[0] if stops_per_day is None else stops_per_day
    count = max(regions, -(-drivers // DRIVERS_A_DISTRICT))
    where = stream(seed, "where")
    lat, lon = float(where.uniform(36, 60)), float(where.uniform(-8, 25))
    ids = [f"driver-{n + 1:03d}" for n in range(drivers)]
    districts, side = [], int(np.ceil(np.sqrt(count)))
    for number in range(count):
        plane = _plane(lat, lon, *divmod(number, side))
        region = f"region-{number % regions + 1}"
        law = _regional_law(own, seed, number % regions)
        districts.append(_build_district(own, seed, number, plane, region, law, ids[number::count], stops))
    return Town(own, seed, districts)


def _plane(lat: float, lon: float, row: int, column: int) -> LocalPlane:
    """The plane of a district: some 40 km from its neighbours."""
    own_lat = lat + row * 40_000 / METRES_PER_DEGREE
    return LocalPlane(own_lat, lon + column * 40_000 / METRES_PER_DEGREE / float(np.cos(np.radians(own_lat))))


def _regional_law(profile: Profile, seed: int, region: int) -> Law:
    rng = stream(seed, "region", region)
    spread = 0.0 if region == 0 else 0.15
    return Law(
        pace=profile.pace[0] * float(rng.lognormal(0, spread)),
        stairs_s=32.0 * float(rng.lognormal(0, spread)),
        parking_s=28.0 * float(rng.lognormal(0, spread)),
        base_s=140.0 * float(rng.lognormal(0, spread)),
    )


def _build_district(
    profile: Profile,
    seed: int,
    number: int,
    plane: LocalPlane,
    region: str,
    law: Law,
    drivers: list[str],
    stops: float,
) -> District:
    rng = stream(seed, "district", number)
    wanted = max(30, int(max(1, len(drivers)) * stops * profile.customers_a_stop[0]))
    homes = int(wanted / profile.households[0] / profile.customer_share[0]) + 20
    streets = draw_streets(profile, homes * profile.house_spacing_m[0] / 2, rng)
    spots, doors = _houses(profile, streets, rng)
    depot = Spot(int(rng.integers(len(streets.ends))), 0.0)
    far = np.hypot(*(doors - streets.place(depot)).T) > DEPOT_CLEAR_M
    taken = np.flatnonzero(far & (rng.random(len(doors)) < profile.customer_share[0]))
    taken = taken[_spread(doors[taken], profile.apart_m)]
    zones = _zones(doors[taken], max(1, len(drivers)), rng)
    customers: list[Customer] = []
    for house, zone in zip(taken.tolist(), zones.tolist(), strict=True):
        customers += _household(
            profile, plane, region, number, house, zone, spots[house], doors[house], len(customers), rng
        )
    return District(number, region, plane, streets, customers, depot, law, drivers)


def _houses(profile: Profile, streets: Streets, rng: np.random.Generator) -> tuple[list[Spot], Metres]:
    """Houses along both sides of every street: the street place before each, and its door."""
    spots: list[Spot] = []
    doors = []
    spacing = profile.house_spacing_m[0]
    for street, length in enumerate(streets.length_m.tolist()):
        lonely = 14.0 if length > 800 else 1.0
        for side in (-1.0, 1.0):
            gaps = spacing * lonely * rng.lognormal(0, 0.3, int(2 * length / spacing / lonely) + 2)
            along = np.cumsum(gaps) - gaps[0] / 2
            along = along[(along > 8) & (along < length - 8)]
            setback = rng.uniform(*profile.setback_m, len(along)) + 3.0
            marks, line = streets.marks_m[street], streets.lines[street]
            at = np.column_stack([np.interp(along, marks, line[:, k]) for k in (0, 1)])
            ahead = np.column_stack([np.interp(along + 2, marks, line[:, k]) for k in (0, 1)])
            way = (ahead - at) / np.maximum(1e-9, np.hypot(*(ahead - at).T))[:, None]
            doors.append(at + side * setback[:, None] * np.column_stack([-way[:, 1], way[:, 0]]))
            spots += [Spot(street, float(a)) for a in along]
    return spots, np.concatenate(doors)


def _spread(doors: Metres, apart_m: float) -> npt.NDArray[np.bool_]:
    """Which doors to keep so that no two are nearer than that; the first ones stay."""
    keep = np.ones(len(doors), dtype=np.bool_)
    for a, b in sorted(KDTree(doors).query_pairs(apart_m)):
        if keep[a]:
            keep[b] = False
    return keep


def _zones(doors: Metres, count: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    if count == 1 or len(doors) <= count:
        return np.zeros(len(doors), dtype=np.int64)
    return np.asarray(kmeans2(doors, count, minit="++", rng=rng)[1], dtype=np.int64)


def _household(
    profile: Profile,
    plane: LocalPlane,
    region: str,
    district: int,
    house: int,
    zone: int,
    spot: Spot,
    door: Metres,
    first: int,
    rng: np.random.Generator,
) -> list[Customer]:
    """The customers of one house: they share the door, and mostly the geocode."""
    mean = profile.households[0]
    count = 1 + int(rng.poisson(mean - 1))
    elevator = bool(rng.random() < (0.5 if count > 2 else 0.1))
    parking = int(np.clip(round(rng.normal(1 + profile.parking_sd_m[0] / 7, 0.9)), 1, 5))
    shared_error = _geocode_error(profile, rng)
    customers = []
    for n in range(first, first + count):
        error = shared_error if rng.random() < 0.75 else _geocode_error(profile, rng)
        top = 5 if count > 2 else 2
        place = Place(int(rng.integers(0, top + 1)), elevator, parking, float(rng.lognormal(0, 0.12)))
        customer_id = f"customer-{district + 1}-{n + 1:05d}"
        facts = {
            "floor": place.floor,
            "elevator": place.elevator,
            "parking_difficulty": place.parking_difficulty,
            "area_type": _area(profile, count, rng),
            "region": region,
        }
        fence = _fence(profile, plane, customer_id, door + error, facts, rng)
        customers.append(
            Customer(customer_id, (float(door[0]), float(door[1])), spot, house, zone, place, fence)
        )
    return customers


def _geocode_error(profile: Profile, rng: np.random.Generator) -> Metres:
    error = rng.normal(0, profile.geocode_sd_m[0], 2)
    if rng.random() < profile.bad_geocode_share[0]:
        angle, far = rng.uniform(0, 2 * np.pi), rng.uniform(40, 130)
        error = error + far * np.array([np.cos(angle), np.sin(angle)])
    return np.asarray(error)


def _area(profile: Profile, households: int, rng: np.random.Generator) -> str:
    if profile.layout == "villages":
        return "rural" if rng.random() < 0.9 else "suburban"
    urban = 0.95 if profile.layout == "grid" else min(0.9, 0.1 + 0.2 * (households - 1))
    return "urban" if rng.random() < urban else "suburban"


def _fence(
    profile: Profile,
    plane: LocalPlane,
    customer_id: str,
    centre: Metres,
    facts: dict[str, object],
    rng: np.random.Generator,
) -> Fence:
    radius = float(5 * round(rng.uniform(*profile.radius_m) / 5))
    lat, lon = (round(v, 7) for v in plane.to_degrees(float(centre[0]), float(centre[1])))
    if rng.random() >= profile.polygon_share[0]:
        return Fence(f"fence-{customer_id}", customer_id, lat, lon, radius_m=radius, facts=facts)
    half = radius * rng.uniform(0.7, 1.1, 2)
    angle = rng.uniform(0, np.pi)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * half @ turn.T + centre
    ring = [tuple(round(v, 7) for v in plane.to_degrees(float(x), float(y))[::-1]) for x, y in corners]
    return Fence(f"fence-{customer_id}", customer_id, lat, lon, shape=shapely.Polygon(ring), facts=facts)
