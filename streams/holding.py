"""Holds the input partitions assigned to this worker: takes them over, commits their work, gives them up."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from streams.checkpoint import Checkpoints, Fenced, NotCommitted
from streams.errors import Unavailable
from streams.facts import Facts
from streams.intake import Intake
from streams.metrics import Instruments
from streams.partition import Detection, Partition
from streams.settings import Settings

INPUTS: Final = ("gps-pings", "device-fence-events", "routes")
AGAIN_AFTER_S: Final = (0.2, 0.5, 1.0, 2.0, 5.0)
FENCED_PAUSE_S: Final = 4.0
"""Who was fenced gives the group time to say who the owner is, before taking the partition over again."""

log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Held:
    """A partition assigned to this worker; `work` is None while it is being taken over."""

    number: int
    checkpoints: Checkpoints
    work: Partition | None = None
    opening: asyncio.Task[None] | None = None
    committing: asyncio.Task[None] | None = None
    committed: asyncio.Event = field(default_factory=asyncio.Event)
    uncommitted: int = 0
    in_bulk: bool = False
    settled: bool = False
    last_arrival_s: float = 0.0
    last_commit_s: float = 0.0
    changed_s: float | None = None

    @property
    def is_committing(self) -> bool:
        """Whether a transaction is under way."""
        return self.committing is not None and not self.committing.done()

    def start(self, work: Partition) -> None:
        """The partition has been taken over."""
        self.work = work
        self.uncommitted, self.changed_s = 0, None
        self.last_arrival_s, self.settled = time.monotonic(), False

    def drop(self) -> None:
        """Forget what is in memory; whoever waits for room goes on, and finds the work gone."""
        self.work = None
        self.committed.set()


class Holding:
    """The partitions of this worker, each with its producer, its state and its uncommitted work.

    There is one way back from any failure: drop what is in memory, fence, read the last checkpoint, seek.
    """

    def __init__(
        self,
        settings: Settings,
        facts: Facts,
        intake: Intake,
        engine: Callable[[], Detection],
        instruments: Instruments,
    ) -> None:
        self.held: dict[int, Held] = {}
        self._settings = settings
        self._topics = settings.topics
        self._facts = facts
        self._intake = intake
        self._engine = engine
        self._instruments = instruments
        self._assigned = False

    async def assign(self, numbers: Iterable[int]) -> None:
        """From now on these partitions, and no others, are this worker's. Returns when all are ready."""
        wanted = set(numbers)
        for number in set(self.held) - wanted:
            await self._give_up(self.held.pop(number))
        for number in sorted(wanted):
            held = self.held.get(number)
            if held is None:
                checkpoints = Checkpoints(self._settings.bootstrap, self._topics, number)
                held = self.held[number] = Held(number, checkpoints)
            await _cancelled(held.opening)
            if not await self._still_ours(held):
                held.opening = asyncio.create_task(self._take_over(held))
        opening = [h.opening for h in self.held.values() if h.opening is not None]
        await asyncio.gather(*opening, return_exceptions=True)
        raise_from(opening)
        self._assigned = True

    async def revoke(self) -> None:
        """Commit what there is: the partitions may belong to somebody else in a moment."""
        self._assigned = False
        await asyncio.gather(*(_cancelled(held.opening) for held in self.held.values()))
        await asyncio.gather(*(self._finish(held) for held in self.held.values()))

    async def stop(self) -> None:
        """Commit and let everything go."""
        await self.revoke()
        for held in self.held.values():
            await self._give_up(held)
        self.held.clear()

    def positions(self) -> dict[TopicPartition, int]:
        """Where each input continues."""
        works = [held.work for held in self.held.values() if held.work is not None]
        return {tp: offset for work in works for tp, offset in self.positions_of(work).items()}

    def positions_of(self, work: Partition) -> dict[TopicPartition, int]:
        """Where each input of one partition continues."""
        return {
            TopicPartition(self._topics.name(topic), work.number): offset
            for topic, offset in work.positions.inputs.items()
        }

    async def seek(self, work: Partition) -> None:
        """Have the inputs of a partition fetched from where they continue."""
        await self._intake.seek(self.positions_of(work))

    def commit_if_due(self, held: Held, now_s: float) -> None:
        """Begin a transaction when somebody waits for outputs, or changes have waited long enough."""
        work = held.work
        if work is None or not work.has_changed or held.is_committing or not self._assigned:
            return  # a producer has one transaction at a time: those of a rebalance are begun by it alone
        if held.changed_s is None:
            held.changed_s = now_s
        quick = work.has_outputs and not held.in_bulk
        since_s = held.last_commit_s if quick else max(held.changed_s, held.last_commit_s)
        slowly = self._settings.checkpoint_in_bulk_s if held.in_bulk else self._settings.checkpoint_every_s
        wait_s = self._settings.visible_within_s if quick else slowly
        if now_s - since_s >= wait_s or held.uncommitted >= self._settings.uncommitted_messages // 2:
            held.last_commit_s, held.changed_s = now_s, None
            held.committing = asyncio.create_task(self._commit(held, work))

    async def _take_over(self, held: Held, pause_s: float = 0.0) -> None:
        """Open a partition, however long the broker takes to let us."""
        await asyncio.sleep(pause_s)
        attempt = 0
        while True:
            try:
                work = await self._opened(held)
            except KafkaError as error:
                again_s = AGAIN_AFTER_S[min(attempt, len(AGAIN_AFTER_S) - 1)]
                attempt += 1
                log.warning("Cannot take partition %d over: %r; again in %s s", held.number, error, again_s)
                await asyncio.sleep(again_s)
            else:
                held.start(work)
                return

    async def _opened(self, held: Held) -> Partition:
        started_s = time.monotonic()
        stored = await held.checkpoints.open()
        known = await self._facts.fence_positions()
        work = Partition(held.number, self._engine(), stored)
        await self._place(work)
        if stored.positions is not None:
            for change in await self._facts.fence_changes(work.positions.fences):
                work.take_fence(change)
        for partition, end in known.items():
            work.fences_read(partition, end)
        took_s = time.monotonic() - started_s
        log.info("Holds partition %d: %d drivers back in %.1f s", held.number, work.drivers, took_s)
        return work

    async def _place(self, work: Partition) -> None:
        """Let inputs never read begin at their beginning. Raises Unavailable when others end too early."""
        tps = {name: TopicPartition(self._topics.name(name), work.number) for name in INPUTS}
        ends = await self._facts.ends(tps.values())
        firsts = await self._facts.firsts(tps.values())
        for name, tp in tps.items():
            work.start_at(name, firsts[tp])
            if work.positions.inputs[name] > ends[tp]:
                raise Unavailable(
                    f"topic {tp.topic}, partition {tp.partition} ends at {ends[tp]}, but the stored state "
                    f"has read it up to {work.positions.inputs[name]}: was the topic made anew? Then "
                    f"delete the topic {self._topics.state}, or choose another --app-id"
                )

    async def _still_ours(self, held: Held) -> bool:
        """Whether nobody took a partition over while the group was rebalancing: a transaction tells."""
        await self._commit_rest(held, always=True)
        return held.work is not None

    async def _finish(self, held: Held) -> None:
        """A last commit; a failure leaves the rest to whoever holds the partition next."""
        await self._commit_rest(held)

    async def _commit_rest(self, held: Held, always: bool = False) -> None:
        """Return when the transaction under way, and one for what is not in it, have ended somehow."""
        if held.committing is not None:
            await asyncio.wait([held.committing])
        if held.work is not None and (always or held.work.has_changed):
            held.committing = asyncio.create_task(self._commit(held, held.work))
            await asyncio.wait([held.committing])

    async def _give_up(self, held: Held) -> None:
        held.drop()
        await _cancelled(held.opening)
        await _cancelled(held.committing)
        await held.checkpoints.close()

    async def _commit(self, held: Held, work: Partition) -> None:
        messages, changes = held.uncommitted, work.changes(wall_ms())
        try:
            with self._instruments.checkpoint_s.time():
                await held.checkpoints.commit(changes)
        except Fenced as reason:
            log.warning("Gave up partition %d: %s", held.number, reason)
            self._lost(held, work, FENCED_PAUSE_S)
        except NotCommitted as reason:
            log.warning("Goes back to the last checkpoint of partition %d: %s", held.number, reason)
            self._lost(held, work, 0.0)
        else:
            self._instruments.checkpoints.labels(held.number).inc()
            if changes.since_ms is not None:
                self._instruments.delay_s.observe(max(0.0, (wall_ms() - changes.since_ms) / 1000))
            self._instruments.outputs.labels(held.number).inc(len(changes.outputs) + len(changes.extra))
            held.uncommitted -= messages
            held.committed.set()

    def _lost(self, held: Held, work: Partition, pause_s: float) -> None:
        """Memory is ahead of what is committed: drop it, read the last checkpoint, go on from there."""
        if held.work is not work:
            return
        self._instruments.setbacks.labels(held.number).inc()
        held.drop()
        if self._assigned:  # else whoever gets the partition next starts from that checkpoint
            held.opening = asyncio.create_task(self._come_back(held, pause_s))

    async def _come_back(self, held: Held, pause_s: float) -> None:
        await self._take_over(held, pause_s)
        if held.work is not None:
            await self.seek(held.work)


async def _cancelled(task: asyncio.Task[None] | None) -> None:
    """Return when the task has ended."""
    if task is not None and not task.done():
        task.cancel()
        await asyncio.wait([task])


def raise_from(tasks: Iterable[asyncio.Task[None] | None]) -> None:
    """Raise what a task that ended has raised."""
    for task in tasks:
        if task is not None and task.done() and not task.cancelled():
            task.result()


def wall_ms() -> int:
    """Milliseconds since 1970 by this machine's clock."""
    return time.time_ns() // 1_000_000
