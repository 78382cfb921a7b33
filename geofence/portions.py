"""A batch of pings as portions, one of each driver: what detection takes in at once."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from geofence.compiling import kernel
from geofence.decoding import COLUMNS
from geofence.events import PingBatch
from geofence.track import Rows

Places = npt.NDArray[np.int64]


class Portions(NamedTuple):
    """Drivers in order of first appearance, and their pings as rows of a track in the order they came.

    Those of driver n are `rows[bounds[n] : bounds[n + 1]]`; `steady[n]` is whether their times ascend without
    a silence that would end a day.
    """

    drivers: list[str]
    rows: Rows
    bounds: list[int]
    steady: list[bool]


def portions_of(pings: PingBatch, gap_ms: float) -> Portions:
    """The portions of a batch; a silence as long as `gap_ms` would end a day."""
    came = np.empty((len(pings), COLUMNS))
    came[:, 0], came[:, 1], came[:, 2] = pings.ts_ms, pings.lat, pings.lon
    came[:, 3], came[:, 4] = pings.accuracy_m, pings.speed_mps
    codes = pings.codes.astype(np.int64)
    rows, codes, bounds, steady = _grouped(came, codes, len(pings.names), float(gap_ms))
    drivers = list(map(pings.names.__getitem__, codes.tolist()))
    return Portions(drivers, rows, bounds.tolist(), steady.tolist())


@kernel()
def _grouped(came: Rows, codes: Places, names: int, gap_ms: float) -> Any:
    """Rows driver by driver; each one's code, where it begins (and at last where all end), and if steady."""
    turns, firsts, counts = np.full(names, -1), np.empty(names, np.int64), np.zeros(names + 1, np.int64)
    drivers = 0
    for code in codes:
        if turns[code] < 0:
            turns[code], firsts[drivers] = drivers, code
            drivers += 1
        counts[turns[code] + 1] += 1
    bounds = np.cumsum(counts[: drivers + 1])
    rows, steady, ends = np.empty_like(came), np.ones(drivers, np.bool_), bounds[:-1].copy()
    for row, code in enumerate(codes):
        turn = turns[code]
        at = ends[turn]
        rows[at] = came[row]
        if at > bounds[turn] and not 0.0 < came[row, 0] - rows[at - 1, 0] < gap_ms:
            steady[turn] = False
        ends[turn] = at + 1
    return rows, firsts[:drivers], bounds, steady
