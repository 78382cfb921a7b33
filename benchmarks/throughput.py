"""How fast a worker takes pings from Kafka beside a bare consumer of the topic, and how late records come."""

import asyncio
import json
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple
from urllib.error import URLError
from urllib.request import urlopen
from uuid import uuid4

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from geofence.events import PingBatch
from streams.files import PingsRead, read_pings
from streams.publish import KINDS, Publisher, Sent, publish_batches, publish_pings, publish_records
from streams.records.pings import PingRecord
from streams.topics import Topics, delete_topics, ensure_topics

POLL_S: Final = 0.2
CALM_S: Final = 6.0
"""After that a worker no longer thinks that it catches up."""

STEADY_S: Final = 3.0
"""So long after the first pings at their rate delays begin to count: all drivers have come back by then."""

COMMITTED_S: Final = 1.5
"""After that the last records have been committed."""

CPU: Final = "servicetime_cpu_seconds_total"
METRIC: Final = re.compile(r"^(servicetime_\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)

Metrics = dict[str, list[tuple[str, float]]]


class Rate(NamedTuple):
    """Pings a second, and a second of processor time."""

    wall: float
    cpu: float


def delay_s(bootstrap: str, files: dict[str, str], rate_per_s: float, before_s: float) -> float:
    """The 99th percentile of the delay while pings come at that rate.

    Those of the first seconds by their own time come at once, beforehand: visits are under way then. What
    comes in the first `STEADY_S` after that does not count.
    """
    topics = new_topics(bootstrap)
    try:
        with worker(bootstrap, topics) as (address,):
            return asyncio.run(_delay_s(bootstrap, topics, files, rate_per_s, before_s, address))
    finally:
        delete_topics(bootstrap, topics)


async def _delay_s(
    bootstrap: str, topics: Topics, files: dict[str, str], rate_per_s: float, before_s: float, address: str
) -> float:
    batch = PingBatch.joined([read.batch for read in read_pings(files["pings"])])
    early = batch.ts_ms < batch.ts_ms.min() + 1000 * before_s
    before, during = batch.select(early), batch.select(~early)
    span_s = float(during.ts_ms.max() - during.ts_ms.min()) / 1000
    async with Publisher(bootstrap, topics) as publisher:
        sent = Sent()
        await publish_records(publisher, KINDS["fences"], files["fences"], sent)
        await publish_batches(publisher, [PingsRead(before, [])], None, sent)
        await asyncio.to_thread(rate_until, [address], len(before))
        await asyncio.sleep(CALM_S)
        speed = span_s * rate_per_s / len(during)
        publishing = asyncio.create_task(publish_batches(publisher, [PingsRead(during, [])], speed, sent))
        await asyncio.sleep(STEADY_S)
        steady = await asyncio.to_thread(_metrics, address)
        await publishing
        await asyncio.to_thread(rate_until, [address], len(batch))
        await asyncio.sleep(COMMITTED_S)
    return _quantile(
        await asyncio.to_thread(_metrics, address), steady, "servicetime_output_delay_seconds", 0.99
    )


def new_topics(bootstrap: str) -> Topics:
    """Topics of their own."""
    name = f"bench{uuid4().hex[:8]}"
    return ensure_topics(bootstrap, Topics(name, f"{name}-", 4))


async def publish(bootstrap: str, topics: Topics, files: dict[str, str]) -> int:
    """Send the files as fast as the broker takes them; how many pings."""
    sent = Sent()
    async with Publisher(bootstrap, topics) as publisher:
        for name in ("fences", "routes"):
            if name in files:
                await publish_records(publisher, KINDS[name], files[name], sent)
        await publish_pings(publisher, [files["pings"]], None, lambda _bytes: None, sent)
    return sent.messages["gps-pings"]


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
def worker(bootstrap: str, topics: Topics, processes: int = 1) -> Iterator[list[str]]:
    """A worker without a table, ready; the addresses of its processes' metrics."""
    words = ["--bootstrap", bootstrap, "--app-id", topics.app_id, "--topic-prefix", topics.prefix]
    with tempfile.TemporaryDirectory() as directory, Path(directory, "log").open("w+") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "streams.cli.main", "worker", *words),
                *("--no-table", "--data-dir", directory, "--web-port", "0", "--idle-s", "3600"),
                *("--concurrency", str(processes)),
            ],
            stderr=log,
        )
        try:
            found: list[str] = []
            while len(found) < processes:
                assert process.poll() is None, Path(log.name).read_text()
                time.sleep(POLL_S)
                found = re.findall(r"Metrics at (\S+)/metrics", Path(log.name).read_text())
            for address in found:
                _wait_until_ready(address)
            yield found
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


def rate_until(addresses: Sequence[str], count: int) -> Rate:
    """Pings a second from when every process has used some to the last."""
    first: tuple[float, float, float] | None = None
    while True:
        metrics = [_metrics(address) for address in addresses]
        each = [sum(value for _, value in m.get("servicetime_pings_total", [])) for m in metrics]
        used, now_s, cpu_s = sum(each), time.monotonic(), sum(m[CPU][0][1] for m in metrics)
        if all(each) and first is None:
            first = (used, now_s, cpu_s)
        if used >= count and first is not None:
            done = count - first[0]
            return Rate(done / max(POLL_S, now_s - first[1]), done / max(POLL_S, cpu_s - first[2]))
        time.sleep(POLL_S)


def _metrics(address: str) -> Metrics:
    found: Metrics = {}
    with urlopen(f"{address}/metrics") as page:
        for name, labels, value in METRIC.findall(page.read().decode()):
            found.setdefault(name, []).append((labels, float(value)))
    return found


def _quantile(metrics: Metrics, before: Metrics, name: str, share: float) -> float:
    """The upper end of the histogram's bucket that holds the quantile of what came since `before`."""
    total = metrics[f"{name}_count"][0][1] - before[f"{name}_count"][0][1]
    for (labels, upto), (_, earlier) in zip(metrics[f"{name}_bucket"], before[f"{name}_bucket"], strict=True):
        if upto - earlier >= share * total:
            return float(labels.split('"')[1])
    return float("inf")
