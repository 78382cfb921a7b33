"""Fences that come, move, end and go while pings flow: they hold from their own times, not the news."""

import copy
import json
import os
import random
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from kafka import KafkaProducer

from geofence.times import format_time, parse_time
from streams.broker import Broker
from streams.records import decode_fence
from tests.e2e.conftest import Town
from tests.e2e.deployment import Deployment, lines_of, replayed, told
from tests.e2e.flow import Flow, nothing_differs

Feature = dict[str, Any]
Change = tuple[str, Feature | None]
"""A fence's id, and what is published of it; None: deleted."""

SEED: Final = int(os.environ.get("SEED", "1"))
KINDS: Final = ("moved", "moved before", "ended", "ended before", "new", "new too late", "deleted", "redrawn")

HOUR_MS: Final = 3_600_000


@pytest.fixture
def deployment(kafka: Broker, tmp_path: Path) -> Iterator[Deployment]:
    with Deployment(kafka.get_bootstrap_server(), tmp_path, partitions=3) as made:
        yield made


def changed(kind: str, feature: Feature, arrived_ms: int, departed_ms: int) -> Feature | None:
    """The feature that is published later; its times lie an hour before or after the visit."""
    later = copy.deepcopy(feature)
    if kind in {"moved", "moved before", "redrawn"}:
        place = decode_fence(json.dumps(feature).encode())
        away = 0.0 if kind == "redrawn" else 0.02
        later["geometry"] = {"type": "Point", "coordinates": [place.lon, place.lat + away]}
        later["properties"]["radius_m"] = 25.0
    times = {
        "moved": ("valid_from", departed_ms + HOUR_MS),
        "moved before": ("valid_from", arrived_ms - HOUR_MS),
        "ended": ("valid_to", departed_ms + HOUR_MS),
        "ended before": ("valid_to", arrived_ms - HOUR_MS),
        "new": ("valid_from", arrived_ms - HOUR_MS),
        "new too late": ("valid_from", departed_ms + HOUR_MS),
    }
    if kind in times:
        name, ts_ms = times[kind]
        later["properties"][name] = format_time(ts_ms)
    return None if kind == "deleted" else later


class Plan:
    """Which fences of a town change, and how: `early` are published first, `changes` while pings flow."""

    def __init__(self, town: Town, tmp_path: Path) -> None:
        features = json.loads(town.fences.read_text())["features"]
        by_id = {f["properties"]["fence_id"]: f for f in features}
        self.before = replayed(tmp_path, *town.files, "--pings", str(town.pings))
        visits = sorted(self.before.values(), key=lambda v: v["arrived_at"])[:: len(self.before) // 48]
        visits = list({v["fence_id"]: v for v in visits}.values())
        self.kind_of = {v["fence_id"]: KINDS[n % len(KINDS)] for n, v in enumerate(visits)}
        self.changes: list[Change] = []
        for visit in visits:
            fence_id = visit["fence_id"]
            times = parse_time(visit["arrived_at"]), parse_time(visit["departed_at"])
            self.changes.append((fence_id, changed(self.kind_of[fence_id], by_id[fence_id], *times)))
        self.early = [f for i, f in by_id.items() if not self.kind_of.get(i, "").startswith("new")]
        gone = {i for i, kind in self.kind_of.items() if kind not in {"moved", "moved before"}}
        stay = [f for f in self.early if f["properties"]["fence_id"] not in gone]
        self.final = stay + [f for _, f in self.changes if f is not None]


def written(path: Path, features: list[Feature]) -> Path:
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def test_fences_and_routes_published_before_pings_are_known_before_these_are_decided(
    deployment: Deployment, town: Town, tmp_path: Path
) -> None:
    for number in range(2):
        deployment.start_worker("--idle-s", "8")
        deployment.wait_until_at_work(number)
    publish_at_once(deployment, town)
    expected = revisions(told(tmp_path, *town.files, "--pings", str(town.pings)))
    deployment.wait_for(lambda: len(deployment.records("service-times")) >= len(expected), "all revisions")
    assert revisions(visit for _, visit in deployment.records("service-times")) == expected


def publish_at_once(deployment: Deployment, town: Town) -> None:
    """Fences and routes, and pings as soon as the broker has those."""
    fences = [(f["properties"]["fence_id"], f) for f in json.loads(town.fences.read_text())["features"]]
    routes, pings = ([json.loads(line) for line in lines_of(p)] for p in (town.routes, town.pings))
    producer = KafkaProducer(bootstrap_servers=deployment.bootstrap, linger_ms=5)
    before = [
        *(("geofences", fence_id.encode(), json.dumps(fence).encode()) for fence_id, fence in fences),
        *(("routes", route["driver_id"].encode(), json.dumps(route).encode()) for route in routes),
    ]
    after = [("gps-pings", ping["driver_id"].encode(), json.dumps(ping).encode()) for ping in pings]
    for messages in (before, after):
        for topic, key, value in messages:
            producer.send(deployment.topics.name(topic), value, key)
        producer.flush()
    producer.close()


def revisions(visits: Iterable[Feature]) -> list[tuple[str, int, str, str]]:
    """What was told of each visit, each time: a fence that came too late would have led to one more."""
    return sorted((v["visit_id"], v["revision"], v["status"], v["departed_at"]) for v in visits)


def test_fences_that_change_while_pings_flow_hold_from_their_own_times_on(
    deployment: Deployment, town: Town, tmp_path: Path
) -> None:
    chance = random.Random(SEED)
    plan = Plan(town, tmp_path)
    chance.shuffle(plan.changes)
    routes = ("--routes", str(town.routes))
    deployment.publish("--fences", str(written(tmp_path / "early.geojson", plan.early)), *routes)
    running = [deployment.start_worker(), deployment.start_worker()]
    deployment.wait_until_at_work(0)
    flow = Flow(deployment, town.pings, lasts_s=15.0)
    producer = KafkaProducer(bootstrap_servers=deployment.bootstrap)
    for number, (fence_id, feature) in enumerate(plan.changes):
        value = None if feature is None else json.dumps(feature).encode()
        producer.send(deployment.topics.name("geofences"), value, fence_id.encode()).get(30)
        time.sleep(chance.uniform(0.0, 0.5))
        if number == len(plan.changes) // 2:
            running[0].kill()
            deployment.start_worker()
    assert flow.goes_on
    producer.close()
    flow.wait()
    final = ("--fences", str(written(tmp_path / "final.geojson", plan.final)), *routes)
    nothing_differs(deployment, town.pings, tmp_path, *final)
    served = {plan.kind_of.get(visit["fence_id"]) for visit in deployment.visits().values()}
    assert {"moved", "ended", "new"} <= served
    assert not {"deleted", "ended before", "new too late"} & served
