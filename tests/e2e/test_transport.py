"""Runs through a real Faust app: every offset covered once, seeks, markers; other topics as Faust does it."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import faust
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from faust.types import TP

from streams import transport
from streams.agents.runs import consumer_of
from streams.broker import Broker
from streams.reading import read_stretch
from streams.transport import Run, RunSchema, Transport

WITHIN_S = 30.0


class Setting:
    """A Faust app that takes `runs` in runs and `single` event by event.

    Each partition of `runs` continues at what `positions` hold, else at `start`.
    """

    def __init__(
        self, bootstrap: str, runs: str, single: str, start: int = 0, group: str | None = None
    ) -> None:
        transport.register()
        self.taken: list[Run] = []
        self.positions: dict[TP, int] = {}
        self.events: list[bytes] = []
        self.hold = asyncio.Event()
        self.hold.set()
        self.app = faust.App(
            group or f"t{uuid4().hex}",
            broker=f"{transport.SCHEME}://{bootstrap}",
            store="memory://",
            datadir=tempfile.gettempdir(),
            topic_allow_declare=False,
            topic_disable_leader=True,
            stream_wait_empty=False,
            stream_recovery_delay=0.0,
            consumer_auto_offset_reset="earliest",
            broker_session_timeout=3.0,
            broker_heartbeat_interval=0.5,
            broker_commit_interval=0.3,
            web_enabled=False,
        )

        async def positions() -> Mapping[TP, int]:
            mine = (tp for tp in self.app.consumer.assignment() if tp.topic == runs)
            return {tp: self.positions.get(tp, start) for tp in mine}

        kafka: Any = self.app.transport
        assert isinstance(kafka, Transport)
        kafka.run_topics, kafka.positions = frozenset({runs}), positions
        self.app.agent(self.app.topic(runs, schema=RunSchema(), acks=False))(self._take)
        self.app.agent(self.app.topic(single, value_serializer="raw", value_type=bytes))(self._each)

    async def _take(self, stream: Any) -> None:
        async for event in stream.noack().events():
            run: Run = event.message.value
            self.taken.append(run)
            self.use(run)
            await self.hold.wait()
            consumer_of(self.app).done(run)

    def use(self, run: Run) -> None:
        """What else is done with a run."""

    async def _each(self, stream: Any) -> None:
        async for value in stream:
            self.events.append(value)

    def values(self) -> list[bytes]:
        return [r.value for run in self.taken for r in run.records]


@asynccontextmanager
async def running(setting: Setting) -> AsyncIterator[Setting]:
    started = asyncio.create_task(setting.app.start())
    try:
        yield setting
    finally:
        await setting.app.stop()
        await asyncio.wait([started])


async def until(ready: Callable[[], bool | Awaitable[bool]]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while True:
            found = ready()
            if found if isinstance(found, bool) else await found:
                return
            await asyncio.sleep(0.05)


async def send(bootstrap: str, topic: str, values: list[bytes], aborted: list[bytes] | None = None) -> None:
    """In two transactions of which the first is aborted."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id=uuid4().hex)
    await producer.start()
    if aborted:
        await producer.begin_transaction()
        for value in aborted:
            await producer.send_and_wait(topic, value, partition=0)
        await producer.abort_transaction()
    async with producer.transaction():
        for value in values:
            await producer.send(topic, value, partition=0)
    await producer.stop()


@pytest.fixture
def topics(kafka: Broker, new_topic: Callable[..., str]) -> tuple[str, str, str]:
    return kafka.get_bootstrap_server(), new_topic(1), new_topic(1)


async def test_runs_cover_every_offset_once_up_to_the_end_and_leave_out_what_was_aborted(
    topics: tuple[str, str, str],
) -> None:
    bootstrap, runs, single = topics
    values = [b"%d" % n for n in range(500)]
    await send(bootstrap, runs, values, aborted=[b"no"] * 3)
    async with running(Setting(bootstrap, runs, single)) as setting:
        await until(lambda: bool(setting.taken) and setting.taken[-1].end == 505)
        await send(bootstrap, runs, [], aborted=[b"no"])
        await until(lambda: setting.taken[-1].end == 507)
    assert setting.values() == values
    assert [run.start for run in setting.taken] == [0, *(run.end for run in setting.taken[:-1])]
    assert list(setting.taken[-1].records) == []
    assert len(setting.taken) < 50


async def test_a_seek_goes_back_and_what_was_under_way_is_told_by_its_start(
    topics: tuple[str, str, str],
) -> None:
    bootstrap, runs, single = topics
    await send(bootstrap, runs, [b"%d" % n for n in range(100)])
    async with running(Setting(bootstrap, runs, single, start=60)) as setting:
        await until(lambda: len(setting.values()) == 40)
        await consumer_of(setting.app).seek_runs({TP(runs, 0): 10})
        await until(lambda: len(setting.values()) == 130)
    assert setting.taken[0].start == 60
    assert setting.values()[40:] == [b"%d" % n for n in range(10, 100)]
    assert 10 in [run.start for run in setting.taken]


class Worker(Setting):
    """Keeps what it used and how far it came where the others of its group find it."""

    used: dict[TP, list[bytes]]

    def use(self, run: Run) -> None:
        tp = TP(run.topic, run.partition)
        position = self.positions.get(tp, 0)
        if run.start is not None and run.start <= position:
            fresh = run.since(position)
            self.used.setdefault(tp, []).extend(r.value or b"" for r in fresh.records)
            self.positions[tp] = max(position, fresh.end)


