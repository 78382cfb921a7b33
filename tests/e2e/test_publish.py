"""Files to topics: keys, order, pace, lines that cannot be read."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.broker import Broker
from streams.records import decode_pings
from tests.e2e.deployment import Deployment

FENCE = {
    "type": "Feature",
    "geometry": {"type": "Point", "coordinates": [8.0, 47.0]},
    "properties": {"fence_id": "f1", "customer_id": "c1", "radius_m": 40},
}
ROUTE = {"route_id": "r1", "driver_id": "d1", "starts_at": "2026-09-21T07:00:00.000Z", "stops": []}


def ping(driver: str, second: int, **more: float) -> dict[str, object]:
    return {"driver_id": driver, "ts": f"2026-09-21T14:00:{second:02}.000Z", "lat": 47.0, "lon": 8.0, **more}


@pytest.fixture
def deployment(kafka: Broker, tmp_path: Path) -> Iterator[Deployment]:
    with Deployment(kafka.get_bootstrap_server(), tmp_path) as made:
        yield made


def write(path: Path, *records: object) -> str:
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in records))
    return str(path)


def test_records_keep_their_fields_order_and_keys(deployment: Deployment, tmp_path: Path) -> None:
    sent = [ping("d1", 1, accuracy_m=4.5), ping("d2", 1), ping("d1", 2, speed_mps=3.0), ping("d2", 2)]
    deployment.publish(
        *("--pings", write(tmp_path / "pings.jsonl", *sent)),
        *("--fences", write(tmp_path / "fences.geojson", FENCE)),
        *("--routes", write(tmp_path / "routes.jsonl", ROUTE)),
    )
    found = deployment.records("gps-pings")
    assert all(key == value["driver_id"] for key, value in found)
    for driver in ("d1", "d2"):
        assert [v for k, v in found if k == driver] == [p for p in sent if p["driver_id"] == driver]
    assert deployment.records("routes") == [("d1", ROUTE)]
    assert [(k, v["properties"]["fence_id"]) for k, v in deployment.records("geofences")] == [("f1", "f1")]


def test_a_line_that_is_no_ping_is_sent_as_it_is(deployment: Deployment, tmp_path: Path) -> None:
    from streams.reading import read_stretch

    deployment.publish("--pings", write(tmp_path / "pings.jsonl", ping("d1", 1), "{broken"))

    async def values() -> list[bytes]:
        name = deployment.topics.name("gps-pings")
        numbers = range(deployment.topics.partitions)
        return [
            r.value for n in numbers async for rs in read_stretch(deployment.bootstrap, name, n) for r in rs
        ]

    import asyncio

    found = asyncio.run(values())
    assert b"{broken" in found
    assert len(decode_pings(found).batch) == 1


def test_at_a_multiple_of_real_time_pings_go_out_by_their_time(
    deployment: Deployment, tmp_path: Path
) -> None:
    pings = [ping("d1", second) for second in (30, 0, 10, 20)]
    began_s = time.monotonic()
    deployment.publish("--pings", write(tmp_path / "pings.jsonl", *pings), "--speed", "20")
    assert time.monotonic() - began_s >= 1.5  # 30 s, 20 times as fast
    assert [v["ts"][17:19] for _, v in deployment.records("gps-pings")] == ["00", "10", "20", "30"]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--pings", "missing.jsonl"), "missing.jsonl"),
        (("--pings", "missing.jsonl", "--speed", "fast"), "'fast' is neither 'max' nor a factor"),
        ((), "nothing to send"),
    ],
)
def test_wrong_usage_ends_with_2_and_one_line(
    deployment: Deployment, options: tuple[str, ...], complaint: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "streams.cli.main", "publish", *deployment.named, *options],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert complaint in done.stderr
    assert done.stderr.count("\n") == 1
