"""What a worker tells of itself: Prometheus metrics, `/healthz`, served by a small thread of their own."""

import json
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from threading import Thread
from time import process_time
from typing import Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, Counter, Histogram, make_wsgi_app
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from streams.errors import Unavailable
from streams.state import Counts

CHECKPOINT_BUCKETS_S: Final = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 60.0)
DELAY_BUCKETS_S: Final = (
    *(0.025, 0.05, 0.075, 0.1, 0.125, 0.15, 0.175, 0.2, 0.225, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.75),
    *(1.0, 1.5, 2.5, 5.0, 10.0, 60.0),
)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PartitionReport:
    """One input partition as it is now; `lag` is in messages by topic, as far as known."""

    number: int
    ready: bool
    counts: Counts = field(default_factory=Counts)
    drivers: int = 0
    lag: dict[str, int] = field(default_factory=dict)
    settled: bool = False
    """Its input has ended, as far as anybody knows, and everything that follows from it is committed."""


@dataclass(slots=True)
class Instruments:
    """What the work counts by itself."""

    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    checkpoints: Counter = field(init=False)
    checkpoint_s: Histogram = field(init=False)
    delay_s: Histogram = field(init=False)
    outputs: Counter = field(init=False)
    setbacks: Counter = field(init=False)
    table_rows: Counter = field(init=False)
    quarantined: Counter = field(init=False)
    predictions: Counter = field(init=False)
    problems: dict[str, str] = field(default_factory=dict)
    """What does not work right now, by part: `/healthz` tells."""

    def __post_init__(self) -> None:
        def counter(name: str, text: str, labels: tuple[str, ...] = ()) -> Counter:
            return Counter(f"servicetime_{name}", text, labels, registry=self.registry)

        self.checkpoints = counter("checkpoints", "Committed transactions", ("partition",))
        self.outputs = counter("outputs", "Records committed to output topics", ("partition",))
        self.setbacks = counter("setbacks", "Returns to the last checkpoint", ("partition",))
        self.table_rows = counter("table_rows", "Rows written to the training table")
        self.quarantined = counter("table_quarantined", "Rows the training table refused", ("reason",))
        self.predictions = counter("predictions", "Stops predicted", ("fallback",))

        def histogram(name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
            return Histogram(f"servicetime_{name}", text, buckets=buckets, registry=self.registry)

        self.checkpoint_s = histogram(
            "checkpoint_seconds", "Duration of a checkpoint's transaction", CHECKPOINT_BUCKETS_S
        )
        self.delay_s = histogram(
            "output_delay_seconds", "From a ping's arrival in Kafka to its records' commit", DELAY_BUCKETS_S
        )


class StateCollector:
    """Asks the work for its state whenever Prometheus asks."""

    def __init__(self, partitions: Callable[[], list[PartitionReport]], fences: Callable[[], int]) -> None:
        self._partitions = partitions
        self._fences = fences

    def describe(self) -> Iterable[Metric]:
        """Nothing beforehand: the families depend on the state."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """The families of metrics as they are now."""
        pings = CounterMetricFamily(
            "servicetime_pings", "What became of the pings", labels=("partition", "outcome")
        )
        dead = CounterMetricFamily(
            "servicetime_dead_letters", "Records that could not be used", labels=("partition",)
        )
        lag = GaugeMetricFamily(
            "servicetime_lag_messages", "Messages not used yet", labels=("topic", "partition")
        )
        drivers = GaugeMetricFamily(
            "servicetime_drivers", "Drivers whose state is kept", labels=("partition",)
        )
        ready = GaugeMetricFamily(
            "servicetime_partition_ready", "Whether the partition is at work", labels=("partition",)
        )
        settled = GaugeMetricFamily(
            "servicetime_partition_settled",
            "Whether its input was read to the end, is quiet, and all that follows is committed",
            labels=("partition",),
        )
        for report in self._partitions():
            number = str(report.number)
            for outcome in ("used", "duplicate", "too_late"):
                pings.add_metric((number, outcome), getattr(report.counts, outcome))
            dead.add_metric((number,), report.counts.dead)
            drivers.add_metric((number,), report.drivers)
            ready.add_metric((number,), report.ready)
            settled.add_metric((number,), report.settled)
            for topic, behind in report.lag.items():
                lag.add_metric((topic, number), behind)
        yield from (pings, dead, lag, drivers, ready, settled)
        cpu = CounterMetricFamily("servicetime_cpu_seconds", "Processor time of this process", process_time())
        yield cpu
        yield GaugeMetricFamily("servicetime_fences", "Geofences known", value=self._fences())


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the library's name)
        log.debug(format, *args)


class WebServer:
    """Serves `/metrics` and `/healthz` until stopped."""

    def __init__(self, host: str, port: int, registry: CollectorRegistry, health: Callable[[], Any]) -> None:
        self._metrics = make_wsgi_app(registry)
        self._health = health
        try:
            self._server: WSGIServer = make_server(host, port, self._answer, handler_class=_Quiet)
        except OSError as error:
            raise Unavailable(
                f"cannot serve metrics at {host}:{port}: {error.strerror}; see --web-port"
            ) from error
        self.port = self._server.server_port
        Thread(target=self._server.serve_forever, name="web", daemon=True).start()

    def stop(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "/")
        if path == "/metrics":
            page: Iterable[bytes] = self._metrics(environ, start_response)
            return page
        if path == "/healthz":
            health = self._health()
            status = "200 OK" if health["status"] == "ok" else "503 Service Unavailable"
            start_response(status, [("Content-Type", "application/json")])
            return [json.dumps(health).encode()]
        start_response("404 Not Found", [("Content-Type", "text/plain")])
        return [b"there are /metrics and /healthz\n"]