async def test_members_that_join_and_leave_hand_partitions_over_without_a_gap_or_a_repetition(
    kafka: Broker, new_topic: Callable[..., str]
) -> None:
    bootstrap, runs, single = kafka.get_bootstrap_server(), new_topic(4), new_topic(1)
    used: dict[TP, list[bytes]] = {}
    group = f"t{uuid4().hex}"
    sent = 0

    async def more(until_s: float) -> None:
        nonlocal sent
        async with asyncio.timeout(until_s + WITHIN_S):
            producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
            await producer.start()
            for _ in range(round(until_s / 0.02)):
                for partition in range(4):
                    await producer.send(runs, b"%d" % sent, partition=partition)
                sent += 1
                await asyncio.sleep(0.02)
            await producer.stop()

    def all_used() -> bool:
        return len(used) == 4 and all(len(values) >= sent for values in used.values())

    first, second = (Worker(bootstrap, runs, single, group=group) for _ in range(2))
    first.used = second.used = used
    second.positions = first.positions
    async with running(first):
        await more(1.0)
        await until(all_used)
        async with running(second):
            flow = asyncio.create_task(more(6.0))
            await until(lambda: len({run.partition for run in second.taken}) == 2)
            await flow
        await more(1.0)
        await until(all_used)
    assert used == {TP(runs, partition): [b"%d" % n for n in range(sent)] for partition in range(4)}


async def test_ranges_that_were_compacted_away_are_covered_too(
    kafka: Broker, new_topic: Callable[..., str]
) -> None:
    quickly = {
        "cleanup.policy": "compact",
        "segment.ms": "100",
        "min.cleanable.dirty.ratio": "0.001",
        "delete.retention.ms": "100",
    }
    bootstrap, runs, single = kafka.get_bootstrap_server(), new_topic(1, quickly), new_topic(1)
    await send_keyed(bootstrap, runs, [(b"%d" % (n % 7), b"%d" % n) for n in range(300)])
    await until_compacted(bootstrap, runs, 300)
    async with running(Setting(bootstrap, runs, single)) as setting:
        await until(lambda: b"last" in setting.values())
        end = await end_of(bootstrap, runs)
        await until(lambda: setting.taken[-1].end == end)
    assert len(setting.values()) < 300
    assert {b"%d" % n for n in range(293, 300)} <= set(setting.values())
    assert [run.start for run in setting.taken] == [0, *(run.end for run in setting.taken[:-1])]


async def send_keyed(bootstrap: str, topic: str, records: list[tuple[bytes, bytes]]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    await producer.start()
    for key, value in records:
        await producer.send(topic, value, key=key, partition=0)
    await producer.stop()


async def until_compacted(bootstrap: str, topic: str, sent: int) -> None:
    """Send a last record now and then, which closes the segment before, until some of the first have gone."""
    async with asyncio.timeout(4 * WITHIN_S):
        while True:
            await send_keyed(bootstrap, topic, [(b"last", b"last")])
            left = [r.offset async for records in read_stretch(bootstrap, topic, 0) for r in records]
            if sum(offset < sent for offset in left) < sent // 2:
                return
            await asyncio.sleep(0.5)


async def end_of(bootstrap: str, topic: str) -> int:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap)
    await consumer.start()
    tp = TopicPartition(topic, 0)
    end: int = (await consumer.end_offsets([tp]))[tp]
    await consumer.stop()
    return end


async def test_the_readable_end_is_before_a_transaction_that_is_open(topics: tuple[str, str, str]) -> None:
    bootstrap, runs, single = topics
    await send(bootstrap, runs, [b"a", b"b"])
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id=uuid4().hex)
    await producer.start()
    async with running(Setting(bootstrap, runs, single)) as setting:

        def readable_end() -> int | None:
            if TP(runs, 0) not in setting.app.consumer.assignment():
                return None
            end: int | None = setting.app.consumer.highwater(TP(runs, 0))
            return end

        await until(lambda: setting.values() == [b"a", b"b"] and readable_end() == 3)
        await producer.begin_transaction()
        await producer.send_and_wait(runs, b"c", partition=0)
        await asyncio.sleep(1.0)
        assert readable_end() == 3
        await producer.commit_transaction()
        await until(lambda: setting.values() == [b"a", b"b", b"c"] and readable_end() == 5)
    await producer.stop()


async def test_fetching_waits_for_an_agent_that_is_behind(topics: tuple[str, str, str]) -> None:
    bootstrap, runs, single = topics
    setting = Setting(bootstrap, runs, single)
    setting.hold.clear()
    async with running(setting):
        for n in range(8):
            await send(bootstrap, runs, [b"%d" % n])
            await asyncio.sleep(0.15)
        queued = len(setting.app.agents) and len(consumer_of(setting.app)._ahead[TP(runs, 0)])
        assert queued <= transport.RUNS_AHEAD
        setting.hold.set()
        await until(lambda: setting.values() == [b"%d" % n for n in range(8)])


async def test_other_topics_come_event_by_event_and_faust_commits_them(topics: tuple[str, str, str]) -> None:
    bootstrap, runs, single = topics
    await send(bootstrap, single, [b"a", b"b", b"c"])
    await send(bootstrap, runs, [b"x"])
    setting = Setting(bootstrap, runs, single)
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=setting.app.conf.id)
    await consumer.start()

    async def committed() -> bool:
        return await consumer.committed(TopicPartition(single, 0)) == 3

    async with running(setting):
        await until(committed)
        await until(lambda: setting.values() == [b"x"])
        assert await consumer.committed(TopicPartition(runs, 0)) is None
    await consumer.stop()
    assert setting.events == [b"a", b"b", b"c"]
