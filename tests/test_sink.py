"""The sink of the training table: what it refuses is counted by reason."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from geofence.fences import FenceSet
from models import dataset
from models.rows import Facts
from streams.metrics import Instruments
from streams.route_book import RouteBook
from streams.sink import TableSink


class NoFacts:
    """Facts of a deployment that has neither fences nor routes."""

    stops, routes = Facts(FenceSet()), RouteBook(0.0)

    async def present(self, *topics: str) -> bool:
        return True


def record(visit: str, confidence: float) -> Any:
    visit_ = {
        "visit_id": visit, "revision": 1, "status": "completed", "driver_id": "d1", "customer_id": "c1",
        "fence_id": "f1", "route_id": None, "stop_id": None, "arrived_at": "2026-09-01T12:00:00.000Z",
        "departed_at": "2026-09-01T12:05:00.000Z", "service_time_s": 300.0, "confidence": confidence,
    }  # fmt: skip
    return SimpleNamespace(value=json.dumps(visit_).encode())


async def test_refused_rows_are_counted_by_reason_and_a_batch_delivered_again_counts_once(
    tmp_path: Path,
) -> None:
    topics = SimpleNamespace(app_id="app", name=lambda name: name)
    settings = SimpleNamespace(table=str(tmp_path / "table"), sink_every_s=1.0, topics=topics)
    instruments = Instruments()
    sink = TableSink(settings, NoFacts(), instruments)  # type: ignore[arg-type]
    for _ in range(2):
        await sink._write(0, [record("v1", 0.9), record("v2", 7.0)], end=2)
    value = instruments.registry.get_sample_value
    assert value("servicetime_table_rows_total") == 1
    reason = {"reason": "confidence: is not between 0 and 1"}
    assert value("servicetime_table_quarantined_total", reason) == 1
    assert dataset.committed_version(settings.table, "app/service-times/0") == 2
    assert dataset.read(settings.table)["visit_id"].tolist() == ["v1"]
