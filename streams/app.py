"""The Faust app: `create_app` wires everything, and importing this module does nothing."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final, cast

import faust
from aiokafka import TopicPartition
from faust.types import TP

from streams import transport
from streams.agents.runs import Take, agent_of_runs, consumer_of
from streams.detection import INPUTS, DetectionWork
from streams.facts import Facts
from streams.metrics import Instruments, StateCollector
from streams.partition import Detection
from streams.settings import Settings
from streams.transport import Run

HEARTBEATS: Final = 4
"""Heartbeats within a session, before a silent worker loses its partitions."""


class FaustIntake:
    """The app's consumer as the work sees it."""

    def __init__(self, app: faust.App) -> None:
        self._app = app

    async def seek(self, positions: Mapping[TopicPartition, int]) -> None:
        """Go on at these offsets."""
        await consumer_of(self._app).seek_runs(
            {TP(tp.topic, tp.partition): at for tp, at in positions.items()}
        )

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
        self.facts = Facts(settings.bootstrap, settings.topics)
        self.instruments = Instruments()
        self.detection = DetectionWork(
            settings, self.facts, FaustIntake(self.app), self._engine, self.instruments
        )
        self.instruments.registry.register(
            StateCollector(self.detection.report, lambda: len(self.facts.fences))
        )
        self._facts_known: asyncio.Task[None] | None = None
        for topic in INPUTS:
            agent_of_runs(self.app, settings.topics.name(topic), self._detect(topic))
        kafka = cast(transport.Transport, self.app.transport)
        kafka.run_topics = frozenset(settings.topics.name(t) for t in INPUTS)
        kafka.positions = self._positions
        self.app.task(self.detection.run)
        self.app.on_partitions_revoked.connect(self._revoked, weak=False)
        self.app.on_rebalance_complete.connect(self._rebalanced, weak=False)
        self.app.on_before_shutdown.connect(self._stopping, weak=False)

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

    def _detect(self, topic: str) -> Take:
        async def take(run: Run) -> None:
            await self.detection.take(topic, run)

        return take

    async def _positions(self) -> Mapping[TP, int]:
        return {TP(tp.topic, tp.partition): at for tp, at in self.detection.positions().items()}

    async def _revoked(self, *_: Any, **__: Any) -> None:
        await self.detection.revoke()

    async def _rebalanced(self, *_: Any, **__: Any) -> None:
        """Awaited by Faust before records flow again."""
        self.app.consumer.stop_flow()
        if self._facts_known is None:
            self._facts_known = asyncio.create_task(self.facts.start())
        await self._facts_known
        pings = self.settings.topics.name("gps-pings")
        await self.detection.assign(
            tp.partition for tp in self.app.consumer.assignment() if tp.topic == pings
        )

    async def _stopping(self, *_: Any, **__: Any) -> None:
        await self.detection.stop()
        await self.facts.stop()


def create_app(settings: Settings) -> faust.App:
    """The Faust app of one worker process, with all its agents; the topics have to exist."""
    return Worker(settings).app


def _faust_app(settings: Settings) -> faust.App:
    transport.register()
    return faust.App(
        settings.topics.app_id,
        broker=[f"{transport.SCHEME}://{server}" for server in settings.bootstrap.split(",")],
        store="memory://",
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
