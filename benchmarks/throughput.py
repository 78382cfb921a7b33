"""How fast a worker takes pings from Kafka beside a bare consumer of the topic, and how late records come."""

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
from pathlib import Path
from typing import Final, NamedTuple
from urllib.error import URLError
from urllib.request import urlopen
from uuid import uuid4

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.publish import KINDS, Publisher, Sent, publish_pings, publish_records
from streams.records.pings import PingRecord
from streams.topics import Topics, delete_topics, ensure_topics

POLL_S: Final = 0.2
CPU: Final = "servicetime_cpu_seconds_total"
METRIC: Final = re.compile(r"^(servicetime_\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)


class Rate(NamedTuple):
    """Pings a second, and a second of processor time."""

    wall: float
    cpu: float


def delay_s(bootstrap: str, files: dict[str, str], rate_per_s: float) -> float:
    """The 99th percentile of the delay while pings come at that rate."""
    topics = new_topics(bootstrap)
    try:
        with worker(bootstrap, topics) as address:
            count = asyncio.run(publish(bootstrap, topics, files, rate_per_s))
            rate_until(address, count)
            return _quantile(_metrics(address), "servicetime_output_delay_seconds", 0.99)
    finally:
        delete_topics(bootstrap, topics)


def new_topics(bootstrap: str) -> Topics:
    """Topics of their own."""
    name = f"bench{uuid4().hex[:8]}"
    return ensure_topics(bootstrap, Topics(name, f"{name}-", 4))


async def publish(bootstrap: str, topics: Topics, files: dict[str, str], rate_per_s: float | None) -> int:
    """Send the files, pings at that rate if one is given; how many pings."""
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


async def bare_rate(bootstrap: str, topics: Topics, count: int) -> Rate:
    """Messages a second that a bare consumer reads and decodes."""
    decode = msgspec.json.Decoder(PingRecord).decode
    name = topics.name("gps-pings")
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, auto_offset_reset="earliest", max_partition_fetch_bytes=2 * 2**20
    )
    await consumer.start()
    consumer.assign([TopicPartition(name, n) for n in range(topics.partitions)])
    await consumer.seek_to_beginning()
    read, began_s, began_cpu_s = 0, time.monotonic(), time.process_time()
    while read < count:
        for records in (await consumer.getmany(timeout_ms=1000)).values():
            for record in records:
                decode(record.value)
            read += len(records)
    rate = Rate(read / (time.monotonic() - began_s), read / (time.process_time() - began_cpu_s))
    await consumer.stop()
    return rate


@contextmanager
def worker(bootstrap: str, topics: Topics) -> Iterator[str]:
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


def rate_until(address: str, count: int) -> Rate:
    """Pings a second from the first one used to the last."""
    first: tuple[float, float, float] | None = None
    while True:
        metrics = _metrics(address)
        used = sum(value for _, value in metrics.get("servicetime_pings_total", []))
        now_s, cpu_s = time.monotonic(), metrics[CPU][0][1]
        if used and first is None:
            first = (used, now_s, cpu_s)
        if used >= count and first is not None:
            done = count - first[0]
            return Rate(done / max(POLL_S, now_s - first[1]), done / max(POLL_S, cpu_s - first[2]))
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
