"""Workers killed, joining, leaving, and a broker that goes away: nothing lost, added or doubled."""

import json
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from models.dataset import read
from streams.broker import Broker, EmbeddedBroker
from tests.e2e.conftest import Town
from tests.e2e.deployment import Deployment, lines_of
from tests.e2e.flow import Flow, nothing_differs

KILLS: Final = int(os.environ.get("KILLS", "2"))
SEED: Final = int(os.environ.get("SEED", "1"))
AWAY_S: Final = float(os.environ.get("AWAY_S", "5"))
LONG: Final = AWAY_S > 5  # then it goes away twice
FAILED: Final = 1


@pytest.fixture
def deployment(kafka: Broker, tmp_path: Path) -> Iterator[Deployment]:
    with Deployment(kafka.get_bootstrap_server(), tmp_path, partitions=3) as made:
        yield made


@pytest.mark.timeout(300 + 15 * KILLS)
def test_kills_at_random_moments_lose_and_add_nothing(
    deployment: Deployment, town: Town, tmp_path: Path
) -> None:
    chance = random.Random(SEED)
    deployment.publish(*town.files)
    running = [deployment.start_worker(), deployment.start_worker()]
    flow = Flow(deployment, town.pings, lasts_s=8.0 + 7.0 * KILLS)
    for _ in range(KILLS):
        time.sleep(chance.uniform(4.0, 9.0))
        number = chance.randrange(len(running))
        running[number].kill()
        running[number].wait()
        running[number] = deployment.start_worker()
    flow.wait()
    nothing_differs(deployment, town.pings, tmp_path, *town.files)


def test_workers_that_join_leave_and_die_under_load_change_nothing(
    deployment: Deployment, town: Town, tmp_path: Path
) -> None:
    deployment.publish(*town.files)
    deployment.start_worker()
    deployment.wait_until_at_work()
    flow = Flow(deployment, town.pings, lasts_s=40.0)
    leaves = deployment.start_worker()
    deployment.wait_until_at_work()
    dies = deployment.start_worker()
    deployment.wait_until_at_work()
    assert deployment.stop_worker(leaves) == 0
    dies.kill()
    deployment.start_worker()
    deployment.wait_until_at_work()
    assert flow.goes_on
    flow.wait()
    nothing_differs(deployment, town.pings, tmp_path, *town.files)


def test_when_one_of_several_processes_dies_the_rest_stop_and_others_go_on(
    deployment: Deployment, town: Town, tmp_path: Path
) -> None:
    deployment.may_end_with.add(FAILED)
    deployment.publish(*town.files)
    group = deployment.start_worker("--concurrency", "2")
    deployment.wait_for(lambda: deployment.log().count("Holds partition") >= 3, "sharing the partitions")
    flow = Flow(deployment, town.pings, lasts_s=15.0)
    deployment.wait_for(lambda: deployment.used() > 5_000, "reading pings")
    os.kill(_children(group.pid)[0], signal.SIGKILL)
    assert group.wait(30) == FAILED
    assert "ended with status -9; the others were stopped" in deployment.log()
    assert flow.goes_on
    others = deployment.start_worker("--concurrency", "2")
    flow.wait()
    nothing_differs(deployment, town.pings, tmp_path, *town.files)
    assert deployment.log().count("Holds partition") >= 3
    assert deployment.stop_worker(others) == 0


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.timeout(300 + 2 * AWAY_S)
def test_a_broker_that_goes_away_and_returns_loses_nothing_and_needs_no_new_worker(
    own_broker: Callable[..., EmbeddedBroker], town: Town, tmp_path: Path
) -> None:
    broker = own_broker()
    lines = sorted(lines_of(town.pings), key=lambda line: json.loads(line)["ts"])
    ends: list[Callable[[], None] | None] = [broker.kill, *([broker.stop] if LONG else []), None]
    share = -(-len(lines) // len(ends))
    with Deployment(broker.bootstrap_servers, tmp_path, partitions=3) as deployment:
        deployment.publish(*town.files)
        worker = deployment.start_worker(table=True)
        for number, goes in enumerate(ends):
            part = tmp_path / f"part-{number}.jsonl"
            part.write_bytes(b"\n".join(lines[number * share :][:share]) + b"\n")
            deployment.publish("--pings", str(part))
            deployment.wait_for(lambda: deployment.used() > number * share, "reading pings")  # noqa: B023
            if goes is not None:
                goes()
                time.sleep(AWAY_S)
                broker.start()
        nothing_differs(deployment, town.pings, tmp_path, *town.files)
        visits = set(deployment.visits())
        table = str(tmp_path / "table")
        deployment.wait_for(lambda: set(read(table)["visit_id"]) == visits, "filling the table")
        assert worker.poll() is None
