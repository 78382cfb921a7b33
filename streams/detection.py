"""Holds the input partitions assigned to this worker: takes them over, feeds them, commits, gives them up."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from geofence.routes import Route
from streams.checkpoint import Checkpoints, Fenced, NotCommitted
from streams.errors import Unavailable
from streams.facts import Facts
from streams.intake import Intake
from streams.metrics import Instruments, PartitionReport
from streams.partition import Detection, FenceChange, OutOfSequence, Partition, portions
from streams.scoring import Prediction, StopScoring
from streams.settings import Settings
from streams.transport import Run

INPUTS: Final = ("gps-pings", "device-fence-events", "routes")
TICK_S: Final = 0.02
LOOK_AGAIN_S: Final = 0.005
LOOK_EVERY_S: Final = 1.0
LET_GO_EVERY_S: Final = 600.0
BULK: Final = 2_000
"""A run of so many messages means catching up, when few large transactions do better than many quick ones."""

STRETCH_S: Final = 0.08
"""Pings are decided in portions that take about so long; other work has its turn in between."""

LEAST_PORTION, MOST_PORTION = 500, 16_000
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


class DetectionWork:
    """All partitions of this worker."""

    def __init__(
        self,
        settings: Settings,
        facts: Facts,
        intake: Intake,
        engine: Callable[[], Detection],
        instruments: Instruments,
        scoring: StopScoring | None = None,
    ) -> None:
        self.held: dict[int, Held] = {}
        self._settings = settings
        self._topics = settings.topics
        self._facts = facts
        self._intake = intake
        self._engine = engine
        self._instruments = instruments
        self._scoring = scoring
        self._assigned = False
        self._portion = LEAST_PORTION
        facts.on_fence.append(self._take_fence)

    async def assign(self, numbers: Iterable[int]) -> None:
        """From now on these partitions, and no others, are this worker's. Returns when all are ready."""
        wanted = set(numbers)
        self._assigned = True
        for number in set(self.held) - wanted:
            await self._give_up(self.held.pop(number))
        for number in sorted(wanted):
            held = self.held.get(number)
            if held is None:
                checkpoints = Checkpoints(self._settings.bootstrap, self._topics, number)
                held = self.held[number] = Held(number, checkpoints)
            if held.work is None or not await self._still_ours(held):
                self._open(held)
        opening = [h.opening for h in self.held.values() if h.opening is not None]
        await asyncio.gather(*opening, return_exceptions=True)
        _raise_from(opening)

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

    async def take(self, topic: str, run: Run) -> None:
        """Use a run of one of the inputs (the contract's name)."""
        held = self.held.get(run.partition)
        if held is None or held.work is None:
            return  # it is fetched again from the right place once the partition is held
        held.last_arrival_s, held.settled = time.monotonic(), False
        held.in_bulk = len(run.records) >= BULK
        work = held.work
        if topic == "gps-pings":
            await self._everything_known(held, work)
        for portion in portions(run, self._portion):
            if not await self._room(held, work):
                return
            predictions = await self._predictions(work, topic, portion)
            if held.work is not work:
                return
            began_s = time.monotonic()
            try:
                work.take(topic, portion)
            except OutOfSequence as reason:
                log.info("Seeking again: %s", reason)
                await self._seek(work)
                return
            work.add(predictions)
            held.uncommitted += len(portion.records)
            if topic == "gps-pings":
                self._pace(len(portion.records), time.monotonic() - began_s)
            await asyncio.sleep(0)

    async def predict_again(self, still_to_come: Callable[[Route, Partition], bool]) -> None:
        """Score the routes that are not over anew: another model is in charge."""
        if self._scoring is None:
            return
        for held in list(self.held.values()):
            work = held.work
            if work is not None:
                routes = [r for r in self._facts.routes_of(held.number) if still_to_come(r, work)]
                predictions = await self._scoring.of_routes(routes)
                if held.work is work:
                    work.add(predictions)

    async def _predictions(self, work: Partition, topic: str, portion: Run) -> list[Prediction]:
        if topic != "routes" or self._scoring is None:
            return []
        return await self._scoring.of_records(portion.since(work.positions.inputs[topic]).records)

    def report(self) -> list[PartitionReport]:
        """Every partition as it is now; may be called from another thread."""
        return [self._report(held) for held in list(self.held.values())]

    def _report(self, held: Held) -> PartitionReport:
        work = held.work
        if work is None:
            return PartitionReport(held.number, ready=False)
        lag = {}
        for topic, offset in list(work.positions.inputs.items()):
            end = self._intake.readable_end(TopicPartition(self._topics.name(topic), held.number))
            if end is not None:
                lag[topic] = max(0, end - offset)
        return PartitionReport(held.number, True, work.counts, work.drivers, lag)

    def positions(self) -> dict[TopicPartition, int]:
        """Where each input continues."""
        return {
            tp: offset
            for held in self.held.values()
            if held.work is not None
            for tp, offset in self._positions(held.work).items()
        }

    async def run(self) -> None:
        """Commit when it is time to, settle what has ended, until cancelled. Raises what stops a worker."""
        look_s = let_go_s = time.monotonic()
        while True:
            await asyncio.sleep(TICK_S)
            now_s = time.monotonic()
            for held in list(self.held.values()):
                self._commit_if_due(held, now_s)
                _raise_from([t for t in (held.opening, held.committing) if t is not None])
            if now_s - look_s >= LOOK_EVERY_S:
                look_s = now_s
                self._settle_idle(now_s)
            if now_s - let_go_s >= LET_GO_EVERY_S:
                let_go_s = now_s
                self._let_go()

    def _pace(self, messages: int, took_s: float) -> None:
        """Adjust how many pings are decided at a stretch, so that nothing else waits long."""
        if took_s > STRETCH_S:
            self._portion = max(LEAST_PORTION, self._portion // 2)
        elif took_s < STRETCH_S / 4 and messages >= self._portion:
            self._portion = min(MOST_PORTION, self._portion * 2)

    async def _room(self, held: Held, work: Partition) -> bool:
        """Wait until not too much is uncommitted; False when the partition was lost meanwhile."""
        while held.work is work and held.uncommitted >= self._settings.uncommitted_messages:
            held.committed.clear()
            await held.committed.wait()
        return held.work is work

    async def _everything_known(self, held: Held, work: Partition) -> None:
        """Return when all fences and routes there are now have been taken in."""
        routes = TopicPartition(self._topics.name("routes"), held.number)
        while held.work is work:
            try:
                ends = dict(await self._facts.ends([routes, *self._facts.partitions("geofences")]))
            except KafkaError as error:
                log.warning("Cannot look for geofences and routes: %s; intake waits", error)
                await asyncio.sleep(AGAIN_AFTER_S[-1])
                continue
            end = ends.pop(routes)
            await self._facts.reach(ends)
            while held.work is work and work.positions.inputs["routes"] < end:
                await asyncio.sleep(LOOK_AGAIN_S)
            return

    def _take_fence(self, change: FenceChange) -> None:
        for held in self.held.values():
            if held.work is not None:
                held.work.take_fence(change)

    def _open(self, held: Held) -> None:
        held.work = None
        held.committed.set()
        held.opening = asyncio.create_task(self._take_over(held))

    async def _take_over(self, held: Held, pause_s: float = 0.0) -> None:
        """Open a partition, however long the broker takes to let us."""
        await asyncio.sleep(pause_s)
        attempt = 0
        while True:
            try:
                work = await self._opened(held)
                break
            except KafkaError as error:
                again_s = AGAIN_AFTER_S[min(attempt, len(AGAIN_AFTER_S) - 1)]
                attempt += 1
                log.warning("Cannot take partition %d over: %r; again in %s s", held.number, error, again_s)
                await asyncio.sleep(again_s)
        held.work = work
        held.uncommitted, held.changed_s = 0, None
        held.last_arrival_s, held.settled = time.monotonic(), False

    async def _opened(self, held: Held) -> Partition:
        started_s = time.monotonic()
        stored = await held.checkpoints.open()
        known = await self._facts.fence_positions()
        work = Partition(held.number, self._engine(), stored)
        tps = {name: TopicPartition(self._topics.name(name), held.number) for name in INPUTS}
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
        if stored.positions is not None:
            for change in await self._facts.fence_changes(work.positions.fences):
                work.take_fence(change)
        for partition, end in known.items():
            work.fences_read(partition, end)
        log.info(
            "Holds partition %d: %d drivers back in %.1f s",
            held.number,
            len(stored.drivers),
            time.monotonic() - started_s,
        )
        return work

    async def _still_ours(self, held: Held) -> bool:
        """Whether nobody took a partition over while the group was rebalancing: a transaction tells."""
        if held.committing is not None:
            await asyncio.wait([held.committing])
        if held.work is None:
            return False
        try:
            await held.checkpoints.commit(held.work.changes(_wall_ms()))
        except (Fenced, NotCommitted):
            return False
        return True

    async def _give_up(self, held: Held) -> None:
        held.work = None
        held.committed.set()
        await _cancelled(held.opening)
        await _cancelled(held.committing)
        await held.checkpoints.close()

    async def _finish(self, held: Held) -> None:
        """A last commit; a failure leaves the rest to whoever holds the partition next."""
        if held.committing is not None:
            await asyncio.wait([held.committing])
        if held.work is not None and held.work.has_changed:
            held.committing = asyncio.create_task(self._commit(held, held.work))
            await asyncio.wait([held.committing])

    def _commit_if_due(self, held: Held, now_s: float) -> None:
        work = held.work
        if work is None or not work.has_changed:
            return
        if held.committing is not None and not held.committing.done():
            return
        if held.changed_s is None:
            held.changed_s = now_s
        waited_s = now_s - max(held.changed_s, held.last_commit_s)
        quick = work.has_outputs and not held.in_bulk
        if quick and now_s - held.last_commit_s < self._settings.visible_within_s:
            return
        if quick or waited_s >= self._settings.checkpoint_every_s or held.uncommitted >= self._half_full():
            held.last_commit_s, held.changed_s = now_s, None
            held.committing = asyncio.create_task(self._commit(held, work))

    def _half_full(self) -> int:
        return self._settings.uncommitted_messages // 2

    async def _commit(self, held: Held, work: Partition) -> None:
        messages, changes = held.uncommitted, work.changes(_wall_ms())
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
            self._instruments.outputs.labels(held.number).inc(len(changes.outputs) + len(changes.extra))
            held.uncommitted -= messages
            held.committed.set()

    def _lost(self, held: Held, work: Partition, pause_s: float) -> None:
        """Memory is ahead of what is committed: drop it, read the last checkpoint, go on from there."""
        if held.work is not work:
            return
        self._instruments.setbacks.labels(held.number).inc()
        held.work = None
        held.committed.set()
        if self._assigned:  # else whoever gets the partition next starts from that checkpoint
            held.opening = asyncio.create_task(self._come_back(held, pause_s))

    async def _come_back(self, held: Held, pause_s: float) -> None:
        await self._take_over(held, pause_s)
        if held.work is not None:
            await self._seek(held.work)

    async def _seek(self, work: Partition) -> None:
        await self._intake.seek(self._positions(work))

    def _positions(self, work: Partition) -> dict[TopicPartition, int]:
        return {
            TopicPartition(self._topics.name(topic), work.number): offset
            for topic, offset in work.positions.inputs.items()
        }

    def _settle_idle(self, now_s: float) -> None:
        for held in self.held.values():
            quiet = now_s - held.last_arrival_s >= self._settings.idle_s
            if held.work is not None and quiet and not held.settled and self._at_end(held.work):
                held.settled = True
                held.work.settle()

    def _at_end(self, work: Partition) -> bool:
        return all(self._intake.readable_end(tp) == offset for tp, offset in self._positions(work).items())

    def _let_go(self) -> None:
        before_ms = _wall_ms() - round(self._settings.let_go_after_s * 1000)
        for held in self.held.values():
            if held.work is not None:
                gone = held.work.let_go_unchanged_since(before_ms)
                if gone:
                    log.info("Let the state of %d drivers of partition %d go", gone, held.number)


async def _cancelled(task: asyncio.Task[None] | None) -> None:
    """Return when the task has ended."""
    if task is not None and not task.done():
        task.cancel()
        await asyncio.wait([task])


def _raise_from(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Raise what a task that ended has raised."""
    for task in tasks:
        if task.done() and not task.cancelled():
            task.result()


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000
