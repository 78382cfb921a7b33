"""The worker on a real Kafka: the same records as a replay, dead letters, state across restarts."""

import base64
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from deltalake import DeltaTable
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from streams.broker import Broker
from tests.e2e.deployment import Deployment, as_decided, lines_of, replayed

GOAL = Path(__file__).parents[2] / "simulation" / "data" / "goal"
FILES = ("--fences", str(GOAL / "fences.geojson"), "--routes", str(GOAL / "routes.jsonl"))
PINGS = GOAL / "pings.jsonl.gz"


@pytest.fixture(scope="module")
def some_pings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first 40 of the recorded drivers."""
    path = tmp_path_factory.mktemp("pings") / "pings.jsonl"
    path.write_bytes(b"\n".join(lines_of(PINGS)[:4_000]) + b"\n")
    return path


@pytest.fixture
def deployment(kafka: Broker, tmp_path: Path) -> Iterator[Deployment]:
    with Deployment(kafka.get_bootstrap_server(), tmp_path) as made:
        yield made


def send(deployment: Deployment, topic: str, *messages: tuple[str | None, bytes | None]) -> None:
    producer = KafkaProducer(bootstrap_servers=deployment.bootstrap)
    for key, value in messages:
        producer.send(deployment.topics.name(topic), value, None if key is None else key.encode())
    producer.flush()
    producer.close()


def test_the_worker_finds_what_a_replay_of_the_same_files_finds(
    deployment: Deployment, some_pings: Path, tmp_path: Path
) -> None:
    deployment.publish(*FILES, "--pings", str(some_pings))
    worker = deployment.start_worker("--web-port", "0", table=True)
    deployment.wait_until_quiet(4_000)
    expected = replayed(tmp_path, *FILES, "--pings", str(some_pings))
    assert len(expected) > 100
    assert as_decided(deployment.visits()) == as_decided(expected)
    counts = deployment.counts()
    assert (counts.used, counts.duplicate, counts.too_late, counts.dead) == (4_000, 0, 0, 0)
    _the_table_holds_each_visit_once(deployment, set(expected))
    _metrics_and_health_are_served(deployment)
    _every_stop_is_predicted_by_the_rule(deployment)
    assert deployment.stop_worker(worker) == 0


def _the_table_holds_each_visit_once(deployment: Deployment, expected: set[str]) -> None:
    from models.dataset import read

    table = str(deployment.directory / "table")
    deployment.wait_for(lambda: set(read(table)["visit_id"]) == expected, "filling the table", 20)
    assert not read(table)["visit_id"].duplicated().any()


def _metrics_and_health_are_served(deployment: Deployment) -> None:
    address = deployment.log().split("Metrics at ")[1].split("/metrics")[0]
    with urlopen(f"{address}/healthz") as answer:
        assert json.load(answer)["status"] == "ok"
    with urlopen(f"{address}/metrics") as answer:
        page = answer.read().decode()
    assert 'servicetime_lag_messages{partition="0",topic="gps-pings"} 0.0' in page
    assert 'servicetime_pings_total{outcome="used",partition="1"}' in page


def _every_stop_is_predicted_by_the_rule(deployment: Deployment) -> None:
    planned = {s["stop_id"] for line in lines_of(GOAL / "routes.jsonl") for s in json.loads(line)["stops"]}
    predictions = [value for _, value in deployment.records("stop-predictions")]
    assert sorted(p["stop_id"] for p in predictions) == sorted(planned)
    assert {p["fallback"] for p in predictions} <= {"rule", "historical_mean"}
    assert len(deployment.records("route-predictions")) == len(lines_of(GOAL / "routes.jsonl"))


def test_committed_offsets_cover_what_was_read_whole_and_reach_the_end_in_one_checkpoint(
    deployment: Deployment,
) -> None:
    good = {"driver_id": "d", "lat": 47.0, "lon": 8.0}
    topic = deployment.topics.name("gps-pings")
    consumer = KafkaConsumer(bootstrap_servers=deployment.bootstrap, group_id=deployment.topics.app_id)
    place = TopicPartition(topic, 1)
    worker = deployment.start_worker("--web-port", "0")
    deployment.wait_until_at_work()
    for number in range(3):
        before = consumer.end_offsets([place])[place]
        producer = KafkaProducer(bootstrap_servers=deployment.bootstrap, transactional_id=topic)
        producer.init_transactions()
        for finish in (producer.commit_transaction, producer.abort_transaction):
            producer.begin_transaction()
            for second in range(200):
                ping = {**good, "ts": 1_790_000_000 + 200 * number + second}
                producer.send(topic, json.dumps(ping).encode(), partition=1)
            producer.flush()
            finish()
        producer.close()
        end = before + 402  # with the markers of both transactions, which follow on their ends
        while consumer.end_offsets([place])[place] < end:
            time.sleep(0.01)
        seen = {before}
        while end not in seen:
            seen.add(consumer.committed(place) or 0)
        assert not {offset for offset in seen if before < offset < before + 201}, "a batch committed in part"
    consumer.close()
    assert deployment.counts().used == 600
    address = deployment.log().split("Metrics at ")[1].split("/metrics")[0]
    with urlopen(f"{address}/metrics") as answer:
        assert 'servicetime_lag_messages{partition="1",topic="gps-pings"} 0.0' in answer.read().decode()
    assert deployment.stop_worker(worker) == 0


def test_each_bad_record_ends_in_dead_letters_once_with_its_place_and_reason(deployment: Deployment) -> None:
    good = {"driver_id": "d", "ts": "2026-09-21T14:00:00Z", "lat": 47.0, "lon": 8.0}
    send(
        deployment,
        "gps-pings",
        ("d", json.dumps(good).encode()),
        ("d", json.dumps({**good, "lat": 147.0}).encode()),
        ("d", b"{not json"),
        ("d", json.dumps([{**good, "ts": "2026-09-21T14:00:05Z"}, {**good, "lon": "east"}]).encode()),
        ("d", json.dumps(good).encode()),
    )
    send(deployment, "geofences", ("f", b'{"type": "Feature"}'), ("g", None))
    send(deployment, "routes", ("d", b"[]"))
    send(deployment, "weather", ("r", b'{"region": "r"}'))
    send(
        deployment, "device-fence-events", ("d", b'{"driver_id": "d", "fence_id": "f", "type": "x", "ts": 1}')
    )
    worker = deployment.start_worker()
    deployment.wait_for(lambda: len(deployment.records("dead-letters")) >= 7, "seven dead letters")
    deployment.stop_worker(worker)
    deployment.stop_worker(deployment.start_worker())
    prefix = deployment.topics.prefix
    found = {
        (k, d["topic"].removeprefix(prefix), d["offset"], d.get("field"))
        for k, d in deployment.records("dead-letters")
    }
    assert len(deployment.records("dead-letters")) == 7
    assert found == {
        ("d", "gps-pings", 1, "lat"),
        ("d", "gps-pings", 2, None),
        ("d", "gps-pings", 3, "[1].lon"),
        ("f", "geofences", 0, next(f for k, t, o, f in found if t == "geofences")),
        ("d", "routes", 0, None),
        ("r", "weather", 0, next(f for k, t, o, f in found if t == "weather")),
        ("d", "device-fence-events", 0, "type"),
    }
    broken = next(d for _, d in deployment.records("dead-letters") if d["offset"] == 2)
    assert base64.b64decode(broken["value_base64"]) == b"{not json"
    counts = deployment.counts()
    assert (counts.used, counts.duplicate, counts.dead) == (2, 1, 5)


def test_a_fence_published_late_revises_what_was_decided_without_it(
    deployment: Deployment, some_pings: Path, tmp_path: Path
) -> None:
    everything = ("--fences", str(GOAL / "fences.geojson"), "--pings", str(some_pings))
    expected = replayed(tmp_path, *everything)
    fences = json.loads((GOAL / "fences.geojson").read_text())["features"]
    served = {visit["fence_id"] for visit in expected.values()}
    concerned = next(f for f in fences if f["properties"]["fence_id"] in served)
    early = tmp_path / "early.geojson"
    early.write_text(
        json.dumps({"type": "FeatureCollection", "features": [f for f in fences if f is not concerned]})
    )
    deployment.publish("--fences", str(early), "--pings", str(some_pings))
    worker = deployment.start_worker()
    deployment.wait_until_quiet(4_000)
    before = deployment.visits()
    send(deployment, "geofences", (concerned["properties"]["fence_id"], json.dumps(concerned).encode()))
    deployment.wait_for(lambda: as_decided(deployment.visits()) != as_decided(before), "a revision")
    deployment.wait_until_quiet(4_000)
    deployment.stop_worker(worker)
    assert as_decided(deployment.visits()) == as_decided(expected)


def test_topics_of_different_partition_counts_are_refused_in_one_line(kafka: Broker, tmp_path: Path) -> None:
    with Deployment(kafka.get_bootstrap_server(), tmp_path) as deployment:
        from kafka.admin import KafkaAdminClient

        admin = KafkaAdminClient(bootstrap_servers=deployment.bootstrap)
        admin.create_partitions({deployment.topics.name("routes"): 3})
        admin.close()
        ended = subprocess.run(
            [sys.executable, "-m", "streams.cli.main", "worker", *deployment.named, "--no-table"],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
    assert "routes has 3 partitions" in ended.stderr


def test_visits_wait_in_kafka_while_the_table_cannot_be_reached(
    deployment: Deployment, some_pings: Path, tmp_path: Path
) -> None:
    from models.dataset import read

    in_the_way = tmp_path / "store"
    in_the_way.write_text("a file where a directory has to be")
    table = in_the_way / "table"
    deployment.publish(*FILES, "--pings", str(some_pings))
    worker = deployment.start_worker("--web-port", "0", "--table", str(table), table=True)
    deployment.wait_for(lambda: "The training table cannot be used" in deployment.log(), "a complaint")
    address = deployment.log().split("Metrics at ")[1].split("/metrics")[0]
    with pytest.raises(HTTPError, match="503"):
        urlopen(f"{address}/healthz")
    in_the_way.unlink()
    deployment.wait_until_quiet(4_000)
    expected = set(deployment.visits())
    deployment.wait_for(
        lambda: DeltaTable.is_deltatable(str(table)) and set(read(str(table))["visit_id"]) == expected,
        "filling the table",
    )
    assert deployment.stop_worker(worker) == 0
