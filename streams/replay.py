"""The worker's detection without a broker: recorded files in, the records it would have told out."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from time import time_ns
from typing import Any, Final, Protocol

from geofence import compiling
from geofence.events import DeviceFenceEvent, ServiceTime
from geofence.fences import FenceSet
from geofence.routes import Route
from geofence.rules import Rules
from streams.crew import Step, crew, processes_for
from streams.ending import end_if_told
from streams.files import (
    PingsRead,
    Sink,
    file_name,
    read_device_events,
    read_fences,
    read_pings,
    read_routes,
    size_of,
    writing,
)
from streams.files.ahead import Ahead
from streams.files.opening import COMPRESSIONS, STDIN, Advance, is_dataset
from streams.records import DeadLetter
from streams.records.outputs import rooms
from streams.records.pings import load_scanner
from streams.tally import Tally, Told, Totals, Wanted

READ_AHEAD: Final = 3
"""So many batches are read while all else is made ready, which takes about as long."""

PACKED: Final = 6
"""Compressed pings take about so many times as much as text."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """Names of the files to read; `-` is stdin."""

    pings: tuple[str, ...]
    fences: str
    routes: str | None = None
    weather: str | None = None
    device_events: str | None = None
    driver: str | None = None
    scheduler: str | None = None
    """Address of the Dask cluster that replays a data set; None: one on this machine."""

    processes: int | None = None
    """How many processes detect on this machine; None: one a core, and one for small files."""

    def data_set(self) -> str | None:
        """The data set, when pings are one."""
        return next(filter(is_dataset, self.pings), None)

    def crew(self) -> int:
        """How many processes it is."""
        return self.processes or processes_for(self.text_size())

    def size(self) -> int | None:
        """Bytes of all ping files, None with stdin or a data set. Raises UnreadableInput."""
        sizes = [None if is_dataset(path) else size_of(path) for path in self.pings]
        return None if None in sizes else sum(filter(None, sizes))

    def text_size(self) -> int | None:
        """The same, about, of what they hold as plain text."""
        sizes = [(size_of(path), path.lower().endswith((*COMPRESSIONS, ".parquet"))) for path in self.pings]
        found = [None if size is None else size * (PACKED if packed else 1) for size, packed in sizes]
        return None if None in found else sum(filter(None, found))


@dataclass(frozen=True, slots=True)
class Outputs:
    """Names of the files to write; None: not wanted. `table` is the directory or URI of a training table."""

    out: str
    events: str | None = None
    rejects: str | None = None
    table: str | None = None


@dataclass
class Summary:
    """What a replay has read and told; every ping read is used, duplicate, too late or rejected.

    Events are None where none were wanted. `rows` went to the training table (None: there is none),
    `quarantined` ones were refused, for `reasons`.
    """

    fences: int = 0
    routes: int = 0
    used: int = 0
    duplicate: int = 0
    too_late: int = 0
    rejected: int = 0
    records: int = 0
    visits: int = 0
    events: int | None = None
    rows: int | None = None
    quarantined: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)

    @property
    def pings(self) -> int:
        """All pings and bad lines read."""
        return self.used + self.duplicate + self.too_late + self.rejected

    def add(self, totals: Totals) -> None:
        """Count what one share of the drivers came to."""
        for name in Totals.__slots__:
            if getattr(self, name) is not None:
                setattr(self, name, getattr(self, name) + getattr(totals, name))

    def as_dict(self) -> dict[str, Any]:
        """The figures by name."""
        names = ("fences", "routes", "pings", "used", "duplicate", "too_late", "rejected")
        found = {n: getattr(self, n) for n in (*names, "visits", "records", "events")}
        if self.rows is not None:
            found["table"] = {"rows": self.rows, "quarantined": self.quarantined, "reasons": {**self.reasons}}
        return found

    def __str__(self) -> str:
        return (
            f"{self.pings:,} pings: {self.used:,} used, {self.duplicate:,} duplicate, "
            f"{self.too_late:,} too late, {self.rejected:,} rejected; {self.visits:,} visits "
            f"({self.records:,} records{self._of_events()}){self._of_table()}"
        )

    def _of_events(self) -> str:
        return "" if self.events is None else f", {self.events:,} events"

    def _of_table(self) -> str:
        if self.rows is None:
            return ""
        found = f"; {self.rows:,} rows in the training table"
        if not self.quarantined:
            return found
        reasons = ", ".join(f"{count:,} × {reason}" for reason, count in self.reasons.items())
        return f"{found}, {self.quarantined:,} in quarantine ({reasons})"


@dataclass(frozen=True, slots=True)
class Known:
    """What is known before the first ping, and what phones told themselves, in the order of its time."""

    fences: FenceSet
    rules: Rules
    routes: Sequence[Route]
    device_events: Sequence[DeviceFenceEvent]


class Table(Protocol):
    """Where training rows go."""

    @property
    def written(self) -> int:
        """Rows in the table."""
        ...

    @property
    def refused(self) -> int:
        """Rows in quarantine."""
        ...

    @property
    def reasons(self) -> Mapping[str, int]:
        """How often each expectation was broken."""
        ...

    def add(self, visits: Iterable[ServiceTime]) -> None:
        """Take these revisions in."""
        ...

    def close(self) -> None:
        """Write what is still held."""
        ...


def replay(inputs: Inputs, outputs: Outputs, rules: Rules, advance: Advance | None = None) -> Summary:
    """Detect the visits in these files and write the records in the order they are told.

    The same files and rules give the same bytes. Raises UnreadableInput (file, line, field) and OSError; no
    output file is touched then.
    """
    inputs.size()
    if inputs.data_set() is None:
        telling = partial(_told, _reading(inputs, advance))
    else:
        telling = partial(_told_by_many, advance)
    fences = FenceSet(read_fences(inputs.fences))
    routes = list(read_routes(inputs.routes)) if inputs.routes is not None else []
    summary = Summary(len(fences), len(routes), events=None if outputs.events is None else 0)
    wanted = Wanted(outputs.events is not None, outputs.table is not None)
    with ExitStack() as stack:
        out, events, rejects = (
            stack.enter_context(writing(path)) for path in (outputs.out, outputs.events, outputs.rejects)
        )
        table = _table(inputs, outputs, fences, routes)
        known = Known(fences, rules, routes, _device_events(inputs.device_events))
        for told in telling(known, inputs, wanted, rejects, summary):
            out.put(told.visits)
            events.put(told.events)
            if table is not None:
                table.add(told.rows)
        if table is not None:
            table.close()
            summary.rows, summary.quarantined, summary.reasons = table.written, table.refused, table.reasons
    return summary


def _reading(inputs: Inputs, advance: Advance | None) -> Ahead[tuple[str, PingsRead]]:
    """The pings as they lie in the files, each part with the name of its file.

    The first of them are read while other things are made ready for several processes.
    """
    reads = (
        (path, read) for path in inputs.pings for read in read_pings(path, inputs.driver, advance=advance)
    )
    if inputs.crew() == 1 or not all(Path(path).is_file() for path in inputs.pings):
        return Ahead(reads, 0)
    compiling.load()
    load_scanner()
    return Ahead(reads, READ_AHEAD)


def _told(
    reads: Ahead[tuple[str, PingsRead]],
    known: Known,
    inputs: Inputs,
    wanted: Wanted,
    rejects: Sink,
    summary: Summary,
) -> Iterator[Told]:
    """Everything that is told, batch by batch; bad lines go to `rejects` on the way."""
    with crew(inputs.crew(), known.rules, known.fences, known.routes, wanted, reads.wait) as all_of_them:
        yield from all_of_them.told(_steps(known, reads, rejects, summary))
        summary.add(all_of_them.totals())


def _steps(
    known: Known, reads: Iterable[tuple[str, PingsRead]], rejects: Sink, summary: Summary
) -> Iterator[Step]:
    """Pings as they lie in the files, and device events as the pings of their time are reached."""
    device_events = deque(known.device_events)
    for path, read in reads:
        end_if_told()
        if read.bad:
            summary.rejected += len(read.bad)
            rejects.write(_dead_letters(path, _received_ms(path), read))
        if len(read.batch):
            yield taken_until(device_events, int(read.batch.ts_ms.max()))
            yield read.batch
    yield list(device_events)
    yield None


def _told_by_many(
    advance: Advance | None, known: Known, inputs: Inputs, wanted: Wanted, rejects: Sink, summary: Summary
) -> Iterator[Told]:
    """The same of a data set, driver by driver, from a cluster's processes."""
    from streams.files.dataset import parts_of, read_part
    from streams.spread import Given, cluster, tasks_for, told_of

    path = inputs.data_set()
    assert path is not None
    parts = parts_of(path)
    fences = list(known.fences)
    given = Given(fences, known.rules, known.routes, known.device_events, wanted.events)
    tasks = tasks_for(parts)
    tally = Tally(wanted)
    with cluster(inputs.scheduler, inputs.processes) as client:
        for told in told_of(client, parts, given, tasks):
            for number in told.spoilt:
                read = read_part(parts[number])
                name = parts[number][2].path
                summary.rejected += len(read.bad)
                rejects.write(_dead_letters(name, _received_ms(_on_disk(path, name)), read))
            if advance is not None:
                advance(1 / tasks)
            yield tally.told(told.outputs)
            summary.add(Totals(told.used, told.duplicate, told.too_late))
    summary.add(Totals(records=tally.records, visits=tally.visits, events=tally.events))


