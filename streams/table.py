"""Replayed visits to rows of the training table, some thousands a commit."""

from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

from geofence.events import ServiceTime
from geofence.fences import FenceSet
from geofence.routes import Route
from models.dataset import upsert
from models.rows import Facts, training_row
from models.weather import WeatherBook
from streams.files import read_weather
from streams.records import to_fields

ROWS_A_COMMIT: Final = 20_000


class TrainingTable:
    """Gathers the highest revision of each visit and puts them into the table; rows it has stay."""

    def __init__(
        self, uri: str, fences: FenceSet, routes: Iterable[Route], weather: str | None = None
    ) -> None:
        self._uri = uri
        self._routes = {route.route_id: route for route in routes}
        self._facts = Facts(fences, WeatherBook(read_weather(weather) if weather is not None else ()))
        self._rows: dict[str, dict[str, Any]] = {}
        self.written = 0
        self.refused = 0
        self.reasons: Counter[str] = Counter()

    def add(self, visits: Iterable[ServiceTime]) -> None:
        """Take revisions in; commits when there are many."""
        for visit in visits:
            record = to_fields(visit)
            route = None if visit.route_id is None else self._routes.get(visit.route_id)
            self._rows[visit.visit_id] = training_row(record, self._facts.of_visit(record, route))
        if len(self._rows) >= ROWS_A_COMMIT:
            self._commit()

    def close(self) -> None:
        """Commit what is still held."""
        if self._rows:
            self._commit()

    def _commit(self) -> None:
        done = upsert(self._uri, list(self._rows.values()))
        self.written += done.written
        self.refused += done.quarantined
        self.reasons.update(done.reasons)
        self._rows.clear()
