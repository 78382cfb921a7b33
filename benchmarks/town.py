"""The pings that speed is measured on: a simulated town whose day many more drivers repeat."""

import gzip
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from geofence.times import format_time, parse_time

APART_S: Final = 37
SPREAD_S: Final = 1_800
"""Copies of a driver set out at different times, so that their visits do not end at once."""

NAME: Final = b'"driver_id": "driver-'


@dataclass(frozen=True, slots=True)
class Town:
    """Files of one town: pings by time, fences, routes."""

    pings: str
    fences: str
    routes: str
    drivers: int
    count: int


def simulated(directory: Path, drivers: int) -> Town:
    """A day of that many drivers."""
    words = ["simulate", "--out", str(directory), "--drivers", str(drivers), "--days", "1"]
    subprocess.run([sys.executable, "-m", "streams.cli.main", *words], check=True, stderr=subprocess.DEVNULL)
    with gzip.open(directory / "pings.jsonl.gz") as stream:
        lines = sorted(stream, key=_ts)
    (directory / "pings.jsonl").write_bytes(b"".join(lines))
    pings, fences, routes = (str(directory / n) for n in ("pings.jsonl", "fences.geojson", "routes.jsonl"))
    return Town(pings, fences, routes, drivers, len(lines))


def repeated(town: Town, path: Path, drivers: int, count: int) -> Town:
    """About that many pings of that many drivers: copies of the town's, each some seconds later."""
    copies, each = max(1, drivers // town.drivers), max(1, count // drivers)
    taken: dict[bytes, int] = {}
    made: list[tuple[int, bytes]] = []
    with Path(town.pings).open("rb") as source:
        for line in source:
            name = line[: line.index(b",")]
            taken[name] = taken.get(name, 0) + 1
            if taken[name] > each or len(taken) > drivers:
                continue
            ts = _ts(line)
            for copy in range(copies):
                ts_ms = parse_time(ts) + 1000 * (copy * APART_S % SPREAD_S)
                later = line.replace(ts.encode(), format_time(ts_ms).encode(), 1)
                made.append((ts_ms, later.replace(NAME, b'"driver_id": "d%05d-' % copy, 1)))
    made.sort()
    path.write_bytes(b"".join(line for _, line in made))
    return Town(str(path), town.fences, town.routes, copies * min(drivers, town.drivers), len(made))


def _ts(line: bytes) -> str:
    ts: str = json.loads(line)["ts"]
    return ts
