"""Full disks and stores out of reach: intake stops and says so; afterwards nothing is lost or doubled."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from deltalake import DeltaTable

from models.dataset import read
from streams.broker import Broker, EmbeddedBroker
from tests.e2e.conftest import Town
from tests.e2e.deployment import Deployment, lines_of
from tests.e2e.flow import nothing_differs
from tests.e2e.small_disk import small_disk


@pytest.fixture
def deployment(kafka: Broker, tmp_path: Path) -> Iterator[Deployment]:
    with Deployment(kafka.get_bootstrap_server(), tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def halves(town: Town, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The pings of the morning and those of the afternoon."""
    lines = sorted(lines_of(town.pings), key=lambda line: json.loads(line)["ts"])
    directory = tmp_path_factory.mktemp("halves")
    paths = directory / "morning.jsonl", directory / "afternoon.jsonl"
    half = len(lines) // 2
    for path, some in zip(paths, (lines[:half], lines[half:]), strict=True):
        path.write_bytes(b"\n".join(some) + b"\n")
    return paths


def health(deployment: Deployment) -> Any:
    """What the last worker tells of its health."""
    address = deployment.log().split("Metrics at ")[1].split("/metrics")[0]
    try:
        with urlopen(f"{address}/healthz") as answer:
            return json.load(answer)
    except HTTPError as error:  # 503: something is wrong
        return json.load(error)


def held(table: Path) -> list[tuple[str, int]]:
    """Each visit that the table holds, and its revision."""
    frame = read(str(table))
    return sorted(zip(frame["visit_id"], frame["revision"].tolist(), strict=True))


def test_a_full_disk_stops_the_table_s_intake_and_with_room_again_each_visit_is_there_once(
    deployment: Deployment, town: Town, halves: tuple[Path, Path], tmp_path: Path
) -> None:
    morning, afternoon = halves
    with small_disk(tmp_path / "disk", megabytes=16) as disk:
        table = disk.path / "table"
        options = ("--web-port", "0", "--table", str(table))
        deployment.publish(*town.files, "--pings", str(morning))
        worker = deployment.start_worker(*options, table=True)
        deployment.wait_for(
            lambda: DeltaTable.is_deltatable(str(table)) and len(held(table)) > 50, "filling the table"
        )
        disk.fill()
        deployment.publish("--pings", str(afternoon))
        deployment.wait_for(lambda: "The training table cannot be used" in deployment.log(), "a complaint")
        assert "No space left on device" in health(deployment)["problems"]["training table"]
        nothing_differs(deployment, town.pings, tmp_path, *town.files)
        worker.kill()
        worker.wait()
        worker = deployment.start_worker(*options, table=True)
        visits = {(v["visit_id"], v["revision"]) for v in deployment.visits().values()}
        deployment.wait_for(lambda: "The training table cannot be used" in deployment.log(), "a complaint")
        disk.free()
        deployment.wait_for(lambda: set(held(table)) == visits, "filling the table")
        assert len(held(table)) == len(visits)
        deployment.wait_for(lambda: health(deployment)["status"] == "ok", "recovering")
        assert deployment.stop_worker(worker) == 0


def test_an_object_store_out_of_reach_is_named_in_one_plain_line(
    deployment: Deployment, town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "nobody",
        "AWS_SECRET_ACCESS_KEY": "nothing",
        "AWS_REGION": "nowhere",
    }.items():
        monkeypatch.setenv(name, value)
    worker = deployment.start_worker("--web-port", "0", "--table", "s3://bucket/table", table=True)
    deployment.wait_for(lambda: "The training table cannot be used" in deployment.log(), "a complaint")
    problem = health(deployment)["problems"]["training table"]
    assert problem.startswith("s3://bucket/table: ")
    assert "Connection refused" in problem
    assert problem.isprintable()
    assert worker.poll() is None
    assert deployment.stop_worker(worker) == 0


def test_a_broker_whose_disk_is_full_ends_publishing_with_an_error_and_loses_nothing(
    own_broker: Callable[..., EmbeddedBroker], town: Town, halves: tuple[Path, Path], tmp_path: Path
) -> None:
    morning, afternoon = halves
    with small_disk(tmp_path / "disk", megabytes=192) as disk:
        broker = own_broker(disk.path / "broker")
        with Deployment(broker.bootstrap_servers, tmp_path, partitions=3) as deployment:
            deployment.publish(*town.files)
            worker = deployment.start_worker("--web-port", "0")
            deployment.publish("--pings", str(morning))
            deployment.wait_for(lambda: deployment.used() > 0, "reading pings")
            disk.fill()
            refused = published(deployment, afternoon)
            assert refused.returncode == 1
            assert refused.stderr.splitlines()[-1].startswith("servicetime: ")
            assert "Traceback" not in refused.stderr
            deployment.wait_for(lambda: "Kafka does not answer" in deployment.log(), "a complaint")
            assert broker.bootstrap_servers in health(deployment)["problems"]["Kafka"]
            broker.kill()
            disk.free()
            broker.start()
            deployment.wait_for(lambda: health(deployment)["status"] == "ok", "recovering")
            deployment.publish("--pings", str(afternoon))
            assert worker.poll() is None
            nothing_differs(deployment, town.pings, tmp_path, *town.files)


def published(deployment: Deployment, pings: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "streams.cli.main", "publish", *deployment.named, "--pings", str(pings)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_a_replay_onto_a_full_disk_says_so_and_leaves_the_former_file_alone(
    town: Town, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk", megabytes=1) as disk:
        out = disk.path / "visits.jsonl"
        out.write_text("the former file\n")
        disk.fill()
        done = subprocess.run(
            [
                *(sys.executable, "-m", "streams.cli.main", "replay", *town.files),
                *("--pings", str(town.pings), "--out", str(out)),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        assert done.stderr.splitlines()[-1] == f"servicetime: {out}: No space left on device"
        assert out.read_text() == "the former file\n"
        assert sorted(path.name for path in disk.path.iterdir()) == ["ballast", "visits.jsonl"]
