"""Runs through a real Faust app: every offset covered once, seeks, markers; other topics as Faust does it."""

import asyncio
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
from streams.transport import Run, RunSchema, Transport

WITHIN_S = 30.0


class Setting:
    """A Faust app that takes `runs` in runs and `single` event by event."""

    def __init__(self, bootstrap: str, runs: str, single: str, start: int = 0) -> None:
        transport.register()
        self.taken: list[Run] = []
        self.events: list[bytes] = []
        self.hold = asyncio.Event()
        self.hold.set()
        self.app = faust.App(
            f"t{uuid4().hex}",
            broker=f"{transport.SCHEME}://{bootstrap}",
            store="memory://",
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
            return {tp: start for tp in self.app.consumer.assignment() if tp.topic == runs}

        kafka: Any = self.app.transport
        assert isinstance(kafka, Transport)
        kafka.run_topics, kafka.positions = frozenset({runs}), positions
        self.app.agent(self.app.topic(runs, schema=RunSchema(), acks=False))(self._take)
        self.app.agent(self.app.topic(single, value_serializer="raw", value_type=bytes))(self._each)

    async def _take(self, stream: Any) -> None:
        async for event in stream.noack().events():
            run: Run = event.message.value
            self.taken.append(run)
            await self.hold.wait()
            consumer_of(self.app).done(run)

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
