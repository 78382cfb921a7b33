"""Chooses what is worth a picture: one driver's day, in metres about its middle."""

from collections import Counter
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from geofence.fences import Fence
from geofence.geometry import METRES_PER_DEGREE
from simulation.scoring import Claim, Served
from streams.demo.judging import Judged

Floats = npt.NDArray[np.float64]

DAY_S: Final = 86_400
MARGIN_M: Final = 60.0


@dataclass(frozen=True, slots=True)
class Scene:
    """One driver's day: track (x east, y north, in metres; epoch seconds), fences near it, visits, truth."""

    driver_id: str
    lat: float
    lon: float
    x: Floats
    y: Floats
    ts_s: Floats
    fences: list[Fence]
    visits: list[Claim]
    truth: list[Served]

    def place(self, lat: float, lon: float) -> tuple[float, float]:
        """A place in metres east and north of the middle."""
        return (lon - self.lon) * metres_per_lon(self.lat), (lat - self.lat) * METRES_PER_DEGREE

    def at(self, claim: Claim) -> tuple[float, float]:
        """Where the vehicle stood: the median of the track during the visit."""
        during = (self.ts_s >= claim.arrived_s) & (self.ts_s <= claim.departed_s)
        if not during.any():
            during = np.abs(self.ts_s - claim.arrived_s) == np.abs(self.ts_s - claim.arrived_s).min()
        return float(np.median(self.x[during])), float(np.median(self.y[during]))


def metres_per_lon(lat: float) -> float:
    """Metres of a degree of longitude there."""
    return float(METRES_PER_DEGREE * np.cos(np.radians(lat)))


def scene(judged: Judged) -> Scene:
    """The driver and day with the most right visits; of equals the first."""
    hits = Counter((c.driver_id, int(c.arrived_s // DAY_S)) for c, _ in judged.ours.right)
    driver_id, day = min(hits, key=lambda key: (-hits[key], key)) if hits else _first(judged)
    pings = judged.recording.pings
    drivers = np.array(pings.driver_ids)
    own = np.flatnonzero((drivers == driver_id) & (pings.ts_ms // 1000 // DAY_S == day))
    own = own[np.argsort(pings.ts_ms[own], kind="stable")]
    own = own[_plausible(pings.lat[own]) & _plausible(pings.lon[own])]
    lat, lon = pings.lat[own], pings.lon[own]
    mid_lat, mid_lon = float(np.median(lat)), float(np.median(lon))
    x, y = (lon - mid_lon) * metres_per_lon(mid_lat), (lat - mid_lat) * METRES_PER_DEGREE
    box = (lat.min() - 0.0006, lat.max() + 0.0006, lon.min() - 0.001, lon.max() + 0.001)
    return Scene(
        driver_id,
        mid_lat,
        mid_lon,
        x,
        y,
        pings.ts_ms[own] / 1000,
        [f for f in judged.recording.fences if box[0] <= f.lat <= box[1] and box[2] <= f.lon <= box[3]],
        [c for c in judged.visits if c.driver_id == driver_id and c.arrived_s // DAY_S == day],
        [t for t in judged.recording.truth if t.driver_id == driver_id and t.arrived_s // DAY_S == day],
    )


def _first(judged: Judged) -> tuple[str, int]:
    """The first driver's first day, where there was no hit."""
    pings = judged.recording.pings
    return pings.driver_ids[0], int(pings.ts_ms[0] // 1000 // DAY_S)


def _plausible(degrees: Floats) -> npt.NDArray[np.bool_]:
    """Without fixes that jumped far away: beyond three times the range that holds 99 in 100."""
    low, high = np.quantile(degrees, [0.005, 0.995])
    slack = max(high - low, 0.001)
    return np.asarray((degrees >= low - slack) & (degrees <= high + slack))
