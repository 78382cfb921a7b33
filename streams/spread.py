"""Replay of a data set too large for one process: spread by driver over a Dask cluster, here or elsewhere.

A driver's days stay together, in the order of time: a late ping may touch yesterday. Tasks share nothing
else, so that the records are those of one process.
"""

import logging
import os
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
import pandas as pd

from geofence.engine import Engine
from geofence.events import DeviceFenceEvent, Output, PingBatch
from geofence.fences import Fence, FenceSet
from geofence.routes import Route
from geofence.rules import Rules
from streams.errors import Unavailable
from streams.files.dataset import read_part
from streams.replay import taken_until

PINGS_A_TASK: Final = 2_000_000
FEED: Final = 50_000
"""So many pings of a driver are fed at once."""

NUMBERS: Final = ("ts_ms", "lat", "lon", "accuracy_m", "speed_mps")
KINDS: Final = {name: "int64" if name == "ts_ms" else "float64" for name in NUMBERS}


@dataclass(frozen=True, slots=True)
class Given:
    """What every task needs."""

    fences: Sequence[Fence]
    rules: Rules
    routes: Sequence[Route] = ()
    device_events: Sequence[DeviceFenceEvent] = ()
    events: bool = True
    """Whether geofence events are wanted too."""


@dataclass(slots=True)
class Told:
    """What one task found of its drivers; `spoilt` are the numbers of parts with bad rows."""

    outputs: list[Output] = field(default_factory=list)
    spoilt: list[int] = field(default_factory=list)
    used: int = 0
    duplicate: int = 0
    too_late: int = 0


@contextmanager
def cluster(scheduler: str | None, processes: int | None) -> Iterator[Any]:
    """A client of the Dask cluster at that address, else of one made here. Raises Unavailable."""
    try:
        import distributed
    except ImportError as error:
        raise Unavailable("clusters are Dask's: pip install 'servicetime[scale]'") from error
    dask: Any = distributed
    if scheduler is None:
        logging.getLogger("distributed").setLevel(logging.ERROR)
        made = dask.LocalCluster(
            n_workers=processes, threads_per_worker=1, dashboard_address=None, silence_logs=logging.CRITICAL
        )
        with made, dask.Client(made) as client:
            client.run(_without_stdout)
            yield client
        return
    try:
        client = dask.Client(scheduler, timeout=15)
    except (OSError, ValueError) as error:
        raise Unavailable(f"no Dask scheduler answers at {scheduler}: {error}") from error
    with client:
        yield client


def _without_stdout() -> None:
    """What libraries print in a process made here must not get among the records or figures of this one."""
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 1)


def tasks_for(parts: Sequence[Any]) -> int:
    """How many tasks a data set is worth, whatever runs them."""
    pings: int = sum(
        group.metadata.row_group(g.id).num_rows for _, _, group in parts for g in group.row_groups
    )
    return max(8, -(-pings // PINGS_A_TASK))


def told_of(client: Any, parts: Sequence[Any], given: Given, tasks: int) -> Iterator[Told]:
    """What each task finds, in an order that follows from the data alone."""
    import dask.dataframe as dd

    meta = pd.DataFrame({"driver_id": pd.Series(dtype="str")}).assign(
        **{name: pd.Series(dtype=kind) for name, kind in KINDS.items()}
    )
    pings: Any = dd.from_map(  # type: ignore[no-untyped-call]
        _frame, list(enumerate(parts)), meta=meta
    )
    shared = client.scatter(given, broadcast=True)
    frames = client.compute(pings.shuffle("driver_id", npartitions=tasks).to_delayed())
    waiting = deque(client.submit(_detected, frame, shared, pure=False) for frame in frames)
    frames.clear()
    while waiting:
        yield waiting.popleft().result()


def _frame(part: tuple[int, Any]) -> pd.DataFrame:
    """A row group as a frame; with a row of no driver, if it has bad ones, that tells its number."""
    number, place = part
    read = read_part(place)
    columns = {name: getattr(read.batch, name) for name in NUMBERS}
    frame = pd.DataFrame({"driver_id": pd.Series(read.batch.driver_ids, dtype="str"), **columns})
    if not read.bad:
        return frame
    mark = {"driver_id": [""], "ts_ms": [number], **{name: [np.nan] for name in NUMBERS[1:]}}
    return pd.concat([frame, pd.DataFrame(mark).astype(frame.dtypes)], ignore_index=True)


def _detected(frame: pd.DataFrame, given: Given) -> Told:
    """The records of a frame's drivers, one after the other by name."""
    fences = FenceSet(given.fences)
    routes, events = _by_driver(given.routes), _by_driver(given.device_events)
    told = Told()
    for name, own in frame.groupby("driver_id", sort=True):
        driver_id = str(name)
        if driver_id == "":
            told.spoilt += sorted(own["ts_ms"])
            continue
        engine = Engine(given.rules, fences, events=given.events)
        for route in routes.get(driver_id, ()):
            told.outputs += engine.put_route(route)
        told.outputs += _fed(engine, own, deque(events.get(driver_id, ())))
        told.used += engine.counters.used
        told.duplicate += engine.counters.duplicate
        told.too_late += engine.counters.too_late
    return told


def _fed(engine: Engine, own: pd.DataFrame, events: deque[DeviceFenceEvent]) -> list[Output]:
    """What one driver's pings, in the order of time, and device events tell."""
    own = own.sort_values("ts_ms", kind="stable")
    outputs: list[Output] = []
    for begin in range(0, len(own), FEED):
        rows = own.iloc[begin : begin + FEED]
        columns = {name: rows[name].to_numpy().copy() for name in NUMBERS}
        batch = PingBatch.of_drivers(rows["driver_id"].tolist(), **columns)
        outputs += engine.feed_device(taken_until(events, int(batch.ts_ms[-1])))
        outputs += engine.feed(batch)
    return outputs + engine.feed_device(list(events)) + engine.settle()


Record = TypeVar("Record", Route, DeviceFenceEvent)


def _by_driver(records: Sequence[Record]) -> dict[str, list[Record]]:
    found: dict[str, list[Record]] = {}
    for record in records:
        found.setdefault(record.driver_id, []).append(record)
    return found
