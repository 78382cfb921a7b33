"""Every standstill of a driver's pings, on the map, whether a customer was served there or not."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import inf
from typing import Final

import numpy as np

from geofence.events import PingBatch
from geofence.geometry import LocalPlane
from geofence.portions import portions_of
from geofence.rules import Rules
from geofence.standstills import Standstill, to_standstill
from geofence.track import Decoded, Rows, Track

DAY_LASTS_MS: Final = 20 * 3_600_000


@dataclass(frozen=True, slots=True)
class Halt:
    """One time a vehicle stood: where it parked, and where its driver was (None: never seen away from it).

    Places are (latitude, longitude); `noise_m` is the noise of the fixes there, one axis.
    """

    driver_id: str
    arrived_ms: int
    departed_ms: int
    park: tuple[float, float]
    door: tuple[float, float] | None
    noise_m: float

    @property
    def seconds(self) -> float:
        """How long it stood."""
        return (self.departed_ms - self.arrived_ms) / 1000


def all_halts(batches: Iterable[PingBatch], rules: Rules | None = None) -> dict[str, list[Halt]]:
    """The standstills of every driver in these pings, in the order of time."""
    parts: dict[str, list[Rows]] = {}
    for batch in batches:
        drivers, rows, bounds, _ = portions_of(batch, inf)
        for n, driver_id in enumerate(drivers):
            parts.setdefault(driver_id, []).append(rows[bounds[n] : bounds[n + 1]])
    return {d: halts_of(d, np.concatenate(parts[d]), rules) for d in sorted(parts)}


def halts_of(driver_id: str, rows: Rows, rules: Rules | None = None) -> list[Halt]:
    """The standstills of one driver in the order of time.

    `rows` (n, 5) are `ts_ms`, `lat`, `lon`, `accuracy_m`, `speed_mps` in any order; NaN is unknown.
    Stops that only a silence between two fixes suggests have no certain place and are left out.
    """
    rules = Rules() if rules is None else rules
    return [halt for day in _days(rows, rules) for halt in _halts_of_day(driver_id, day, rules)]


def _days(rows: Rows, rules: Rules) -> Iterator[Rows]:
    """The rows of each working day, sorted by time: cut at long silences, and after so many hours."""
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    cuts = np.flatnonzero(np.diff(rows[:, 0]) >= 1000 * rules.shift_gap_s) + 1
    for part in np.split(rows, cuts):
        while len(part):
            end = int(np.searchsorted(part[:, 0], part[0, 0] + DAY_LASTS_MS, side="left"))
            yield part[:end]
            part = part[end:]


def _halts_of_day(driver_id: str, rows: Rows, rules: Rules) -> list[Halt]:
    track, d = Track(), Decoded()
    track.append(rows)
    d.extend(track, len(track), rules)
    if len(d.t) == 0:
        return []
    found = [to_standstill(run, d.origin_ms) for run in d.runs(0, all_of_them=True)[0]]
    return [_halt(driver_id, standstill, d.plane) for standstill in found if not standstill.hidden]


def _halt(driver_id: str, standstill: Standstill, plane: LocalPlane) -> Halt:
    door = plane.to_degrees(*standstill.door) if standstill.walked else None
    return Halt(
        driver_id,
        standstill.arrived_ms,
        standstill.departed_ms,
        plane.to_degrees(*standstill.park),
        door,
        standstill.noise_m,
    )
