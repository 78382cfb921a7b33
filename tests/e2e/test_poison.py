"""Messages made to break a worker: each ends in dead letters, and the pings about them are used."""

import base64
import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaProducer

from streams.broker import Broker
from streams.records.outputs import MOST_OF_VALUE
from tests.e2e.deployment import Deployment

PING = {"driver_id": "d", "ts": "2026-09-21T14:00:00Z", "lat": 47.0, "lon": 8.0}
ROUTE = {"route_id": "r", "driver_id": "d", "starts_at": "2026-09-21T14:00:00Z"}
ENDLESS = 10**400  # JSON knows no largest number
LARGE = 1_048_000  # of a message: just below what topics and producers allow
LONG = "x" * (LARGE // 2)
MANY = 5_000


def producing(deployment: Deployment) -> KafkaProducer:
    return KafkaProducer(bootstrap_servers=deployment.bootstrap, max_request_size=4 * LARGE)


def noise(size: int) -> bytes:
    return b"\xff" + os.urandom(size - 1)


def poison() -> list[tuple[str, bytes]]:
    """Topic and message."""
    stop = {"stop_id": "s", "customer_id": "c", "sequence": 1}
    fence = {
        "type": "Feature",
        "geometry": {"type": "Point", "coordinates": [8.0, 47.0]},
        "properties": {"fence_id": "f", "customer_id": "c", "radius_m": ENDLESS},
    }
    records: list[tuple[str, Any]] = [
        ("gps-pings", {**PING, "ts": ENDLESS}),
        ("gps-pings", [{**PING, "ts": ENDLESS}]),
        ("routes", {**ROUTE, "stops": [{**stop, "sequence": ENDLESS}]}),
        ("routes", {**ROUTE, "stops": [{**stop, "sequence": 2**64}]}),
        ("routes", {**ROUTE, "stops": [{**stop, "order": {"items": 1e300}}]}),
        ("routes", {**ROUTE, "starts_at": ENDLESS, "stops": []}),
        ("geofences", fence),
        ("device-fence-events", {"driver_id": "d", "fence_id": "f", "type": "entered", "ts": -ENDLESS}),
        ("weather", {"region": "r", "ts": ENDLESS, "temperature_c": 1, "precipitation_mm": 0}),
    ]
    records += [
        ("gps-pings", {**PING, "driver_id": LONG}),
        ("routes", {**ROUTE, "stops": [{**stop, "customer_id": LONG}]}),
        ("device-fence-events", {"driver_id": "d", "fence_id": LONG, "type": "entered", "ts": PING["ts"]}),
        ("device-fence-events", {"driver_id": "d", "fence_id": "f", "type": LONG, "ts": PING["ts"]}),
        ("geofences", {**fence, "properties": {"fence_id": "f", "customer_id": LONG, "radius_m": 50}}),
    ]
    messages = [(topic, json.dumps(record).encode()) for topic, record in records]
    large = ("gps-pings", "routes", "device-fence-events", "geofences", "weather", "manual-records")
    return messages + [(topic, noise(LARGE)) for topic in large]


@pytest.fixture
def deployment(kafka: Broker, tmp_path: Path) -> Iterator[Deployment]:
    with Deployment(kafka.get_bootstrap_server(), tmp_path, partitions=1) as made:
        yield made


def test_no_message_stops_a_worker(deployment: Deployment) -> None:
    producer = producing(deployment)
    sent = poison()
    for topic, message in sent:
        producer.send(deployment.topics.name(topic), message, b"d")
    endless = producer.send(deployment.topics.name("gps-pings"), b"{", LONG.encode())
    assert endless.get(10)
    sent.append(("gps-pings", b"{"))
    producer.send(deployment.topics.name("gps-pings"), json.dumps(PING).encode(), b"d")
    producer.close()
    worker = deployment.start_worker()
    deployment.wait_for(lambda: len(deployment.records("dead-letters")) >= len(sent), "the dead letters")
    deployment.wait_until_quiet(1)
    assert deployment.stop_worker(worker) == 0
    letters = [d for _, d in deployment.records("dead-letters")]
    prefix = deployment.topics.prefix
    assert Counter(d["topic"].removeprefix(prefix) for d in letters) == Counter(topic for topic, _ in sent)
    kept = [(base64.b64decode(d["value_base64"]), d.get("value_bytes")) for d in letters]
    expected = [(m[:MOST_OF_VALUE], len(m) if len(m) > MOST_OF_VALUE else None) for _, m in sent]
    assert Counter(kept) == Counter(expected)
    assert deployment.counts().used == 1


def test_an_array_of_nothing_but_bad_pings_is_not_written_once_for_each(deployment: Deployment) -> None:
    bad = json.dumps([{**PING, "lat": 100 + n / MANY} for n in range(MANY)]).encode()
    producer = producing(deployment)
    producer.send(deployment.topics.name("gps-pings"), bad, b"d")
    producer.send(deployment.topics.name("gps-pings"), json.dumps(PING).encode(), b"d")
    producer.close()
    worker = deployment.start_worker()
    deployment.wait_for(lambda: len(deployment.records("dead-letters")) >= MANY, "the dead letters")
    deployment.wait_until_quiet(1)
    assert deployment.stop_worker(worker) == 0
    letters = [d for _, d in deployment.records("dead-letters")]
    assert [d["field"] for d in letters] == [f"[{n}].lat" for n in range(MANY)]
    assert base64.b64decode(letters[0]["value_base64"]) == bad
    assert sum(len(d["value_base64"]) for d in letters) < 4 * len(bad)
    assert (deployment.counts().used, deployment.counts().dead) == (1, MANY)
