"""The rules that others use, as yardsticks: enter/exit of the nearest fence, and MovingPandas' stops."""

import warnings
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt
import shapely

from geofence.events import PingBatch
from geofence.fences import Fence, box_around
from simulation.scoring import Claim

Times = npt.NDArray[np.int64]
Degrees = npt.NDArray[np.float64]


class NearestFence:
    """Finds for many places at once the fence that holds each: of several, that with the nearest centre."""

    def __init__(self, fences: Iterable[Fence]) -> None:
        self.fences = list(fences)
        self._lat = np.array([f.lat for f in self.fences])
        self._lon = np.array([f.lon for f in self.fences])
        self._tree = shapely.STRtree([_outline(f) for f in self.fences])

    def find(self, lat: Degrees, lon: Degrees) -> npt.NDArray[np.int64]:
        """Index into `fences` for each place, -1 where it lies in none."""
        at, fence = self._tree.query(shapely.points(lon, lat), predicate="intersects")
        east = (lon[at] - self._lon[fence]) * np.cos(np.radians(lat[at]))
        order = np.lexsort((fence, np.hypot(east, lat[at] - self._lat[fence]), at))
        first = np.unique(at[order], return_index=True)[1]
        nearest = np.full(len(lat), -1, dtype=np.int64)
        nearest[at[order][first]] = fence[order][first]
        return nearest


def enter_exit(pings: PingBatch, fences: Iterable[Fence], dwell_s: float = 60.0) -> list[Claim]:
    """Plain geofencing: a run of pings in one fence (the nearest that holds them), `dwell_s` or longer."""
    index = NearestFence(fences)
    claims: list[Claim] = []
    for driver_id, ts_ms, lat, lon in _tracks(pings):
        nearest = index.find(lat, lon)
        starts = np.flatnonzero(np.diff(nearest, prepend=-2))
        ends = np.append(starts[1:], len(nearest)) - 1
        for first, last in zip(starts, ends, strict=True):
            if nearest[first] >= 0 and ts_ms[last] - ts_ms[first] >= dwell_s * 1000:
                fence = index.fences[nearest[first]]
                claims.append(_claim("enter-exit", driver_id, fence, ts_ms[first] / 1000, ts_ms[last] / 1000))
    return claims


def movingpandas_stops(
    pings: PingBatch, fences: Iterable[Fence], diameter_m: float = 60.0, duration_s: float = 40.0
) -> list[Claim]:
    """MovingPandas' stops of each whole track, each given to the nearest fence that holds it."""
    index = NearestFence(fences)
    claims: list[Claim] = []
    for driver_id, ts_ms, lat, lon in _tracks(pings):
        stops = _movingpandas(driver_id, ts_ms, lat, lon, diameter_m, duration_s)
        if not stops:
            continue
        where = index.find(np.array([s[2] for s in stops]), np.array([s[3] for s in stops]))
        claims += [
            _claim("movingpandas", driver_id, index.fences[at], begin_s, end_s)
            for at, (begin_s, end_s, _, _) in zip(where, stops, strict=True)
            if at >= 0
        ]
    return claims


def _movingpandas(
    driver_id: str, ts_ms: Times, lat: Degrees, lon: Degrees, diameter_m: float, duration_s: float
) -> list[tuple[float, float, float, float]]:
    """Begin, end (epoch seconds), latitude and longitude of each stop."""
    fresh = np.diff(ts_ms, prepend=ts_ms[0] - 1) > 0
    if fresh.sum() < 2:
        return []
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # MovingPandas uses what pandas 4 will drop, and misses optional parts
        import geopandas
        import movingpandas

        frame = geopandas.GeoDataFrame(
            {"t": [datetime.fromtimestamp(t / 1000, UTC).replace(tzinfo=None) for t in ts_ms[fresh]]},
            geometry=geopandas.points_from_xy(lon[fresh], lat[fresh]),
            crs=4326,
        )
        trajectory = movingpandas.Trajectory(frame.set_index("t"), driver_id)
        detector = movingpandas.TrajectoryStopDetector(trajectory)
        found = detector.get_stop_points(max_diameter=diameter_m, min_duration=timedelta(seconds=duration_s))
    return [
        (_epoch_s(row.start_time), _epoch_s(row.end_time), row.geometry.y, row.geometry.x)
        for row in found.itertuples()
    ]


def _epoch_s(naive_utc: datetime) -> float:
    return naive_utc.replace(tzinfo=UTC).timestamp()


def _tracks(pings: PingBatch) -> Iterator[tuple[str, Times, Degrees, Degrees]]:
    """Each driver's fixes in order of time; drivers in order of their ids."""
    drivers = np.array(pings.driver_ids)
    order = np.lexsort((pings.ts_ms, drivers))
    drivers = drivers[order]
    cuts = np.flatnonzero(drivers[1:] != drivers[:-1]) + 1
    for part in np.split(order, cuts):
        if len(part):
            yield pings.names[pings.codes[part[0]]], pings.ts_ms[part], pings.lat[part], pings.lon[part]


def _outline(fence: Fence) -> shapely.Geometry:
    """The fence as a polygon in degrees: a circle becomes one of 64 corners."""
    if fence.shape is not None:
        return fence.shape
    assert fence.radius_m is not None
    west, south, east, north = box_around(fence.lat, fence.lon, fence.radius_m)
    angle = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    lon = fence.lon + (east - west) / 2 * np.cos(angle)
    return shapely.Polygon(np.column_stack([lon, fence.lat + (north - south) / 2 * np.sin(angle)]))


def _claim(rule: str, driver_id: str, fence: Fence, begin_s: float, end_s: float) -> Claim:
    return Claim(
        visit_id=f"{rule}-{driver_id}-{begin_s:.3f}-{fence.fence_id}",
        driver_id=driver_id,
        customer_id=fence.customer_id,
        stop_id=None,
        arrived_s=begin_s,
        departed_s=end_s,
        service_time_s=end_s - begin_s,
    )
