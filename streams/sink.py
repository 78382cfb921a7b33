"""Visits into the training table: each batch is tied to its input offsets, so none is missed or repeated."""

import asyncio
import logging
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import msgspec
from aiokafka import TopicPartition

from streams.errors import Unavailable
from streams.facts import Facts
from streams.intake import until_it_works
from streams.metrics import Instruments
from streams.packed import KafkaRecord
from streams.settings import Settings
from streams.transport import Run

FULL: Final = 20_000
"""So many records may wait for the table before intake pauses."""

AGAIN_AFTER_S: Final = (1.0, 2.0, 5.0, 10.0, 30.0)
DRAWN: Final = re.compile(r"\x1b\[[0-9;]*m|↳")
LAST_WRITE_S: Final = 10.0
PART: Final = "training table"

log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Waiting:
    """Records of one partition that are not in the table yet; `end` is the offset after the last."""

    end: int
    records: list[KafkaRecord] = field(default_factory=list)
    written: int = 0


class TableSink:
    """Collects visits and writes them to the table, one transaction a partition and batch.

    The table itself knows up to which offset it holds each partition: that is where a worker resumes.
    """

    def __init__(self, settings: Settings, facts: Facts, instruments: Instruments) -> None:
        assert settings.table is not None
        self._table = settings.table
        self._every_s = settings.sink_every_s
        self._topics = settings.topics
        self._topic = settings.topics.name("service-times")
        self._facts = facts
        self._instruments = instruments
        self._waiting: dict[int, Waiting] = {}
        self._room = asyncio.Event()

    async def assign(self, tps: Iterable[TopicPartition]) -> None:
        """From now on these partitions, and no others, are this worker's; resume where the table says."""
        from models.dataset import committed_version

        wanted = {tp.partition for tp in tps if tp.topic == self._topic}
        self._waiting.clear()
        self._room.set()
        tps = [TopicPartition(self._topic, p) for p in wanted]
        ends = await until_it_works(lambda: self._facts.ends(tps), "look where topics end") if tps else {}
        for number in wanted:
            held = await self._patiently(committed_version, self._table, self._app_id(number)) or 0
            end = ends[TopicPartition(self._topic, number)]
            if held > end:
                raise Unavailable(
                    f"topic {self._topic}, partition {number} ends at {end}, but the table {self._table} "
                    f"holds it up to {held}: was the topic made anew? Then take another --app-id or --table"
                )
            self._waiting[number] = Waiting(held, written=held)

    def positions(self) -> Mapping[TopicPartition, int]:
        """Where each partition continues."""
        return {TopicPartition(self._topic, n): waiting.written for n, waiting in self._waiting.items()}

    async def take(self, run: Run) -> None:
        """Keep a run for the next batch."""
        waiting = self._waiting.get(run.partition)
        if waiting is None or run.start is None or run.start > waiting.end:
            return
        fresh = run.since(waiting.end)
        waiting.records += fresh.records
        waiting.end = max(waiting.end, fresh.end)
        while len(waiting.records) >= FULL and self._waiting.get(run.partition) is waiting:
            self._room.clear()
            await self._room.wait()

    async def run(self) -> None:
        """Write what waits, now and then, until cancelled."""
        while True:
            await asyncio.sleep(self._every_s)
            await self.flush()

    async def flush(self) -> None:
        """Write everything that waits."""
        for number, waiting in list(self._waiting.items()):
            records, end = waiting.records, waiting.end
            if not records or self._waiting.get(number) is not waiting:
                continue
            waiting.records = []
            await self._write(number, records, end)
            waiting.written = end
            self._room.set()

    async def stop(self) -> None:
        """Write what waits, unless that takes long: it can be read again."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.flush(), LAST_WRITE_S)

    async def _write(self, number: int, records: list[KafkaRecord], end: int) -> None:
        from models.dataset import upsert

        everything = partial(self._facts.present, "geofences", "routes", "weather")
        await until_it_works(everything, "look for geofences, routes and weather")
        rows = self._rows(records)
        done = await self._patiently(upsert, self._table, rows, self._app_id(number), end)
        self._instruments.table_rows.inc(done.written)
        if done.quarantined:
            for reason, count in done.reasons.items():
                self._instruments.quarantined.labels(reason).inc(count)
            reasons = ", ".join(sorted(done.reasons))
            log.warning("%d rows went to the table's quarantine: %s", done.quarantined, reasons)

    def _rows(self, records: list[KafkaRecord]) -> list[dict[str, Any]]:
        """A row for the highest revision of each visit."""
        from models.rows import training_row

        newest: dict[str, dict[str, Any]] = {}
        for record in records:
            if record.value is not None:
                visit = msgspec.json.decode(record.value)
                known = newest.get(visit["visit_id"])
                if known is None or visit["revision"] > known["revision"]:
                    newest[visit["visit_id"]] = visit
        facts, routes = self._facts.stops, self._facts.routes
        return [training_row(v, facts.of_visit(v, routes.get(v["route_id"]))) for v in newest.values()]

    async def _patiently(self, function: Any, *arguments: Any) -> Any:
        """Call in a thread until it succeeds; meanwhile intake pauses and `/healthz` tells why."""
        from deltalake.exceptions import DeltaError

        attempt = 0
        while True:
            try:
                result = await asyncio.to_thread(function, *arguments)
            except (DeltaError, OSError) as error:
                again_s = AGAIN_AFTER_S[min(attempt, len(AGAIN_AFTER_S) - 1)]
                attempt += 1
                problem = f"{self._table}: {_in_one_line(error)}"
                self._instruments.problems[PART] = problem
                log.error("The training table cannot be used; visits wait in Kafka. %s", problem)  # noqa: TRY400
                await asyncio.sleep(again_s)
            else:
                self._instruments.problems.pop(PART, None)
                return result

    def _app_id(self, number: int) -> str:
        return f"{self._topics.app_id}/{self._topic}/{number}"


def _in_one_line(error: Exception) -> str:
    """What an error says, without the colours, arrows and line breaks in which Delta's library draws it."""
    return " ".join(DRAWN.sub(" ", str(error)).split())
