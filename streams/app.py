"""The Faust app: `create_app` wires everything, and importing this module does nothing."""

import asyncio
import tempfile
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

import faust
from aiokafka import TopicPartition
from faust.types import TP

from streams import transport
from streams.agents.runs import Take, agent_of_runs, consumer_of
from streams.detection import DetectionWork
from streams.facts import Facts
from streams.holding import INPUTS, Holding
from streams.inspection import DECODERS, Inspection
from streams.metrics import Instruments, StateCollector
from streams.partition import Detection, Partition
from streams.route_book import RouteSpan
from streams.scoring import StopScoring
from streams.settings import Settings
from streams.sink import TableSink
from streams.watch import watch_kafka

HEARTBEATS: Final = 4
"""Heartbeats within a session, before a silent worker loses its partitions."""

ROUTE_LASTS_MS: Final = 16 * 3_600_000
"""A route without a stated end is over so long after its start."""


class FaustIntake:
    """The app's consumer as the work sees it."""

    def __init__(self, app: faust.App) -> None:
        self._app = app

    async def seek(self, positions: Mapping[TopicPartition, int]) -> None:
        """Go on at these offsets."""
        await consumer_of(self._app).seek_runs(
            {TP(tp.topic, tp.partition): at for tp, at in positions.items()}
        )

    async def starting_points(self, tps: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Where the consumer group left off, else the first offset there is."""
        points = await consumer_of(self._app).starting_points(TP(tp.topic, tp.partition) for tp in tps)
        return {TopicPartition(tp.topic, tp.partition): at for tp, at in points.items()}

    def readable_end(self, tp: TopicPartition) -> int | None:
        """The offset after the last record that can be read, as far as known."""
        if TP(tp.topic, tp.partition) not in self._app.consumer.assignment():
            return None
        end: int | None = self._app.consumer.highwater(TP(tp.topic, tp.partition))
        return end


class Worker:
    """One worker process: the Faust app and the work that its agents do."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.app = _faust_app(settings)
        self.facts = Facts(settings.bootstrap, settings.topics, settings.rules.day_kept_s)
        self.instruments = Instruments()
        intake = FaustIntake(self.app)
        self.scoring = StopScoring(settings, self.facts, self.instruments)
        self.holding = Holding(settings, self.facts, intake, self._engine, self.instruments)
        self.detection = DetectionWork(settings, self.facts, intake, self.holding, self.scoring)
        self.inspection = Inspection(settings.bootstrap, settings.topics, intake)
        self.sink = None if settings.table is None else TableSink(settings, self.facts, self.instruments)
        self._facts_known: asyncio.Task[None] | None = None
        self._register_agents()
        self._connect()

    def _register_agents(self) -> None:
        name = self.settings.topics.name
        takes: dict[str, Take] = {name(t): partial(self.detection.take, t) for t in INPUTS}
        takes |= {name(t): self.inspection.take for t in DECODERS}
        if self.sink is not None:
            takes[name("service-times")] = self.sink.take
            self.app.task(self.sink.run)
        for topic, take in takes.items():
            agent_of_runs(self.app, topic, take)
        kafka = cast(transport.Transport, self.app.transport)
        kafka.run_topics = frozenset(takes)
        kafka.positions = self._positions

    def _connect(self) -> None:
        self.app.task(self.detection.run)
        self.app.task(self._watch_kafka)
        self.app.task(self._follow_models)
        self.app.on_partitions_revoked.connect(self._revoked, weak=False)
        self.app.on_rebalance_complete.connect(self._rebalanced, weak=False)
        self.app.on_before_shutdown.connect(self._stopping, weak=False)
        self.instruments.registry.register(
            StateCollector(self.detection.report, lambda: len(self.facts.fences))
        )

    def health(self) -> dict[str, Any]:
        """What `/healthz` tells."""
        partitions = {str(r.number): "ready" if r.ready else "taking over" for r in self.detection.report()}
        well = not self.instruments.problems and all(state == "ready" for state in partitions.values())
        return {
            "status": "ok" if well else "degraded",
            "partitions": partitions,
            "problems": dict(self.instruments.problems),
        }

    def _engine(self) -> Detection:
        from geofence.engine import Engine

        return Engine(self.settings.rules, self.facts.fences)

    async def _follow_models(self) -> None:
        """Look for a new champion now and then; when there is one, score routes that are not over again."""
        while True:
            await asyncio.sleep(self.settings.look_for_models_s)
            if await self.scoring.refresh():
                await self.detection.predict_again(_still_to_come)

    async def _watch_kafka(self) -> None:
        await watch_kafka(self.settings.bootstrap, self.instruments.problems)

    async def _positions(self) -> Mapping[TP, int]:
        found = {**self.holding.positions(), **self.inspection.positions()}
        if self.sink is not None:
            found |= self.sink.positions()
        return {TP(tp.topic, tp.partition): at for tp, at in found.items()}

    async def _revoked(self, *_: Any, **__: Any) -> None:
        await self.holding.revoke()

    async def _rebalanced(self, *_: Any, **__: Any) -> None:
        """Awaited by Faust before records flow again."""
        self.app.consumer.stop_flow()
        if self._facts_known is None:
            self._facts_known = asyncio.create_task(self.facts.start())
        await self._facts_known
        assigned = [TopicPartition(tp.topic, tp.partition) for tp in self.app.consumer.assignment()]
        pings = self.settings.topics.name("gps-pings")
        await self.holding.assign(tp.partition for tp in assigned if tp.topic == pings)
        await self.inspection.assign(assigned)
        if self.sink is not None:
            await self.sink.assign(assigned)

    async def _stopping(self, *_: Any, **__: Any) -> None:
        await self.holding.stop()
        if self.sink is not None:
            await self.sink.stop()
        await self.inspection.stop()
        await self.facts.stop()


def _still_to_come(work: Partition, route: RouteSpan) -> bool:
    """Whether, by the driver's own time, the route is not over."""
    ends_ms = route.starts_ms + ROUTE_LASTS_MS if route.ends_ms is None else route.ends_ms
    return ends_ms > work.last_seen_ms(route.driver_id)


def create_app(settings: Settings) -> faust.App:
    """The Faust app of one worker process, with all its agents; the topics have to exist."""
    return Worker(settings).app


def _faust_app(settings: Settings) -> faust.App:
    transport.register()
    return faust.App(
        settings.topics.app_id,
        broker=[f"{transport.SCHEME}://{server}" for server in settings.bootstrap.split(",")],
        store="memory://",
        datadir=Path(tempfile.gettempdir()) / f"{settings.topics.app_id}-faust",  # nothing of ours goes there
        topic_partitions=settings.topics.partitions,
        topic_allow_declare=False,
        topic_disable_leader=True,
        topic_replication_factor=1,
        stream_buffer_maxsize=4096,
        stream_wait_empty=False,
        stream_recovery_delay=0.0,
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=2 * 2**20,
        broker_session_timeout=settings.session_timeout_s,
        broker_heartbeat_interval=settings.session_timeout_s / HEARTBEATS,
        broker_commit_livelock_soft_timeout=86_400.0,
        web_enabled=False,
    )
