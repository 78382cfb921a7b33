"""The work of the agents of pings, routes and device events: feed the partitions, settle, let go."""

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial
from math import inf
from typing import Final

from aiokafka import TopicPartition

from streams.facts import Facts
from streams.holding import Held, Holding, raise_from, wall_ms
from streams.intake import Intake, until_it_works
from streams.metrics import PartitionReport
from streams.partition import FenceChange, OutOfSequence, Partition, portions
from streams.route_book import RouteSpan
from streams.scoring import Prediction, StopScoring
from streams.settings import Settings
from streams.transport import Run

TICK_S: Final = 0.02
LOOK_AGAIN_S: Final = 0.005
LOOK_EVERY_S: Final = 1.0
LET_GO_EVERY_S: Final = 600.0
BULK: Final = 2_000
"""A run of so many messages, with as many to come, means catching up: few large transactions do better."""

STRETCH_S: Final = 0.6
"""Pings are decided in portions that take about so long; other work has its turn in between. The more pings
of a driver come at once, the less each costs; where nothing is behind, what was fetched takes far less."""

COMMIT_TURN_S: Final = 0.015
"""That turn is at most so long while a transaction is under way, which takes many short ones."""

LEAST_PORTION: Final = 1_000
GROWTH: Final = 4  # at most, from one portion to the next
MOST_PORTION: Final = 100_000

log = logging.getLogger(__name__)


