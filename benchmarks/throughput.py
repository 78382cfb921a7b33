"""How fast a worker takes pings from Kafka beside a bare consumer of the topic, and how late records come.

python -m benchmarks.throughput [--pings F --fences F --routes F] [--rate 5000] [--bootstrap HOST:PORT]
"""

import argparse
import asyncio
import json
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final
from urllib.error import URLError
from urllib.request import urlopen
from uuid import uuid4

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.broker import choose_broker
from streams.publish import KINDS, Publisher, Sent, publish_pings, publish_records
from streams.records.pings import PingRecord
from streams.topics import Topics, delete_topics, ensure_topics
from streams.worker import use_uvloop

POLL_S: Final = 0.2
METRIC: Final = re.compile(r"^(servicetime_\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Throughput:
    """Pings a second, and their ratio; `p99_s` from a ping's arrival in Kafka to its record's commit."""

    pings: int
    bare_per_s: float
    worker_per_s: float
    ratio: float
    rate_per_s: float | None = None
    p99_s: float | None = None


def measure(bootstrap: str, files: dict[str, str], rate_per_s: float | None) -> Throughput:
    """Publish, read with a bare consumer, then with a worker; at a given rate as well, if wanted."""
    topics = _new_topics(bootstrap)
    try:
        count = asyncio.run(_publish(bootstrap, topics, files, None))
        bare = max(asyncio.run(_bare(bootstrap, topics, count)) for _ in range(2))
        with _worker(bootstrap, topics) as address:
            worker = _rate_until(address, count)
    finally:
        delete_topics(bootstrap, topics)
    p99_s = None if rate_per_s is None else _delay(bootstrap, files, rate_per_s)
    return Throughput(count, bare, worker, worker / bare, rate_per_s, p99_s)


def _delay(bootstrap: str, files: dict[str, str], rate_per_s: float) -> float:
    """The 99th percentile of the delay while pings come at that rate."""
    topics = _new_topics(bootstrap)
    try:
        with _worker(bootstrap, topics) as address:
            count = asyncio.run(_publish(bootstrap, topics, files, rate_per_s))
            _rate_until(address, count)
            return _quantile(_metrics(address), "servicetime_output_delay_seconds", 0.99)
    finally:
        delete_topics(bootstrap, topics)


def _new_topics(bootstrap: str) -> Topics:
    name = f"bench{uuid4().hex[:8]}"
    return ensure_topics(bootstrap, Topics(name, f"{name}-", 4))


async def _publish(bootstrap: str, topics: Topics, files: dict[str, str], rate_per_s: float | None) -> int:
    sent = Sent()
    speed = None if rate_per_s is None else _speed(files["pings"], rate_per_s)
    async with Publisher(bootstrap, topics) as publisher:
        for name in ("fences", "routes"):
            if name in files:
                await publish_records(publisher, KINDS[name], files[name], sent)
        await publish_pings(publisher, [files["pings"]], speed, lambda _bytes: None, sent)
    return sent.messages["gps-pings"]


def _speed(path: str, rate_per_s: float) -> float:
    """How many times faster than they were recorded pings have to come for that rate."""
    from streams.files import read_pings

    reads = list(read_pings(path))
    count = sum(len(r.batch) for r in reads)
    span_ms = max(r.batch.ts_ms.max() for r in reads) - min(r.batch.ts_ms.min() for r in reads)
    return float(span_ms / 1000 * rate_per_s / count)


async def _bare(bootstrap: str, topics: Topics, count: int) -> float:
    decode = msgspec.json.Decoder(PingRecord).decode
    name = topics.name("gps-pings")
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, auto_offset_reset="earliest", max_partition_fetch_bytes=2 * 2**20
    )
    await consumer.start()
    consumer.assign([TopicPartition(name, n) for n in range(topics.partitions)])
    await consumer.seek_to_beginning()
    read, began_s = 0, time.monotonic()
    while read < count:
        for records in (await consumer.getmany(timeout_ms=1000)).values():
            for record in records:
                decode(record.value)
            read += len(records)
    took_s = time.monotonic() - began_s
    await consumer.stop()
    return read / took_s


@contextmanager
def _worker(bootstrap: str, topics: Topics) -> Iterator[str]:
    """A worker without a table, ready; the address of its metrics."""
    words = ["--bootstrap", bootstrap, "--app-id", topics.app_id, "--topic-prefix", topics.prefix]
    with tempfile.TemporaryDirectory() as directory, Path(directory, "log").open("w+") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "streams.cli.main", "worker", *words),
                *("--no-table", "--data-dir", directory, "--web-port", "0", "--idle-s", "3600"),
            ],
            stderr=log,
        )
        try:
            while not (found := re.search(r"Metrics at (\S+)/metrics", Path(log.name).read_text())):
                assert process.poll() is None, Path(log.name).read_text()
                time.sleep(POLL_S)
            _wait_until_ready(found[1])
            yield found[1]
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def _wait_until_ready(address: str) -> None:
    while True:
        try:
            health = json.load(urlopen(f"{address}/healthz"))
        except URLError:
            health = {}
        if health.get("partitions"):
            return
        time.sleep(POLL_S)


def _rate_until(address: str, count: int) -> float:
    """Pings a second from the first one used to the last."""
    first: tuple[float, float] | None = None
    while True:
        used = sum(value for _, value in _metrics(address).get("servicetime_pings_total", []))
        now_s = time.monotonic()
        if used and first is None:
            first = (used, now_s)
        if used >= count and first is not None:
            return (count - first[0]) / max(POLL_S, now_s - first[1])
        time.sleep(POLL_S)


def _metrics(address: str) -> dict[str, list[tuple[str, float]]]:
    found: dict[str, list[tuple[str, float]]] = {}
    with urlopen(f"{address}/metrics") as page:
        for name, labels, value in METRIC.findall(page.read().decode()):
            found.setdefault(name, []).append((labels, float(value)))
    return found


def _quantile(metrics: dict[str, list[tuple[str, float]]], name: str, share: float) -> float:
    """The upper end of the histogram's bucket that holds the quantile."""
    total = metrics[f"{name}_count"][0][1]
    for labels, upto in metrics[f"{name}_bucket"]:
        if upto >= share * total:
            return float(labels.split('"')[1])
    return float("inf")


def main() -> None:
    """Measure with the files given, or with a simulated town."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("pings", "fences", "routes", "bootstrap"):
        parser.add_argument(f"--{name}")
    parser.add_argument("--rate", type=float)
    given = parser.parse_args()
    use_uvloop()
    with tempfile.TemporaryDirectory() as directory, choose_broker(given.bootstrap, directory) as broker:
        files = {n: getattr(given, n) for n in ("pings", "fences", "routes") if getattr(given, n)}
        found = measure(broker.bootstrap_servers, files or _town(directory), given.rate)
    print(json.dumps(asdict(found), indent=2))


def _town(directory: str) -> dict[str, str]:
    words = ["simulate", "--out", f"{directory}/town", "--drivers", "40", "--days", "1"]
    subprocess.run([sys.executable, "-m", "streams.cli.main", *words], check=True)
    names = {"pings": "pings.jsonl.gz", "fences": "fences.geojson", "routes": "routes.jsonl"}
    return {kind: f"{directory}/town/{name}" for kind, name in names.items()}


if __name__ == "__main__":
    main()
