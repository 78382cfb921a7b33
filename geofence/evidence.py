"""How well a standstill fits a customer: likelihoods of place and of dwell."""

from dataclasses import dataclass
from functools import lru_cache
from math import erfc, exp, hypot, log, pi, sqrt
from typing import Final

from geofence.fences import Fence, FenceSet
from geofence.geometry import LocalPlane, distance_m
from geofence.rules import Rules
from geofence.standstills import Standstill

PARK_SD_M: Final = 18.0  # a parked van about the geocoded door
WRONG_SD_M: Final = 50.0  # the same where the geocode is wrong
WRONG_SHARE: Final = 0.12

SERVICE_MEDIAN_S: Final = 140.0
SERVICE_LOG_SD: Final = 0.68
QUEUES: Final = ((0.75, 25.0), (0.25, 60.0))  # lights and jams: share, mean seconds
BREAK_MEDIAN_S: Final = 1500.0
BREAK_LOG_SD: Final = 0.5
BREAK_SHARE: Final = 0.03


@dataclass(frozen=True, slots=True)
class Candidate:
    """A fence that a standstill may have served; its middle in the plane, and how far its shape spreads."""

    fence: Fence
    middle: tuple[float, float]
    spread_m: float
    outside_m: float
    entered_ms: int | None = None
    exited_ms: int | None = None

    @property
    def customer_id(self) -> str:
        """Whose fence it is."""
        return self.fence.customer_id

    @property
    def door(self) -> tuple[float, float, float]:
        """Where the customer's door should be, and how far about it."""
        return (*self.middle, self.spread_m)

    def parked(self, park: tuple[float, float], noise_m: float) -> float:
        """Log density (per square metre) of a van's place for this customer."""
        away = hypot(park[0] - self.middle[0], park[1] - self.middle[1])
        return _density(away, sqrt(PARK_SD_M**2 + noise_m**2 + self.spread_m**2))


def candidates(standstill: Standstill, plane: LocalPlane, fences: FenceSet, rules: Rules) -> list[Candidate]:
    """The fences within reach of the van or of the driver's walk, nearest van first; one a customer."""
    reach = rules.reach_m + standstill.noise_m
    found: dict[str, tuple[Fence, float]] = {}
    for east, north in sorted({standstill.park, standstill.door}):
        lat, lon = plane.to_degrees(east, north)
        for fence, outside in fences.near(lat, lon, reach, standstill.arrived_ms):
            known = found.get(fence.fence_id)
            found[fence.fence_id] = fence, outside if known is None else min(outside, known[1])
    best: dict[str, tuple[float, Candidate]] = {}
    for fence, outside in found.values():
        candidate = Candidate(fence, plane.to_plane(fence.lat, fence.lon), spread_m(fence), outside)
        place = candidate.parked(standstill.park, standstill.noise_m)
        other = best.get(fence.customer_id)
        if other is None or place > other[0]:
            best[fence.customer_id] = place, candidate
    ranked = sorted(best.values(), key=lambda b: (-b[0], b[1].fence.fence_id))
    return [candidate for _, candidate in ranked]


def spread_m(fence: Fence) -> float:
    """How far about its middle a shape's customer may be; a circle's is at its centre."""
    if fence.radius_m is not None:
        return 0.0
    west, south, east, north = fence.box()
    return 0.2 * distance_m(south, west, north, east)


def _density(distance_m: float, sd_m: float) -> float:
    near = exp(-0.5 * (distance_m / sd_m) ** 2) / (2 * pi * sd_m**2)
    far = exp(-0.5 * (distance_m / WRONG_SD_M) ** 2) / (2 * pi * WRONG_SD_M**2)
    return log((1 - WRONG_SHARE) * near + WRONG_SHARE * far + 1e-12)


def service_dwell(seconds: float, expected_s: float, customers: int = 1, censored: bool = False) -> float:
    """Log likelihood of standing so long where so long is usual; `censored`: at least so long."""
    return _log_normal(max(seconds, 1.0), expected_s, SERVICE_LOG_SD / sqrt(customers), censored)


@lru_cache(maxsize=4096)
def idle_dwell(seconds: float, censored: bool = False) -> float:
    """Log likelihood of standing so long for no customer: in a queue mostly, sometimes for a break."""
    seconds = max(seconds, 1.0)
    queue = 0.0
    for share, mean in QUEUES:
        queue += share * exp(-seconds / mean) / (1.0 if censored else mean)
    rest = exp(_log_normal(seconds, BREAK_MEDIAN_S, BREAK_LOG_SD, censored))
    return log((1 - BREAK_SHARE) * queue + BREAK_SHARE * rest + 1e-7)


def _log_normal(seconds: float, median: float, sd: float, censored: bool) -> float:
    z = log(seconds / median) / sd
    if censored:
        return log(max(0.5 * erfc(z / sqrt(2)), 1e-9))
    return -0.5 * z * z - log(seconds * sd * sqrt(2 * pi))
