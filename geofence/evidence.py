"""How well a standstill fits a customer: likelihoods of place and of dwell."""

from collections.abc import Sequence
from functools import lru_cache
from math import erfc, exp, log, pi, sqrt
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

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


class Nearby(NamedTuple):
    """The fences within reach of a standstill, the likeliest parked at first; one a customer.

    `at` (n, 4), in metres: east and north in the plane, how far the shape spreads, how far off the fence.
    """

    fences: Sequence[Fence]
    at: Floats

    @classmethod
    def of(cls, candidates: Sequence[Candidate]) -> "Nearby":
        """These, in their order."""
        rows = [(*c.middle, c.spread_m, c.outside_m) for c in candidates]
        return cls([c.fence for c in candidates], np.array(rows).reshape(len(rows), 4))

    def some(self, numbers: Sequence[int]) -> list[Candidate]:
        """Those with these numbers."""
        rows = self.at.tolist()
        return [Candidate(self.fences[n], (rows[n][0], rows[n][1]), rows[n][2], rows[n][3]) for n in numbers]


NOBODY: Final = Nearby((), np.empty((0, 4)))


def nearby(
    standstill: Standstill,
    places: Sequence[tuple[float, float]],
    reach_m: float,
    plane: LocalPlane,
    fences: FenceSet,
) -> Nearby:
    """The fences within reach of the standstill's places."""
    cell = fences.about(places, reach_m, standstill.arrived_ms)
    if cell is None:
        return NOBODY
    lat, lon, _, per_lon = plane.numbers()
    within_m, noise_m = wide_m(reach_m), standstill.noise_m
    numbers, at = _fits(cell.shapes, np.array(places), within_m, lat, lon, per_lon, *standstill.park, noise_m)
    kept: list[int] = []
    found: dict[str, Fence] = {}
    for k, (n, off) in enumerate(zip(numbers.tolist(), at[:, 3].tolist(), strict=True)):
        fence = cell.fences[n]
        if fence.shape is not None:
            off = at[k, 3] = fences.off_m(fence, off, places)
        if off > reach_m or fence.customer_id in found:
            continue
        if cell.lasting or fences.holds_at(fence, standstill.arrived_ms):
            found[fence.customer_id] = fence
            kept.append(k)
    return Nearby(list(found.values()), at if len(kept) == len(at) else at[kept])


@kernel()
def _fits(
    shapes: Floats, places: Floats, within_m: float, lat: float, lon: float, per_lon: float,
    x: float, y: float, noise_m: float,
) -> Any:  # fmt: skip
    """Numbers of the shapes near some places, the likeliest to be parked at first, and `Nearby.at` of them.

    How far off is that of a disc about the shape.
    """
    numbers, off_m = within_reach(shapes, places, within_m)
    at, score = np.empty((len(numbers), 4)), np.empty(len(numbers))
    for k in range(len(numbers)):
        shape = shapes[numbers[k]]
        at[k, 0] = ((shape[6] - lon + 180.0) % 360.0 - 180.0) * per_lon
        at[k, 1] = (shape[5] - lat) * METRES_PER_DEGREE
        at[k, 2], at[k, 3] = shape[7], off_m[k]
        score[k] = parked(x, y, noise_m, at[k, 0], at[k, 1], at[k, 2])
    best = np.argsort(-score, kind="mergesort")
    return numbers[best], at[best]


@kernel()
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
