"""How well a standstill fits a customer: likelihoods of place and of dwell."""

from dataclasses import dataclass
from functools import lru_cache
from math import erfc, exp, log, pi, sqrt
from typing import Final

from geofence.fences import Fence, FenceSet
from geofence.geometry import LocalPlane
from geofence.rules import Rules
from geofence.standstills import Standstill

BACKGROUND: Final = log(1 / 250.0**2)  # a standstill that serves nobody may be anywhere
DOOR_SD_M: Final = 13.0  # a walker's place of work about the geocoded door
PARK_SD_M: Final = 22.0  # a parked van about the geocoded door
WRONG_SD_M: Final = 50.0  # the same where the geocode is wrong
WRONG_SHARE: Final = 0.12

SERVICE_MEDIAN_S: Final = 140.0
SERVICE_LOG_SD: Final = 0.85
QUEUE_MEAN_S: Final = 28.0
BREAK_MEDIAN_S: Final = 1500.0
BREAK_LOG_SD: Final = 0.5
BREAK_SHARE: Final = 0.08


@dataclass(frozen=True, slots=True)
class Candidate:
    """A fence that a standstill may have served, with the log likelihood ratio of its place against none."""

    fence: Fence
    place: float
    outside_m: float
    entered_ms: int | None = None
    exited_ms: int | None = None

    @property
    def customer_id(self) -> str:
        """Whose fence it is."""
        return self.fence.customer_id


def candidates(
    standstill: Standstill, plane: LocalPlane, fences: FenceSet, rules: Rules, noise_m: float
) -> list[Candidate]:
    """The fences within reach of the van or of the driver's walk, best place first; one a customer."""
    reach = rules.reach_m + noise_m
    points = {standstill.park, standstill.door}
    found: dict[str, Fence] = {}
    for east, north in points:
        lat, lon = plane.to_degrees(east, north)
        for fence, _ in fences.near(lat, lon, reach, standstill.arrived_ms):
            found[fence.fence_id] = fence
    best: dict[str, Candidate] = {}
    for fence in found.values():
        candidate = Candidate(fence, *_place(standstill, plane, fence, noise_m))
        other = best.get(fence.customer_id)
        if other is None or candidate.place > other.place:
            best[fence.customer_id] = candidate
    return sorted(best.values(), key=lambda c: (-c.place, c.fence.fence_id))


def _place(standstill: Standstill, plane: LocalPlane, fence: Fence, noise_m: float) -> tuple[float, float]:
    park_m, park_out = _distances(standstill.park, plane, fence)
    door_m, door_out = _distances(standstill.door, plane, fence)
    park = _density(park_m, sqrt(PARK_SD_M**2 + noise_m**2))
    if standstill.walked:
        door = _density(door_m, sqrt(DOOR_SD_M**2 + noise_m**2))
        return 0.75 * door + 0.25 * park - BACKGROUND, min(park_out, door_out)
    return park - BACKGROUND, min(park_out, door_out)


def _distances(point: tuple[float, float], plane: LocalPlane, fence: Fence) -> tuple[float, float]:
    """Metres to the place meant (a circle's centre, a shape's edge or inside) and to the boundary (signed)."""
    if fence.radius_m is not None:
        east, north = plane.to_plane(fence.lat, fence.lon)
        centre = sqrt((point[0] - east) ** 2 + (point[1] - north) ** 2)
        return centre, centre - fence.radius_m
    lat, lon = plane.to_degrees(*point)
    outside = fence.distance_m(lat, lon)
    return max(outside, 0.0) + 8.0, outside


def _density(distance_m: float, sd_m: float) -> float:
    near = exp(-0.5 * (distance_m / sd_m) ** 2) / (2 * pi * sd_m**2)
    far = exp(-0.5 * (distance_m / WRONG_SD_M) ** 2) / (2 * pi * WRONG_SD_M**2)
    return log((1 - WRONG_SHARE) * near + WRONG_SHARE * far)


def service_dwell(seconds: float, customers: int = 1, censored: bool = False) -> float:
    """Log likelihood of standing so long to serve so many; `censored`: at least so long."""
    median = SERVICE_MEDIAN_S * customers
    return _log_normal(max(seconds, 1.0), median, SERVICE_LOG_SD / sqrt(customers), censored)


@lru_cache(maxsize=4096)
def idle_dwell(seconds: float, censored: bool = False) -> float:
    """Log likelihood of standing so long for no customer: in a queue mostly, sometimes for a break."""
    seconds = max(seconds, 1.0)
    queue = exp(-seconds / QUEUE_MEAN_S) / (1.0 if censored else QUEUE_MEAN_S)
    rest = exp(_log_normal(seconds, BREAK_MEDIAN_S, BREAK_LOG_SD, censored))
    return log((1 - BREAK_SHARE) * queue + BREAK_SHARE * rest + 1e-7)


def _log_normal(seconds: float, median: float, sd: float, censored: bool) -> float:
    z = log(seconds / median) / sd
    if censored:
        return log(max(0.5 * erfc(z / sqrt(2)), 1e-9))
    return -0.5 * z * z - log(seconds * sd * sqrt(2 * pi))
