"""Workers killed, joining, leaving, and a broker that goes away: nothing lost, added or doubled."""

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from streams.broker import Broker, EmbeddedBroker
from tests.e2e.deployment import Deployment, as_decided, lines_of, replayed

KILLS: Final = int(os.environ.get("KILLS", "3"))
SEED: Final = int(os.environ.get("SEED", "1"))
GOAL = Path(__file__).parents[2] / "simulation" / "data" / "goal"
FILES = ("--fences", str(GOAL / "fences.geojson"), "--routes", str(GOAL / "routes.jsonl"))
DRIVERS: Final = 60


@pytest.fixture(scope="module")
def pings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recorded drivers on one day, all at once: their pings by time."""
    chosen = [json.loads(line) for line in lines_of(GOAL / "pings.jsonl.gz")[: DRIVERS * 100]]
    path = tmp_path_factory.mktemp("pings") / "pings.jsonl"
    path.write_text("".join(json.dumps(ping) + "\n" for ping in sorted(chosen, key=lambda p: p["ts"])))
    return path


@pytest.fixture
def deployment(kafka: Broker, tmp_path: Path) -> Iterator[Deployment]:
    with Deployment(kafka.get_bootstrap_server(), tmp_path, partitions=3) as made:
        yield made


class Flow:
    """Publishes pings in the background, some thousand a second."""

    def __init__(self, deployment: Deployment, pings: Path, lasts_s: float) -> None:
        lines = lines_of(pings)
        first, last = (_seconds(json.loads(line)["ts"]) for line in (lines[0], lines[-1]))
        self.messages = len(lines)
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "streams.cli.main", "publish", *deployment.named),
                *("--pings", str(pings), "--speed", str(max(1.0, (last - first) / lasts_s))),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    @property
    def goes_on(self) -> bool:
        return self._process.poll() is None

    def wait(self) -> None:
        assert self._process.wait(120) == 0


def _seconds(ts: str) -> float:
    from streams.records import parse_time

    return parse_time(ts) / 1000


def _nothing_differs(deployment: Deployment, pings: Path, tmp_path: Path) -> None:
    deployment.wait_until_quiet(len(lines_of(pings)))
    expected = replayed(tmp_path, *FILES, "--pings", str(pings))
    assert len(expected) > 100
    assert as_decided(deployment.visits()) == as_decided(expected)
    counts = deployment.counts()
    assert (counts.used, counts.duplicate, counts.too_late, counts.dead) == (len(lines_of(pings)), 0, 0, 0)


def test_kills_at_random_moments_lose_and_add_nothing(
    deployment: Deployment, pings: Path, tmp_path: Path
) -> None:
    chance = random.Random(SEED)
    deployment.publish(*FILES)
    running = [deployment.start_worker(), deployment.start_worker()]
    flow = Flow(deployment, pings, lasts_s=8.0 + 7.0 * KILLS)
    for _ in range(KILLS):
        time.sleep(chance.uniform(4.0, 9.0))
        number = chance.randrange(len(running))
        running[number].kill()
        running[number].wait()
        running[number] = deployment.start_worker()
    flow.wait()
    _nothing_differs(deployment, pings, tmp_path)


def test_a_worker_that_joins_and_leaves_under_load_changes_nothing(
    deployment: Deployment, pings: Path, tmp_path: Path
) -> None:
    deployment.publish(*FILES)
    deployment.start_worker()
    deployment.wait_for(lambda: "Holds partition" in deployment.log(), "taking partitions over")
    flow = Flow(deployment, pings, lasts_s=30.0)
    second = deployment.start_worker()
    deployment.wait_for(lambda: "Holds partition" in deployment.log(1), "taking partitions over")
    assert flow.goes_on
    assert deployment.stop_worker(second) == 0
    flow.wait()
    _nothing_differs(deployment, pings, tmp_path)


def test_several_processes_share_the_work_and_end_together(
    deployment: Deployment, pings: Path, tmp_path: Path
) -> None:
    deployment.publish(*FILES, "--pings", str(pings))
    workers = deployment.start_worker("--concurrency", "2")
    _nothing_differs(deployment, pings, tmp_path)
    assert deployment.log().count("Holds partition") >= 3
    assert deployment.stop_worker(workers) == 0


def test_a_broker_that_goes_away_and_returns_loses_nothing_and_needs_no_new_worker(
    own_broker: Callable[..., EmbeddedBroker], pings: Path, tmp_path: Path
) -> None:
    broker = own_broker()
    away_s = float(os.environ.get("AWAY_S", "8"))
    with Deployment(broker.bootstrap_servers, tmp_path, partitions=3) as deployment:
        half = tmp_path / "half.jsonl"
        lines = lines_of(pings)
        half.write_bytes(b"\n".join(lines[: len(lines) // 2]) + b"\n")
        rest = tmp_path / "rest.jsonl"
        rest.write_bytes(b"\n".join(lines[len(lines) // 2 :]) + b"\n")
        deployment.publish(*FILES)
        worker = deployment.start_worker()
        deployment.publish("--pings", str(half))
        deployment.wait_for(lambda: deployment.used() > 0, "reading pings")
        broker.kill()
        time.sleep(away_s)
        broker.start()
        deployment.publish("--pings", str(rest))
        _nothing_differs(deployment, pings, tmp_path)
        assert worker.poll() is None
