"""Partitions taken over, committed and given up, on checkpoints that fail when told to."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from aiokafka import TopicPartition

from streams import holding
from streams.checkpoint import Changes, NotCommitted
from streams.holding import Held, Holding
from streams.metrics import Instruments
from streams.settings import Settings
from streams.state import Stored
from streams.transport import Run
from tests.counting_engine import CountingEngine
from tests.test_partition import ping


class Kafka:
    """What the checkpoints of all partitions share: how long a commit takes, and which fail."""

    def __init__(self) -> None:
        self.committing: set[int] = set()
        self.commits: list[int] = []
        self.opened: list[int] = []
        self.fails: Callable[[int], bool] = lambda partition: False


class SlowCheckpoints:
    """Checkpoints whose transactions take their time and may not overlap."""

    def __init__(self, kafka: Kafka, partition: int) -> None:
        self._kafka = kafka
        self._partition = partition

    async def open(self) -> Stored:
        await asyncio.sleep(0.01 * (1 + self._partition))
        self._kafka.opened.append(self._partition)
        return Stored()

    async def commit(self, changes: Changes) -> None:
        assert self._partition not in self._kafka.committing, "two transactions of one producer at a time"
        self._kafka.committing.add(self._partition)
        await asyncio.sleep(0.005)
        self._kafka.committing.remove(self._partition)
        if self._kafka.fails(self._partition):
            raise NotCommitted("told to")
        self._kafka.commits.append(self._partition)

    async def close(self) -> None:
        assert self._partition not in self._kafka.committing


class NoFacts:
    """Empty topics."""

    async def ends(self, tps: Any) -> Mapping[TopicPartition, int]:
        return dict.fromkeys(tps, 1_000)

    async def firsts(self, tps: Any) -> Mapping[TopicPartition, int]:
        return dict.fromkeys(tps, 0)

    async def fence_positions(self) -> dict[int, int]:
        return {}


class Seeks:
    """An intake that notes where it is told to go on."""

    def __init__(self) -> None:
        self.partitions: list[int] = []

    async def seek(self, positions: Mapping[TopicPartition, int]) -> None:
        self.partitions += {tp.partition for tp in positions}


@pytest.fixture
def kafka(monkeypatch: pytest.MonkeyPatch) -> Kafka:
    made = Kafka()
    monkeypatch.setattr(holding, "Checkpoints", lambda _bootstrap, _topics, n: SlowCheckpoints(made, n))
    return made


def holder() -> tuple[Holding, Seeks]:
    intake: Any = Seeks()
    facts: Any = NoFacts()
    engine: Any = CountingEngine
    settings = Settings("nowhere", checkpoint_every_s=0.001, visible_within_s=0.001)
    return Holding(settings, facts, intake, engine, Instruments()), intake


def work_on(held: Held) -> None:
    if held.work is not None:
        position = held.work.positions.inputs["gps-pings"]
        held.work.take("gps-pings", Run("gps-pings", held.number, position, position + 1, [ping(position)]))


async def work_all_the_while(holds: Holding) -> None:
    now_s = 0.0
    while True:
        now_s += 1.0
        for held in holds.held.values():
            work_on(held)
            holds.commit_if_due(held, now_s)
        await asyncio.sleep(0)


async def test_a_partition_has_one_transaction_at_a_time_also_during_a_rebalance(
    kafka: Kafka,
) -> None:
    holds, _ = holder()
    await holds.assign([0, 1])
    committing = asyncio.create_task(work_all_the_while(holds))
    for _ in range(10):
        await holds.revoke()
        await holds.assign([0, 1])
        await asyncio.sleep(0.003)
    committing.cancel()
    assert kafka.opened == [0, 1]  # nothing had to be taken over again
    await holds.stop()


async def test_what_cannot_be_committed_is_taken_over_again_and_fetched_anew(
    kafka: Kafka,
) -> None:
    holds, intake = holder()
    await holds.assign([3])
    held = holds.held[3]
    work_on(held)
    kafka.fails = lambda partition: True
    for now_s in (1.0, 2.0):
        holds.commit_if_due(held, now_s)
    assert held.committing is not None
    await held.committing
    assert held.work is None
    kafka.fails = lambda partition: False
    assert held.opening is not None
    await held.opening
    assert held.work is not None
    assert held.work.positions.inputs["gps-pings"] == 0
    assert intake.partitions == [3]
    await holds.stop()