def _device_events(path: str | None) -> list[DeviceFenceEvent]:
    """The device events in the order of their time."""
    return sorted(read_device_events(path), key=lambda e: e.ts_ms) if path is not None else []


def taken_until(events: deque[DeviceFenceEvent], ts_ms: int) -> list[DeviceFenceEvent]:
    """Takes the events up to that time: they go in as the pings of their time do."""
    taken = []
    while events and events[0].ts_ms <= ts_ms:
        taken.append(events.popleft())
    return taken


def _dead_letters(path: str, received_ms: int, read: PingsRead) -> Iterator[DeadLetter]:
    """One for each bad line: the file as topic, the line from 0 as offset."""
    shared = rooms((bad.line, bad.value) for bad in read.bad)
    for bad, room in zip(read.bad, shared, strict=True):
        place = file_name(path), 0, bad.line - 1, received_ms
        yield DeadLetter.of(*place, bad.reason, bad.field, bad.value, room)


def _received_ms(path: str) -> int:
    """When a file's records came: when it was last written to; so two replays give the same bytes."""
    return time_ns() // 1_000_000 if path == STDIN else Path(path).stat().st_mtime_ns // 1_000_000


def _on_disk(data_set: str, name: str) -> str:
    """Where a file of a data set lies; stdin, which counts as arriving now, when it is not here."""
    beside = Path(data_set, name)
    return next((str(place) for place in (beside, Path(name)) if place.exists()), STDIN)


def _table(inputs: Inputs, outputs: Outputs, fences: FenceSet, routes: list[Route]) -> Table | None:
    if outputs.table is None:
        return None
    from streams.table import TrainingTable

    return TrainingTable(outputs.table, fences, routes, inputs.weather)
