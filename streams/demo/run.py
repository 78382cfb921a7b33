"""The demonstration from end to end; whatever it starts ends with it."""

import asyncio
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from geofence.routes import Route
from streams.broker import Broker, choose_broker
from streams.cli.learning import training_progress
from streams.cli.progress import Bar, progress
from streams.demo.inputs import UPCOMING, Recording, Size, recorded, simulated
from streams.demo.judging import Findings, judged
from streams.demo.processes import WorkerProcess
from streams.demo.reading import Record, claims, predictions, revisions, values
from streams.topics import Topics, delete_topics, ensure_topics

PARTITIONS: Final = 2
WORKER: Final = ("--idle-s", "2", "--sink-every-s", "1", "--look-for-models-s", "1")
"""A short day's end: the recordings are over when they have been sent."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where one run keeps what it makes, and the broker and topics it uses."""

    directory: Path
    broker: Broker
    topics: Topics

    @property
    def table(self) -> str:
        """The training table."""
        return str(self.directory / "table")

    @property
    def registry(self) -> str:
        """The model registry."""
        return str(self.directory / "models")

    def worker(self) -> WorkerProcess:
        """The worker, not started yet."""
        named = ("--app-id", self.topics.app_id, "--topic-prefix", self.topics.prefix)
        kept = ("--table", self.table, "--registry", self.registry, "--data-dir", str(self.directory))
        words = ("--bootstrap", self.broker.bootstrap_servers, *named, *kept, *WORKER)
        return WorkerProcess(words, self.directory / "worker.log")


def demonstrate(size: Size, bootstrap: str | None, data_dir: Path | None, keep: bool) -> Findings:
    """Play everything and return what was found. Raises ServicetimeError when a part does not work."""
    began_s = time.monotonic()
    with ExitStack() as stack:
        directory = stack.enter_context(_directory(data_dir, keep))
        place = stack.enter_context(_place(bootstrap, data_dir, directory, keep))
        worker = stack.enter_context(place.worker())
        with progress(size.drivers * (size.days + 1), "Simulating a town") as bar:
            town, upcoming = simulated(size, directory / "town", bar.advance)
        with progress(None, "Starting the worker") as bar:
            bar.note("(the first start after an installation compiles)")
            worker.wait_for(lambda: worker.state().ready, lambda: None, "The worker's start")
        found = _detected(place, worker, [recorded(), town])
        _learn(place, worker, size, found)
        _foresee(place, worker, directory / "town" / UPCOMING, upcoming, found)
        found.broker = f"{place.broker.kind} Apache Kafka at {place.broker.bootstrap_servers}"
        found.kept_in = directory if keep else None
    found.took_s = time.monotonic() - began_s
    return found


@contextmanager
def _directory(data_dir: Path | None, keep: bool) -> Iterator[Path]:
    """A directory of this run's own; removed in the end unless it is to be kept."""
    name = f"demo-{uuid.uuid4().hex[:8]}"
    directory = (data_dir or Path(tempfile.mkdtemp(prefix="servicetime-"))).absolute() / name
    directory.mkdir(parents=True)
    try:
        yield directory
    finally:
        if not keep:
            shutil.rmtree(directory.parent if data_dir is None else directory, ignore_errors=True)


@contextmanager
def _place(bootstrap: str | None, data_dir: Path | None, directory: Path, keep: bool) -> Iterator[Place]:
    """A broker with topics of this run's own; they go in the end, unless the broker goes with them."""
    with progress(None, "Starting Apache Kafka") as bar:
        broker = choose_broker(
            bootstrap, data_dir or directory.parent, on_download=lambda done, of: _tell(bar, done, of)
        )
    with broker:
        topics = ensure_topics(
            broker.bootstrap_servers, Topics(directory.name, f"{directory.name}-", PARTITIONS)
        )
        try:
            yield Place(directory, broker, topics)
        finally:
            if not keep and not (broker.started_here and data_dir is None):
                delete_topics(broker.bootstrap_servers, topics)


def _tell(bar: Bar, done: int, of: int) -> None:
    bar.note(f"fetched {done} of {of} files")
    bar.advance(0)


