"""The pings that speed is measured on: a simulated town whose day many more drivers repeat."""

import gzip
import json
import subprocess
import sys
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

from geofence.times import format_time, parse_time

APART_S: Final = 37
SPREAD_S: Final = 1_800
"""Copies of a driver set out at different times, so that their visits do not end at once."""

DAY_MS: Final = 86_400_000

SET_OUT_MS: Final = 1_767_225_600_000
"""When the drivers of a fleet set out."""

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


def repeated(town: Town, path: Path, drivers: int, count: int, days: int = 1) -> Town:
    """About that many pings a day of that many drivers: copies of the town's, each some seconds later.

    All days are alike.
    """
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
                later = _at(line, ts, ts_ms)
                made.append((ts_ms, later.replace(NAME, b'"driver_id": "d%05d-' % copy, 1)))
    made.sort()
    with path.open("wb") as out:
        for day in range(days):
            out.writelines(_at(line, format_time(ts_ms), ts_ms + day * DAY_MS) for ts_ms, line in made)
    return Town(str(path), town.fences, town.routes, copies * min(drivers, town.drivers), days * len(made))


def spacing_s(town: Town) -> float:
    """Seconds between a driver's pings, in the mean."""
    return sum(day[-1][0] - day[0][0] for day in _days(town)) / 1000 / town.count


def fleet(town: Town, path: Path, drivers: int, seconds: float) -> Town:
    """So many drivers under way all that time: each lives through another stretch of a town driver's day."""
    chosen, random = _days(town), Random(0)
    made: list[tuple[int, bytes]] = []
    for number in range(drivers):
        day = chosen[number % len(chosen)]
        begin_ms = random.randint(day[0][0], max(day[0][0], day[-1][0] - round(1000 * seconds)))
        made += _stretch(day, begin_ms, seconds, number)
    made.sort()
    path.write_bytes(b"".join(line for _, line in made))
    return Town(str(path), town.fences, town.routes, drivers, len(made))


def _days(town: Town) -> list[list[tuple[int, bytes]]]:
    """The lines of each driver with their times."""
    days: dict[bytes, list[tuple[int, bytes]]] = {}
    with Path(town.pings).open("rb") as source:
        for line in source:
            days.setdefault(line[: line.index(b",")], []).append((parse_time(_ts(line)), line))
    return [days[name] for name in sorted(days)]


def _stretch(
    day: list[tuple[int, bytes]], begin_ms: int, seconds: float, number: int
) -> Iterator[tuple[int, bytes]]:
    """A driver's pings from a time on, as those of another driver who sets out when all do."""
    for ts_ms, line in day[bisect_left(day, (begin_ms,)) :]:
        if ts_ms >= begin_ms + 1000 * seconds:
            return
        later_ms = SET_OUT_MS + ts_ms - begin_ms
        own = _at(line, _ts(line), later_ms)
        yield later_ms, own.replace(NAME, b'"driver_id": "f%05d-' % number, 1)


def _at(line: bytes, ts: str, ts_ms: int) -> bytes:
    """The same ping at another time than `ts`, as it is written there."""
    return line.replace(ts.encode(), format_time(ts_ms).encode(), 1)


def _ts(line: bytes) -> str:
    ts: str = json.loads(line)["ts"]
    return ts
