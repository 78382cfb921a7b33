"""Plays recordings to the engine in many ways, with restarts in between, as the worker would."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np
from msgspec.structs import replace

from geofence.engine import Engine, StateDelta
from geofence.events import DeviceFenceEvent, Output, PingBatch, ServiceTime, VisitStatus
from geofence.fences import Fence, FenceSet
from geofence.routes import Route
from geofence.rules import Rules
from simulation.recording import simulate
from tests.tracks import final, picked

HOUR_MS = 3_600_000
Portion = PingBatch | Sequence[DeviceFenceEvent]


class Store:
    """What is persisted of each driver, as a compacted topic keeps it."""

    def __init__(self) -> None:
        self.drivers: dict[str, tuple[bytes, dict[int, bytes]]] = {}

    def apply(self, deltas: dict[str, StateDelta]) -> None:
        for driver_id, delta in deltas.items():
            head, chunks = self.drivers.get(driver_id, (b"", {}))
            for number, value in delta.chunks.items():
                if value is None:
                    chunks.pop(number, None)
                else:
                    chunks[number] = value
            head = head if delta.head is None else delta.head
            if head or chunks:
                self.drivers[driver_id] = head, chunks
            else:
                self.drivers.pop(driver_id, None)

    def revive(self, fences: FenceSet, rules: Rules | None = None, events: bool = True) -> Engine:
        engine = Engine(rules, fences, events=events)
        for driver_id, (head, chunks) in self.drivers.items():
            if head:
                engine.restore(driver_id, head, dict(chunks))
        return engine


@dataclass(frozen=True)
class Recording:
    pings: PingBatch
    fences: tuple[Fence, ...]
    routes: tuple[Route, ...]


@dataclass
class Played:
    outputs: list[Output]
    counted: np.ndarray  # used, duplicate, too late
    store: Store

    @property
    def records(self) -> dict[str, ServiceTime]:
        return final(self.outputs)


def play(
    recording: Recording,
    portions: Iterable[Portion],
    restarts: Collection[int] = (),
    rules: Rules | None = None,
    settle: bool = True,
    events: bool = True,
) -> Played:
    """Feed the portions in order; after those numbered in `restarts` the engine is killed and revived."""
    fences = FenceSet(recording.fences)
    engine = Engine(rules, fences, events=events)
    played = Played([], np.zeros(3, dtype=int), Store())
    for route in recording.routes:
        played.outputs += engine.put_route(route)
    for number, portion in enumerate(portions):
        if isinstance(portion, PingBatch):
            played.outputs += engine.feed(portion) if len(portion) else []
        else:
            played.outputs += engine.feed_device(portion)
        if number in restarts:
            played.counted += counted(engine)
            played.store.apply(engine.take_dirty())
            engine = played.store.revive(fences, rules, events)
    if settle:
        played.outputs += engine.settle()
    played.counted += counted(engine)
    played.store.apply(engine.take_dirty())
    return played


def counted(engine: Engine) -> np.ndarray:
    c = engine.counters
    return np.array([c.used, c.duplicate, c.too_late])


def cut(pings: PingBatch, at: Iterable[int]) -> list[PingBatch]:
    """The batch in consecutive parts."""
    edges = [0, *sorted(min(a, len(pings)) for a in at), len(pings)]
    return [picked(pings, range(a, b)) for a, b in pairwise(edges)]


def in_order(pings: PingBatch) -> PingBatch:
    return picked(pings, np.argsort(pings.ts_ms, kind="stable"))


def essence(records: dict[str, ServiceTime]) -> dict[str, ServiceTime]:
    """What stands in the end, however often it was told."""
    return {
        visit_id: replace(r, revision=0, flags=tuple(f for f in r.flags if f != "late_revision"))
        for visit_id, r in records.items()
        if r.status is not VisitStatus.RETRACTED
    }


@cache
def town(profile: str, seed: int = 3, hours: float = 1.5) -> Recording:
    """The first hours of two drivers in a simulated town, in the order in which pings arrive."""
    made = simulate(profile, drivers=2, days=1, seed=seed, spacing_s=8.0)
    begin = int(np.quantile(made.pings.ts_ms, 0.02))
    inside = (made.pings.ts_ms >= begin) & (made.pings.ts_ms < begin + hours * HOUR_MS)
    return Recording(picked(made.pings, np.flatnonzero(inside)), tuple(made.fences), tuple(made.routes))
