"""A worker that starts far behind: it tells its lag, catches up, and needs no more memory for it."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.request import urlopen

import pytest

from streams.broker import Broker
from tests.e2e.conftest import Town, simulated
from tests.e2e.deployment import Deployment
from tests.e2e.flow import nothing_differs

DAYS: Final = int(os.environ.get("BACKLOG_DAYS", "2"))
"""Days of ten drivers, 33,000 pings each. From LONG on memory is looked at, too: buffers have to be full."""

LONG: Final = 20
WITHIN_S: Final = 60.0 * DAYS


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> Town:
    return simulated(tmp_path_factory.mktemp("days"), drivers=10, days=DAYS)


def lag(deployment: Deployment) -> int:
    """The pings not used yet, as the last worker's metrics tell."""
    address = deployment.log().split("Metrics at ")[1].split("/metrics")[0]
    with urlopen(f"{address}/metrics") as answer:
        page = answer.read().decode()
    found = re.findall(r'^servicetime_lag_messages\{partition="\d+",topic="gps-pings"\} (\S+)$', page, re.M)
    return sum(int(float(value)) for value in found)


def most_memory_mb(pid: int) -> float:
    """The most that a process has had resident."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


@pytest.mark.timeout(300 + WITHIN_S)
def test_a_worker_that_starts_far_behind_tells_its_lag_and_catches_up_in_bounded_memory(
    kafka: Broker, days: Town, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    with Deployment(kafka.get_bootstrap_server(), tmp_path) as deployment:
        deployment.publish(*days.files, "--pings", str(days.pings))
        worker = deployment.start_worker("--web-port", "0")
        deployment.wait_until_at_work()
        seen: list[tuple[int, float]] = []

        def caught_up() -> bool:
            seen.append((lag(deployment), most_memory_mb(worker.pid)))
            return seen[-1][0] == 0

        deployment.wait_for(caught_up, "catching up", WITHIN_S)
        nothing_differs(deployment, days.pings, tmp_path, *days.files)
        record_property("lag and MB", seen)
        lags = [messages for messages, _ in seen]
        sent = deployment.sent()
        assert sent > 25_000 * DAYS
        assert 0 < max(lags) <= sent
        assert lags == sorted(lags, reverse=True)
        if DAYS >= LONG:
            half_mb = next(mb for messages, mb in seen if messages < sent / 2)
            assert most_memory_mb(worker.pid) < 1.1 * half_mb
