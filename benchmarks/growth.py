"""How detection's cost grows: one measurement in a process of its own, so that its memory can be told.

python -m benchmarks.growth PINGS.jsonl FENCES.geojson --fences N --batch N --most N --late SHARE
"""

import argparse
import json
import resource
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import count, islice
from pathlib import Path
from typing import Final

import numpy as np

from geofence.engine import Engine
from geofence.fences import Fence, FenceSet
from streams.files import read_fences
from streams.memory import collect_rarely
from streams.records.pings import decode_lines, load_scanner
from streams.warm_up import warm_up

LATE_S: Final = 120.0
"""By about so much do those pings come late that do."""

TILE_DEG: Final = 0.6
"""Further towns with as many fences lie so far apart."""


def main() -> None:
    """Print microseconds of processor time a ping, seconds to load the fences, and peak memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pings")
    parser.add_argument("town")
    parser.add_argument("--fences", type=int, required=True)
    parser.add_argument("--batch", type=int, default=50_000)
    parser.add_argument("--most", type=int, default=200_000)
    parser.add_argument("--late", type=float, default=0.0)
    given = parser.parse_args()
    with open(given.pings, "rb") as stream:  # noqa: PTH123 (a plain loop over lines)
        lines = list(islice(stream, given.most))
    load_scanner()
    if given.late:
        lines = as_they_come(lines, given.late)
    batches = [
        decode_lines(b"".join(lines[first : first + given.batch])).batch
        for first in range(0, len(lines), given.batch)
    ]
    began_s = time.process_time()
    engine = Engine(fences=FenceSet(islice(many(given.town), given.fences)))
    loaded_s = time.process_time() - began_s
    collect_rarely()
    warm_up()
    began_s = time.process_time()
    for batch in batches:
        engine.feed(batch)
    took_s, counted = time.process_time() - began_s, len(lines)
    print(json.dumps({"us": 1e6 * took_s / counted, "load_s": loaded_s, "memory_mb": _peak_memory_mb()}))


def as_they_come(lines: list[bytes], late: float) -> list[bytes]:
    """The lines, in the order of time, with such a share of them held back for a while."""
    rng = np.random.default_rng(0)
    held_ms = (rng.random(len(lines)) < late) * rng.exponential(1000 * LATE_S, len(lines))
    order = np.argsort(decode_lines(b"".join(lines)).batch.ts_ms + held_ms, kind="stable")
    return [lines[n] for n in order.tolist()]


def _peak_memory_mb() -> float:
    """Peak memory of this process; where it can be told apart, without that of who started it."""
    status = Path("/proc/self/status")
    if status.exists():
        peak_kb = next(line.split()[1] for line in status.read_text().splitlines() if "VmHWM" in line)
        return int(peak_kb) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def many(path: str) -> Iterator[Fence]:
    """The town's fences, then those of towns like it beside it, without end."""
    town = [f for f in read_fences(path) if f.radius_m is not None]
    yield from town
    for number in count(1):
        lat, lon = TILE_DEG * (number // 100 - 5), TILE_DEG * (number % 100 + 1)
        for f in town:
            moved = f.lat + lat, (f.lon + lon + 180) % 360 - 180
            yield replace(f, fence_id=f"{f.fence_id}-{number}", lat=moved[0], lon=moved[1])


if __name__ == "__main__":
    main()
