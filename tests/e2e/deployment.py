"""Worker processes on topics of their own, and what they have written: for tests against a real Kafka."""

import asyncio
import gzip
import json
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Self

from aiokafka import TopicPartition

from streams.reading import groupless_consumer, read_stretch
from streams.state import Counts, Stored, read_state
from streams.topics import Topics, ensure_topics
from streams.warm_up import warm_up

Record = dict[str, Any]
HOW_IT_WAS_TOLD = ("revision",)


class Deployment:
    """One set of topics with the workers on it; everything ends with the block."""

    def __init__(self, bootstrap: str, directory: Path, partitions: int = 2) -> None:
        warm_up()  # what it compiles is kept on disk, so that no worker has to
        name = f"t{uuid.uuid4().hex[:10]}"
        self.bootstrap = bootstrap
        self.directory = directory
        self.topics = ensure_topics(bootstrap, Topics(name, f"{name}-", partitions))
        self.workers: list[subprocess.Popen[bytes]] = []
        self.may_end_with = {0, -signal.SIGKILL}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.workers:
            if worker.poll() is None:
                worker.kill()
            worker.wait()

    @property
    def named(self) -> list[str]:
        return [
            "--bootstrap",
            self.bootstrap,
            "--app-id",
            self.topics.app_id,
            "--topic-prefix",
            self.topics.prefix,
        ]

    def start_worker(self, *options: str, table: bool = False) -> "subprocess.Popen[bytes]":
        words = ["worker", *self.named, "--data-dir", str(self.directory), "--session-timeout-s", "3"]
        words += ["--idle-s", "2", "--sink-every-s", "0.5", *([] if table else ["--no-table"]), *options]
        worker = subprocess.Popen(
            [sys.executable, "-m", "streams.cli.main", *words],
            stderr=(self.directory / f"worker-{len(self.workers)}.log").open("wb"),
        )
        self.workers.append(worker)
        return worker

    def stop_worker(self, worker: "subprocess.Popen[bytes]") -> int:
        """SIGTERM, and the status it ends with."""
        worker.send_signal(signal.SIGTERM)
        return worker.wait(30)

    def publish(self, *options: str) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "streams.cli.main", "publish", *self.named, *options],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{done.returncode}: {done.stderr}"

    def log(self, number: int = -1) -> str:
        """What the worker started as that one has said; by default the last."""
        return (self.directory / f"worker-{range(len(self.workers))[number]}.log").read_text()

    def wait_until_at_work(self, number: int = -1) -> None:
        """That worker holds a partition."""
        self.wait_for(lambda: "Holds partition" in self.log(number), "taking partitions over")

    def stored(self) -> list[Stored]:
        async def read() -> list[Stored]:
            numbers = range(self.topics.partitions)
            return await asyncio.gather(*(read_state(self.bootstrap, self.topics.state, n) for n in numbers))

        return asyncio.run(read())

    def used(self, topic: str = "gps-pings") -> int:
        """How many messages the workers have committed as read."""
        return sum(s.positions.inputs[topic] for s in self.stored() if s.positions is not None)

    def sent(self, topic: str = "gps-pings") -> int:
        """How many messages there are to be read."""

        async def ends() -> int:
            consumer = groupless_consumer(self.bootstrap)
            await consumer.start()
            name = self.topics.name(topic)
            numbers = range(self.topics.count(topic))
            found = await consumer.end_offsets([TopicPartition(name, n) for n in numbers])
            await consumer.stop()
            return sum(found.values())

        return asyncio.run(ends())

    def counts(self) -> Counts:
        total = Counts()
        for stored in self.stored():
            if stored.positions is not None:
                total += stored.positions.counts
        return total

    def wait_for(self, ready: Callable[[], bool], what: str, within_s: float = 90.0) -> None:
        deadline_s = time.monotonic() + within_s
        while not ready():
            ended = [w.returncode for w in self.workers if w.poll() not in (None, *self.may_end_with)]
            assert not ended, f"a worker ended with {ended}: {self.log()}"
            assert time.monotonic() < deadline_s, f"{what} did not happen; last log: {self.log()}"
            time.sleep(0.3)

    def wait_until_quiet(self, messages: int) -> None:
        """All pings used, and no new records for a while longer than partitions need to count as idle."""
        self.wait_for(lambda: self.used() >= messages, f"reading {messages} messages")
        seen, since_s = -1, time.monotonic()
        while time.monotonic() - since_s < 4.0:
            now = len(self.records("service-times"))
            if now != seen:
                seen, since_s = now, time.monotonic()
            time.sleep(0.5)

    def records(self, topic: str) -> list[tuple[str | None, Record]]:
        """Keys and values of all committed records of one of the contract's topics."""

        async def read() -> list[tuple[str | None, Record]]:
            found: list[tuple[str | None, Record]] = []
            name = self.topics.name(topic)
            for partition in range(self.topics.count(topic)):
                async for records in read_stretch(self.bootstrap, name, partition):
                    found += [
                        (None if r.key is None else r.key.decode(), json.loads(r.value)) for r in records
                    ]
            return found

        return asyncio.run(read())

    def visits(self) -> dict[str, Record]:
        """The highest revision of each visit; fails when one revision was written twice."""
        records = [visit for _, visit in self.records("service-times")]
        keys = [(v["visit_id"], v["revision"]) for v in records]
        doubled = {k for k in keys if keys.count(k) > 1} if len(set(keys)) < len(keys) else set()
        assert not doubled, f"written twice: {sorted(doubled)[:5]}"
        return highest(records)


def highest(records: Iterable[Record]) -> dict[str, Record]:
    """The highest revision of each visit that was not withdrawn."""
    best: dict[str, Record] = {}
    for record in records:
        if record["revision"] > best.get(record["visit_id"], {"revision": 0})["revision"]:
            best[record["visit_id"]] = record
    return {k: v for k, v in best.items() if v["status"] != "retracted"}


def as_decided(visits: dict[str, Record]) -> dict[str, Record]:
    """The visits without what says in how many steps they were told."""
    return {
        key: {
            **{name: value for name, value in visit.items() if name not in HOW_IT_WAS_TOLD},
            "flags": [flag for flag in visit["flags"] if flag != "late_revision"],
        }
        for key, visit in visits.items()
    }


def replayed(directory: Path, *options: str) -> dict[str, Record]:
    """What `servicetime replay` makes of the same files."""
    return highest(told(directory, *options))


def told(directory: Path, *options: str) -> list[Record]:
    """Every record that it tells on the way."""
    out = directory / "replayed.jsonl"
    done = subprocess.run(
        [sys.executable, "-m", "streams.cli.main", "replay", *options, "--out", str(out)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.returncode}: {done.stderr}"
    return [json.loads(line) for line in out.read_text().splitlines()]


def lines_of(path: Path) -> list[bytes]:
    """The lines of a file that may be compressed."""
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
        return stream.read().splitlines()
