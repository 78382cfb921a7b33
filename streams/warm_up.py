"""Has the detection's compiled parts ready before the first real ping: they compile when first used."""

from typing import Final

import numpy as np
from shapely.geometry import box

from geofence.assignment import WINDOW
from geofence.engine import Engine
from geofence.events import Ping, PingBatch
from geofence.fences import Fence, FenceSet
from geofence.groups import NEAREST
from geofence.routes import Route, Stop
from geofence.walk import by_need
from streams.packed import NO_COLUMNS
from streams.records.pings import load_scanner
from streams.varints import read_records

STOPS: Final = WINDOW + 4
"""So many that the first decisions become final."""

DRIVE_S: Final = 60
STAND_S: Final = 100
APART_DEG: Final = 0.01
BEGIN_MS: Final = 1_600_000_000_000


def warm_up() -> None:
    """Read and decode pings; detect the visits of two made-up days, one with a route and reported speed."""
    load_scanner()
    read_records(np.frombuffer(b"\0", np.uint8), NO_COLUMNS.copy())
    engine = Engine(fences=FenceSet(_fences()))
    stops = tuple(Stop(f"s{n}", f"c{n}", n) for n in range(STOPS))
    engine.put_route(Route("r", "planned", BEGIN_MS, stops))
    for driver, speed in (("planned", True), ("free", False)):
        seconds = range(0, STOPS * (DRIVE_S + STAND_S), 5)
        engine.feed(PingBatch.of([_ping(driver, second, speed) for second in seconds]))
    engine.settle()
    engine.take_dirty()
    by_need(np.full(2, 0.5), np.empty((1, 3)))  # of a visit that spans standstills, which these do not hold


def _fences() -> list[Fence]:
    """A customer at each stop, many at the first, one with a shape beside the second."""
    fences = [Fence(f"f{n}", f"c{n}", 0.0, APART_DEG * n, radius_m=50.0) for n in range(STOPS)]
    fences += [Fence(f"g{n}", f"d{n}", 0.0001 * n, 0.0, radius_m=50.0) for n in range(NEAREST)]
    beside = box(APART_DEG - 0.0004, -0.0004, APART_DEG + 0.0004, 0.0004)
    return [*fences, Fence("h", "e", 0.0, APART_DEG, shape=beside)]


def _ping(driver_id: str, second: int, speed: bool) -> Ping:
    """A minute's drive to each customer, and some time there."""
    stop, since_s = divmod(second, DRIVE_S + STAND_S)
    moving = since_s < DRIVE_S
    return Ping(
        driver_id,
        BEGIN_MS + 1000 * second,
        0.00001 * (second % 2),
        APART_DEG * (stop - 1 + min(1.0, since_s / DRIVE_S)),
        5.0 if speed else None,
        (18.5 if moving else 0.0) if speed else None,
    )