class DetectionWork:
    """Feeds the partitions that this worker holds, and has them committed in time."""

    def __init__(
        self,
        settings: Settings,
        facts: Facts,
        intake: Intake,
        holding: Holding,
        scoring: StopScoring | None = None,
    ) -> None:
        self._settings = settings
        self._topics = settings.topics
        self._facts = facts
        self._intake = intake
        self._holding = holding
        self._scoring = scoring
        self._portion = LEAST_PORTION
        self._asked_s = -inf
        self._ends: dict[TopicPartition, int] = {}
        facts.on_fence.append(self._take_fence)

    async def take(self, topic: str, run: Run) -> None:
        """Use a run of one of the inputs (the contract's name)."""
        held = self._holding.held.get(run.partition)
        if held is None or held.work is None:
            return  # it is fetched again from the right place once the partition is held
        work = held.work
        held.last_arrival_s, held.settled = time.monotonic(), False
        if topic == "gps-pings":
            held.in_bulk = len(run.records) >= BULK and self._behind(run) >= BULK
            await self._everything_known(held, work, run.fetched_s)
        for portion in portions(run, lambda: self._portion):
            predictions = await self._predictions(work, topic, portion)
            if not await self._room(held, work):
                return
            try:
                took_s = self._take_portion(held, work, topic, portion)
            except OutOfSequence as reason:
                log.info("Seeking again: %s", reason)
                await self._holding.seek(work)
                return
            work.add(predictions)
            await asyncio.sleep(min(took_s, COMMIT_TURN_S) if held.is_committing else 0)

    async def run(self) -> None:
        """Commit when it is time to, settle what has ended, until cancelled. Raises what stops a worker."""
        look_s = let_go_s = time.monotonic()
        while True:
            await asyncio.sleep(TICK_S)
            now_s = time.monotonic()
            for held in list(self._holding.held.values()):
                raise_from((held.opening, held.committing))
                self._holding.commit_if_due(held, now_s)
            if now_s - look_s >= LOOK_EVERY_S:
                look_s = now_s
                self._settle_idle(now_s)
            if now_s - let_go_s >= LET_GO_EVERY_S:
                let_go_s = now_s
                self._let_go()

    async def predict_again(self, still_to_come: Callable[[Partition, RouteSpan], bool]) -> None:
        """Score the routes that are not over anew: another model is in charge."""
        if self._scoring is None:
            return
        for held in list(self._holding.held.values()):
            work = held.work
            if work is not None:
                routes = self._facts.routes.of_partition(held.number, partial(still_to_come, work))
                predictions = await self._scoring.of_routes(routes)
                if held.work is work:
                    work.add(predictions)

    def report(self) -> list[PartitionReport]:
        """Every partition as it is now; may be called from another thread."""
        return [self._report(held) for held in list(self._holding.held.values())]

    def _behind(self, run: Run) -> int:
        """How many messages are known to follow a run."""
        end = self._intake.readable_end(TopicPartition(run.topic, run.partition))
        return 0 if end is None else end - run.end

    def _take_portion(self, held: Held, work: Partition, topic: str, portion: Run) -> float:
        """The seconds that it took."""
        began_s = time.monotonic()
        work.take(topic, portion)
        took_s = time.monotonic() - began_s
        held.uncommitted += len(portion.records)
        if topic == "gps-pings":
            self._pace(len(portion.records), took_s)
        return took_s

    def _pace(self, messages: int, took_s: float) -> None:
        """Adjust how many pings are decided at a stretch, so that nothing else waits long."""
        if messages >= LEAST_PORTION:
            fitting = round(messages * STRETCH_S / max(took_s, 1e-3))
            self._portion = min(max(LEAST_PORTION, fitting), GROWTH * self._portion, MOST_PORTION)

    async def _predictions(self, work: Partition, topic: str, portion: Run) -> list[Prediction]:
        if topic != "routes" or self._scoring is None:
            return []
        return await self._scoring.of_records(portion.since(work.positions.inputs[topic]).records)

    async def _room(self, held: Held, work: Partition) -> bool:
        """Wait until not too much is uncommitted; False when the partition was lost meanwhile."""
        while held.work is work and held.uncommitted >= self._settings.uncommitted_messages:
            held.committed.clear()
            await held.committed.wait()
        return held.work is work

    async def _everything_known(self, held: Held, work: Partition, by_s: float) -> None:
        """Return when all fences and routes there were at that moment (or later) have been taken in."""
        routes = TopicPartition(self._topics.name("routes"), held.number)
        if by_s >= self._asked_s or routes not in self._ends:
            await self._ask()
        await self._facts.reach({tp: end for tp, end in self._ends.items() if tp.topic != routes.topic})
        end = self._ends.get(routes, 0)
        while held.work is work and work.positions.inputs["routes"] < end:
            await asyncio.sleep(LOOK_AGAIN_S)

    async def _ask(self) -> None:
        """Note up to where there are geofences and routes now; that holds for all runs fetched before."""
        asked_s = time.monotonic()
        routes = [TopicPartition(self._topics.name("routes"), number) for number in self._holding.held]
        tps = [*routes, *self._facts.partitions("geofences")]
        self._ends = dict(
            await until_it_works(lambda: self._facts.ends(tps), "look for geofences and routes")
        )
        self._asked_s = asked_s

    def _take_fence(self, change: FenceChange) -> None:
        """Let each engine see the fence change from what it was: they share one set of fences.

        Most of what is published again is as it was: of that they only note that it was read.
        """
        fences = self._facts.fences
        before = fences.versions(change.fence_id)
        same = not before if change.fence is None else fences.holds(change.fence)
        for held in self._holding.held.values():
            if held.work is None:
                continue
            if same:
                held.work.fences_read(change.partition, change.offset + 1)
                continue
            fences.remove(change.fence_id)
            for version in before:
                fences.put(version)
            held.work.take_fence(change)

    def _report(self, held: Held) -> PartitionReport:
        work = held.work
        if work is None:
            return PartitionReport(held.number, ready=False)
        lag = {}
        for topic, offset in list(work.positions.inputs.items()):
            end = self._intake.readable_end(TopicPartition(self._topics.name(topic), held.number))
            if end is not None:
                lag[topic] = max(0, end - offset)
        settled = held.settled and not work.has_changed and not held.is_committing
        return PartitionReport(held.number, True, work.counts, work.drivers, lag, settled)

    def _settle_idle(self, now_s: float) -> None:
        for held in self._holding.held.values():
            quiet = now_s - held.last_arrival_s >= self._settings.idle_s
            if held.work is not None and quiet and not held.settled and self._at_end(held.work):
                held.work.settle()
                held.settled = True  # after the work, which takes a while: metrics are read meanwhile

    def _at_end(self, work: Partition) -> bool:
        positions = self._holding.positions_of(work)
        return all(self._intake.readable_end(tp) == offset for tp, offset in positions.items())

    def _let_go(self) -> None:
        before_ms = wall_ms() - round(self._settings.let_go_after_s * 1000)
        for held in self._holding.held.values():
            if held.work is not None:
                gone = held.work.let_go_unchanged_since(before_ms)
                if gone:
                    log.info("Let the state of %d drivers of partition %d go", gone, held.number)
