"""How well a standstill fits a customer: likelihoods of place and of dwell."""

from collections.abc import Sequence
from functools import lru_cache
from math import erfc, exp, log, pi, sqrt
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from geofence import cells
from geofence.cells import within_reach
from geofence.compiling import kernel
from geofence.fences import Fence, FenceSet, wide_m
from geofence.geometry import METRES_PER_DEGREE, LocalPlane
from geofence.standstills import Standstill

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

PARK_SD_M: Final = 18.0  # a parked van about the geocoded door
WRONG_SD_M: Final = 50.0  # the same where the geocode is wrong
WRONG_SHARE: Final = 0.12

SERVICE_MEDIAN_S: Final = 140.0
SERVICE_LOG_SD: Final = 0.68
QUEUES: Final = ((0.75, 25.0), (0.25, 60.0))  # lights and jams: share, mean seconds
BREAK_MEDIAN_S: Final = 1500.0
BREAK_LOG_SD: Final = 0.5
BREAK_SHARE: Final = 0.03


class Candidate(NamedTuple):
    """A fence that a standstill may have served; its middle in the plane, and how far its shape spreads."""

    fence: Fence
    middle: tuple[float, float]
    spread_m: float
    outside_m: float

    @property
    def customer_id(self) -> str:
        """Whose fence it is."""
        return self.fence.customer_id


def places_of(standstill: Standstill, plane: LocalPlane) -> list[tuple[float, float]]:
    """Latitude and longitude of the van and, where it is elsewhere, of the driver's walk."""
    park, door = standstill.park, standstill.door
    places = (park,) if park == door else (park, door) if park < door else (door, park)
    return [plane.to_degrees(*place) for place in places]


def candidates(
    standstill: Standstill,
    places: Sequence[tuple[float, float]],
    reach_m: float,
    plane: LocalPlane,
    fences: FenceSet,
) -> list[Candidate]:
    """The fences within reach of the standstill's places, nearest van first; one a customer."""
    cell = fences.about(places, reach_m, standstill.arrived_ms)
    if cell is None:
        return []
    lat, lon, _, per_lon = plane.numbers()
    within_m, noise_m = wide_m(reach_m), standstill.noise_m
    fits = _fits(cell.shapes, np.array(places), within_m, lat, lon, per_lon, *standstill.park, noise_m)
    found: dict[str, Candidate] = {}
    for n, x, y, spread, off in fits.tolist():
        fence = cell.fences[int(n)]
        off = fences.off_m(fence, off, places)
        if off > reach_m or fence.customer_id in found:
            continue
        if cell.lasting or fences.holds_at(fence, standstill.arrived_ms):
            found[fence.customer_id] = Candidate(fence, (x, y), spread, off)
    return list(found.values())


@kernel(cells)
def _fits(
    shapes: Floats, places: Floats, within_m: float, lat: float, lon: float, per_lon: float,
    x: float, y: float, noise_m: float,
) -> Floats:  # fmt: skip
    """Rows of number, place in the plane, spread, and metres off its disc of the shapes near some places.

    The likeliest to be parked at comes first.
    """
    numbers, off_m = within_reach(shapes, places, within_m)
    found, score = np.empty((len(numbers), 5)), np.empty(len(numbers))
    for k in range(len(numbers)):
        shape = shapes[numbers[k]]
        found[k, 0], found[k, 4] = numbers[k], off_m[k]
        found[k, 1] = ((shape[6] - lon + 180.0) % 360.0 - 180.0) * per_lon
        found[k, 2] = (shape[5] - lat) * METRES_PER_DEGREE
        found[k, 3] = shape[7]
        score[k] = parked(x, y, noise_m, found[k, 1], found[k, 2], found[k, 3])
    return found[np.argsort(-score, kind="mergesort")]


@njit(cache=True)
def parked(x: float, y: float, noise_m: float, middle_x: float, middle_y: float, spread_m: float) -> float:
    """Log density (per square metre) of a van's place for the customer there."""
    away = sqrt((x - middle_x) ** 2 + (y - middle_y) ** 2)
    sd_m = sqrt(PARK_SD_M**2 + noise_m**2 + spread_m**2)
    near = exp(-0.5 * (away / sd_m) ** 2) / (2 * pi * sd_m**2)
    far = exp(-0.5 * (away / WRONG_SD_M) ** 2) / (2 * pi * WRONG_SD_M**2)
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
