"""Predictions for the stops of routes: when a route arrives, and again when another model takes over."""

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from geofence.errors import InvalidRecord, ServicetimeError
from geofence.routes import Route
from streams.facts import Facts
from streams.metrics import Instruments
from streams.packed import KafkaRecord
from streams.records import decode_route
from streams.settings import Settings

if TYPE_CHECKING:
    from models.scoring import Scorer

AT_ONCE: Final = 200
"""Routes scored in one call."""

PART: Final = "model registry"

NEEDED: Final = ("deltalake.exceptions", "models.dataset", "models.scoring")
NEEDED_BY_MODELS: Final = ("lightgbm", "mlflow.tracking")

Prediction = tuple[str, bytes, bytes]
"""Topic (the contract's name), key, value."""

log = logging.getLogger(__name__)
_encode: Final = msgspec.json.Encoder().encode


def load(settings: Settings) -> None:
    """Import what scoring needs, before there is other work: that stands still meanwhile, for seconds."""
    for name in NEEDED if settings.registry is None else NEEDED + NEEDED_BY_MODELS:
        import_module(name)


class StopScoring:
    """Keeps the champion of the registry and the history in the training table at hand, and scores routes."""

    def __init__(self, settings: Settings, facts: Facts, instruments: Instruments) -> None:
        self._settings = settings
        self._facts = facts
        self._instruments = instruments
        self._scorer: Scorer | None = None
        self._champion: int | None = None
        self._table_version: int | None = None
        self._one_at_a_time = asyncio.Lock()

    async def refresh(self) -> bool:
        """Look for a new champion and new visits; True when another model is in charge now."""
        from deltalake.exceptions import DeltaError

        async with self._one_at_a_time:
            try:
                changed = await asyncio.to_thread(self._refresh)
            except (ServicetimeError, OSError, DeltaError) as error:
                self._instruments.problems[PART] = str(error)
                log.warning("Cannot look for a new model: %s", error)
                return False
            self._instruments.problems.pop(PART, None)
        return changed

    async def of_records(self, records: Sequence[KafkaRecord]) -> list[Prediction]:
        """The predictions for the routes of records; those that cannot be read have none."""
        routes = []
        for record in records:
            try:
                routes.append(decode_route(record.value or b""))
            except InvalidRecord:  # reported by the partition that takes it in
                continue
        return await self.of_routes(routes)

    async def of_routes(self, routes: Iterable[Route]) -> list[Prediction]:
        """The predictions for all stops of these routes, and the routes' totals."""
        if self._scorer is None:
            await self.refresh()
            await asyncio.to_thread(self._need_some_scorer)
        wanted = (route for route in routes if route.stops)
        predictions: list[Prediction] = []
        async with self._one_at_a_time:
            while at_once := list(islice(wanted, AT_ONCE)):
                stops = await self._stops(at_once)
                predictions += await asyncio.to_thread(self._score, stops)
        return predictions

    async def _stops(self, routes: Sequence[Route]) -> list[dict[str, Any]]:
        """What is known of the stops of these routes.

        Gathered here, not in the thread that scores: fences and weather belong to the loop's thread, which
        changes them, and the R-tree's library takes one caller at a time.
        """
        stops: list[dict[str, Any]] = []
        for route in routes:
            stops += self._facts.stops.of_route(route)
            await asyncio.sleep(0)  # others have a turn
        return stops

    def _refresh(self) -> bool:
        from models.scoring import Scorer

        champion = self._found_champion()
        visits, table_version = self._visits()
        version = None if champion is None else champion.version
        if self._scorer is not None and (version, table_version) == (self._champion, self._table_version):
            return False
        if champion is None:
            self._scorer = Scorer(visits)
        elif version == self._champion and self._scorer is not None:
            self._scorer = Scorer(visits, self._scorer.model, str(version))
        else:
            self._scorer = Scorer(visits, champion.load(), str(version))
        changed, self._champion, self._table_version = version != self._champion, version, table_version
        if changed and version is not None:
            log.info("Predicts with model version %d", version)
        return changed

    def _need_some_scorer(self) -> None:
        """Fall back on the rule while neither models nor visits can be had."""
        from models.schema import TRAINING
        from models.scoring import Scorer

        if self._scorer is None:
            self._scorer = Scorer(TRAINING.empty_table().to_pandas())

    def _found_champion(self) -> "_Champion | None":
        address = self._settings.registry
        if address is None or ("://" not in address and not Path(address).exists()):
            return None
        from models.registry import CHAMPION, Registry

        registry = Registry(address)
        if not registry.has(CHAMPION):
            return None
        return _Champion(registry, registry.entry(CHAMPION).version)

    def _visits(self) -> tuple[Any, int | None]:
        from models.dataset import current_version, read
        from models.errors import NoTrainingData
        from models.schema import TRAINING

        table = self._settings.table
        try:
            if table is not None:
                return read(table), current_version(table)
        except NoTrainingData:
            log.debug("There is no training table yet")
        return TRAINING.empty_table().to_pandas(), None

    def _score(self, stops: Sequence[Mapping[str, Any]]) -> list[Prediction]:
        assert self._scorer is not None
        now_ms = time.time_ns() // 1_000_000
        predicted, totals = self._scorer.predictions_and_totals(stops, now_ms)
        for stop in predicted:
            self._instruments.predictions.labels(stop["fallback"] or "none").inc()
        return [
            *(("stop-predictions", p["stop_id"].encode(), _encode(p)) for p in predicted),
            *(("route-predictions", t["route_id"].encode(), _encode(t)) for t in totals),
        ]


class _Champion:
    """The model in charge, loaded when needed."""

    def __init__(self, registry: Any, version: int) -> None:
        self.version = version
        self._registry = registry

    def load(self) -> Any:
        """The model itself."""
        return self._registry.load(self.version)[0]
