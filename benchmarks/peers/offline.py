"""What works on files alone: MovingPandas' stop detection, a loop around shapely's tree; seconds of work."""

import time
import warnings

import msgspec
import numpy as np
import pandas as pd
import shapely

from geofence.geometry import METRES_PER_DEGREE
from streams.files import read_fences
from streams.records.pings import PingRecord


def moving_pandas(pings: list[bytes]) -> float:
    """Trajectories by driver, and the places where they stayed within 50 m for two minutes."""
    import logging

    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    from datetime import timedelta

    import movingpandas

    began_s = time.process_time()
    frame = pd.DataFrame([msgspec.json.decode(line) for line in pings])
    frame["ts"] = pd.to_datetime(frame["ts"], format="ISO8601").dt.tz_localize(None)
    found = movingpandas.TrajectoryCollection(frame, "driver_id", t="ts", x="lon", y="lat")
    detector = movingpandas.TrajectoryStopDetector(found)
    detector.get_stop_segments(max_diameter=50, min_duration=timedelta(seconds=120))
    return time.process_time() - began_s


def shapely_loop(pings: list[bytes], fences: str) -> float:
    """Enter and exit by asking the tree of buffered circles for every ping."""
    decode = msgspec.json.Decoder(PingRecord).decode
    began_s = time.process_time()
    shapes = []
    for fence in read_fences(fences):
        radius = (fence.radius_m or 50.0) / METRES_PER_DEGREE
        circle = shapely.Point(fence.lon, fence.lat).buffer(radius)
        wide = 1 / np.cos(np.radians(fence.lat))
        shapes.append(shapely.affinity.scale(circle, wide, 1.0))
    tree = shapely.STRtree(shapes)
    inside: dict[str, set[int]] = {}
    changes = 0
    for line in pings:
        ping = decode(line)
        now = set(tree.query(shapely.Point(ping.lon, ping.lat), predicate="within").tolist())
        changes += len(now ^ inside.get(ping.driver_id, set()))
        inside[ping.driver_id] = now
    return time.process_time() - began_s
