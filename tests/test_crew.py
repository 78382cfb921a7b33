"""Replays on several processes: the bytes of one, whatever the number, and no process left behind."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from geofence.events import DeviceFenceEvent, FenceEventType
from geofence.fences import FenceSet
from geofence.rules import Rules
from streams.crew import crew, processes_for
from streams.files import read_fences, read_pings, read_routes
from streams.replay import Inputs
from streams.tally import Wanted
from tests.e2e.deployment import lines_of

GOAL = Path(__file__).parents[1] / "simulation" / "data" / "goal"
FENCES, ROUTES = str(GOAL / "fences.geojson"), str(GOAL / "routes.jsonl")
ALL = Wanted(events=True, rows=True)


@pytest.fixture(scope="module")
def steps():
    """Pings of many drivers in portions, device events in between, the end."""
    (read,) = read_pings(str(GOAL / "pings.jsonl.gz"))
    number = np.arange(6_000)
    portions = [read.batch.select(number[begin : begin + 700]) for begin in range(0, 6_000, 700)]
    found = []
    for portion in portions:
        kinds = (FenceEventType.ENTERED, FenceEventType.EXITED)
        at_ms = int(portion.ts_ms[-1])
        ids = sorted(set(portion.driver_ids), reverse=True)
        fence_id = next(iter(read_fences(FENCES))).fence_id
        found += [
            [DeviceFenceEvent(d, fence_id, k, at_ms + 90_000 * n) for d in ids for n, k in enumerate(kinds)]
        ]
        found.append(portion)
    return [*found, None]


def told(processes, steps):
    """Lines of visits and of events, the visits themselves, and the totals."""
    with crew(processes, Rules(), FenceSet(read_fences(FENCES)), list(read_routes(ROUTES)), ALL) as found:
        parts = list(found.told(steps))
        rows = [row for part in parts for row in part.rows]
        return b"".join(p.visits for p in parts), b"".join(p.events for p in parts), rows, found.totals()


@pytest.mark.skipif(sys.platform != "linux", reason="processes start as copies of one")
def test_any_number_of_processes_tells_the_same_in_the_same_order(steps):
    alone = told(1, steps)
    assert len(alone[2]) > 50
    assert alone[3].used > 5_000
    assert told(2, steps) == alone
    assert told(3, steps) == alone


def test_compressed_files_are_worth_as_many_processes_as_what_they_hold(tmp_path):
    for name in ("plain.jsonl", "packed.jsonl.gz", "table.parquet"):
        (tmp_path / name).write_bytes(bytes(4 << 20))
    few = Inputs((str(tmp_path / "plain.jsonl"),), "f")
    assert processes_for(few.text_size()) == 1
    for name in ("packed.jsonl.gz", "table.parquet"):
        packed = Inputs((str(tmp_path / name),), "f")
        assert packed.text_size() == 6 * few.text_size()
        assert processes_for(packed.text_size()) == processes_for(None)
    assert Inputs(("-", str(tmp_path / "plain.jsonl")), "f").text_size() is None


def test_the_command_gives_the_same_bytes_with_two_processes(tmp_path):
    (tmp_path / "pings.jsonl").write_bytes(
        b"\n".join([*lines_of(GOAL / "pings.jsonl.gz")[:3_000], b"broken"])
    )
    for count in (1, 2):
        _replay(tmp_path, count).communicate(timeout=120)
    for kind in ("out", "events", "rejects"):
        assert (tmp_path / f"{kind}.1").read_bytes() == (tmp_path / f"{kind}.2").read_bytes() != b""


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize(
    ("how", "after_s"), [(signal.SIGKILL, 1.0), (signal.SIGTERM, 1.0), (signal.SIGTERM, 0.0)]
)
def test_processes_end_with_the_one_that_started_them(tmp_path, how, after_s):
    process = _replay(tmp_path, 2, pings="-")
    process.stdin.write(b"\n".join([*lines_of(GOAL / "pings.jsonl.gz"), b""]) * 3)
    _wait_for(lambda: len(_children(process.pid)) > (after_s > 0))
    time.sleep(after_s)  # at work, and waiting for more; or just begun
    children = _children(process.pid)
    process.send_signal(how)
    assert process.wait(60) == (-how if how is signal.SIGKILL else 128 + how)
    _wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children))


def _replay(directory, processes, pings=None):
    words = ["--pings", pings or str(directory / "pings.jsonl"), "--fences", FENCES, "--routes", ROUTES]
    for kind in ("out", "events", "rejects"):
        words += [f"--{kind}", str(directory / f"{kind}.{processes}")]
    command = [sys.executable, "-m", "streams.cli.main", "replay", *words, "--processes", str(processes)]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def _children(pid):
    found = Path(f"/proc/{pid}/task/{pid}/children")
    return found.read_text().split() if found.exists() else []


def _wait_for(condition, seconds=60.0):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)