def _detected(place: Place, worker: WorkerProcess, recordings: list[Recording]) -> Findings:
    """Publish the recordings, wait for the worker to have used every ping, and judge what it told."""
    sent = 0
    for recording in recordings:
        files = {"fences": recording.path("fences"), "routes": recording.path("routes")}
        sent += asyncio.run(_publish(place, files, recording))
    with progress(sent, "Worker: pings to visits") as bar:
        _wait_until_settled(worker, sent, bar)
    with progress(None, "Reading service times back and judging them"):
        told = values(place.broker.bootstrap_servers, place.topics, "service-times")
        verdicts = [judged(r, claims(told, r.drivers)) for r in recordings]
    with progress(None, "Worker: visits to the training table"):
        _wait_for_table(place, worker, revisions(told))
    return Findings(verdicts, sent)


async def _publish(place: Place, files: dict[str, str], recording: Recording | None = None) -> int:
    """Send files of records, then the recording's pings; how many pings."""
    from streams.files import size_of
    from streams.publish import KINDS, Publisher, Sent, publish_pings, publish_records

    sent = Sent()
    async with Publisher(place.broker.bootstrap_servers, place.topics) as publisher:
        for name, path in files.items():
            await publish_records(publisher, KINDS[name], path, sent)
        if recording is not None:
            path = recording.path("pings")
            with progress(size_of(path), f"Publishing: {recording.title.lower()}") as bar:
                await publish_pings(publisher, [path], None, bar.advance, sent)
                bar.note(f"{sent.messages['gps-pings']:,} pings")
    return sent.messages.get("gps-pings", 0)


def _wait_until_settled(worker: WorkerProcess, sent: int, bar: Bar) -> None:
    """Until every ping sent has been used (or found double or late) and all visits have been told."""
    shown = 0

    def done() -> bool:
        nonlocal shown
        state = worker.state()
        bar.advance(max(0, state.messages - shown))
        shown = max(shown, state.messages)
        bar.note(f"lag {max(0, sent - shown):,}")
        return shown >= sent and state.lag == 0 and state.settled

    worker.wait_for(done, lambda: shown, "The worker")


def _wait_for_table(place: Place, worker: WorkerProcess, told: dict[str, int]) -> None:
    """Until the training table holds every visit at the revision told, or a later one."""
    missing = len(told)

    def done() -> bool:
        nonlocal missing
        rows = _rows(place)
        missing = sum(rows.get(visit_id, 0) < revision for visit_id, revision in told.items())
        return missing == 0

    worker.wait_for(done, lambda: missing, "The training table")


def _rows(place: Place) -> dict[str, int]:
    """Revision of each visit that the training table holds or has set aside."""
    from models.dataset import quarantined, read
    from models.errors import NoTrainingData

    columns = ["visit_id", "revision"]
    try:
        held = read(place.table, columns=columns, withdrawn=True)
    except NoTrainingData:
        return {}
    return {**dict(held.to_numpy().tolist()), **dict(quarantined(place.table)[columns].to_numpy().tolist())}


def _learn(place: Place, worker: WorkerProcess, size: Size, found: Findings) -> None:
    """Train on the table that the worker has written."""
    from models.promotion import train_on_table
    from models.registry import Registry
    from models.training import TrainingConfig

    worker.check()
    with training_progress(size.trials) as tell:
        registry = Registry(place.registry)
        found.outcome = train_on_table(place.table, registry, TrainingConfig(trials=size.trials), tell)


def _foresee(place: Place, worker: WorkerProcess, path: Path, upcoming: list[Route], found: Findings) -> None:
    """Publish the routes to come, and wait for the prediction of each stop."""
    assert found.outcome is not None
    route_ids = {route.route_id for route in upcoming}
    found.stops_to_come = sum(len(route.stops) for route in upcoming)
    wanted = str(found.outcome.entry.version) if found.outcome.promoted else None
    latest: dict[str, Record] = {}

    def done() -> bool:
        latest.update(predictions(place.broker.bootstrap_servers, place.topics, route_ids))
        ready = sum(_by(record, wanted) for record in latest.values())
        bar.note(f"{ready} of {found.stops_to_come} stops")
        return ready >= found.stops_to_come

    with progress(None, "Worker: routes to predictions") as bar:
        asyncio.run(_publish(place, {"routes": str(path)}))
        worker.wait_for(done, lambda: len(latest), "The predictions")
    in_order = [latest[stop.stop_id] for route in upcoming for stop in route.stops]
    found.predictions = in_order


def _by(record: Record, version: str | None) -> bool:
    """Whether a prediction comes from that version of the model; without one, any will do."""
    return version is None or (record["model"] is not None and record["model"]["version"] == version)
