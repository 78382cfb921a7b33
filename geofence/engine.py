"""Detection for many drivers: pings, fences, routes and device events in; records and events out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from geofence import state
from geofence.device import DeviceEvent
from geofence.driver import Driver, Taken
from geofence.events import DeviceFenceEvent, FenceEventType, Output, PingBatch, ServiceTime
from geofence.fences import Fence, FenceSet, cells_near
from geofence.portions import portions_of
from geofence.routes import Route
from geofence.rules import Rules
from geofence.state import StateDelta
from geofence.track import ROW_BYTES, packed

__all__ = ["Counters", "Engine", "StateDelta", "detected"]


@dataclass(slots=True)
class Counters:
    """How the pings and device events fed so far ended: each in exactly one."""

    used: int = 0
    duplicate: int = 0
    too_late: int = 0

    def add(self, taken: Taken) -> None:
        """Count how those of one batch ended."""
        self.used += taken.used
        self.duplicate += taken.duplicate
        self.too_late += taken.too_late


class Engine:
    """Feeds pings to their drivers and collects what they tell.

    The final records (highest revision of each visit) follow from the set of pings, fences and routes alone.
    Without `events` only records are told, and what only events need is not looked for.
    """

    def __init__(
        self, rules: Rules | None = None, fences: FenceSet | None = None, *, events: bool = True
    ) -> None:
        self.rules = Rules() if rules is None else rules
        self.fences = FenceSet() if fences is None else fences
        self._events = events  # wanted beside the records
        self.counters = Counters()
        self._drivers: dict[str, Driver] = {}
        self._dirty: set[str] = set()
        self._forgotten: dict[str, StateDelta] = {}
        self._idle: set[str] = set()  # brought back, and not worked since
        self._fences_seen = self.fences.version

    def put_fence(self, fence: Fence) -> list[Output]:
        """Add or replace a fence (see `FenceSet.put`); days that it concerns are worked through again."""
        self.fences.put(fence)
        return self._fences_changed(fence.fence_id, fence)

    def remove_fence(self, fence_id: str) -> list[Output]:
        """Take a fence away; days that it concerned are worked through again."""
        self.fences.remove(fence_id)
        return self._fences_changed(fence_id, None)

    def put_route(self, route: Route) -> list[Output]:
        """Add a route, or replace the one with its id; returns what changes by it.

        Nothing does where only planned times or regions are others, as planners publish them through the day.
        """
        driver = self._driver(route.driver_id)
        changed = driver.put_route(route)
        self._dirty.add(route.driver_id)
        return driver.work() if changed else []

    def feed(self, pings: PingBatch) -> list[Output]:
        """Take pings in, in any order; returns what has settled."""
        outputs: list[Output] = []
        if not len(pings):
            return outputs
        drivers, rows, bounds, steady = portions_of(pings, 1000 * self.rules.shift_gap_s)
        times, parts = rows[:, 0].astype(np.int64).tolist(), packed(rows)
        for n, driver_id in enumerate(drivers):
            begin, end = bounds[n], bounds[n + 1]
            driver = self._driver(driver_id)
            if steady[n] and driver.follow(times[begin:end], parts[begin * ROW_BYTES : end * ROW_BYTES]):
                self.counters.used += end - begin
                self._dirty.add(driver_id)
            else:
                taken = driver.take(rows[begin:end])
                self.counters.add(taken)
                if taken.used:
                    self._dirty.add(driver_id)
            if driver.due():
                outputs += driver.work()
                self._dirty.add(driver_id)
                self._idle.discard(driver_id)
        return outputs

    def feed_device(self, events: Sequence[DeviceFenceEvent]) -> list[Output]:
        """Take in entries and exits that phones found, in any order; returns what follows from them."""
        outputs: list[Output] = []
        of_driver: dict[str, list[DeviceEvent]] = {}
        for e in events:
            found = DeviceEvent(e.ts_ms, e.fence_id, e.type is FenceEventType.ENTERED)
            of_driver.setdefault(e.driver_id, []).append(found)
        for driver_id, own in of_driver.items():
            driver = self._driver(driver_id)
            taken = driver.take_device(own)
            self.counters.add(taken)
            if taken.used:
                self._dirty.add(driver_id)
                outputs += driver.work()
        return outputs

    def settle(self, driver_ids: Iterable[str] | None = None) -> list[Output]:
        """The data of these drivers (default: all) ends here; tells all that is open. More may still come."""
        outputs: list[Output] = []
        for driver_id in sorted(self._drivers) if driver_ids is None else driver_ids:
            driver = self._drivers.get(driver_id)
            if driver is not None and driver.days:
                told = driver.settle()
                outputs += told
                self._dirty.add(driver_id)
        return outputs

    def take_dirty(self) -> dict[str, StateDelta]:
        """What to persist since the last call, by driver."""
        changed = self._forgotten
        self._forgotten = {}
        for driver_id in sorted(self._dirty):
            driver = self._drivers.get(driver_id)
            if driver is not None:
                delta, deleted = state.delta(driver), changed.get(driver_id)
                if deleted is not None:  # forgotten, and seen again since
                    delta.chunks = {**deleted.chunks, **delta.chunks}
                if delta.head is not None or delta.chunks:
                    changed[driver_id] = delta
        self._dirty.clear()
        return changed

    def restore(self, driver_id: str, head: bytes, chunks: Mapping[int, bytes]) -> None:
        """Bring a driver back from what `take_dirty` gave."""
        driver = Driver(driver_id, self.fences, self.rules, self._events)
        state.restore(driver, head, chunks)
        self._drivers[driver_id] = driver
        self._idle.add(driver_id)

    def forget(self, driver_id: str) -> None:
        """Drop all that is known of a driver; the next `take_dirty` deletes what was persisted."""
        driver = self._drivers.pop(driver_id, None)
        if driver is not None:
            self._forgotten[driver_id] = state.deletion(driver)
        self._dirty.discard(driver_id)
        self._idle.discard(driver_id)

    def drivers(self) -> Iterable[str]:
        """Ids of all drivers known."""
        return self._drivers.keys()

    def last_seen_ms(self, driver_id: str) -> int:
        """Time of a driver's newest ping, 0 for an unknown driver."""
        driver = self._drivers.get(driver_id)
        return 0 if driver is None else driver.clock.newest_ms

    def _fences_changed(self, fence_id: str, fence: Fence | None) -> list[Output]:
        """Work through again what the fences that came or went concern; others may have changed them."""
        changed = self.fences.changed_since(self._fences_seen)
        self._fences_seen = self.fences.version
        near = None if changed is None else [(f, cells_near(f)) for f in changed]
        outputs: list[Output] = []
        for driver_id, driver in self._drivers.items():
            redo = driver.redo(near)
            if redo or (driver_id in self._idle and driver.names(fence_id, fence)):
                outputs += driver.work()
                self._dirty.add(driver_id)
                self._idle.discard(driver_id)
        return outputs

    def _driver(self, driver_id: str) -> Driver:
        driver = self._drivers.get(driver_id)
        if driver is None:
            driver = Driver(driver_id, self.fences, self.rules, self._events)
            self._drivers[driver_id] = driver
        return driver


def detected(
    batches: Iterable[PingBatch], fences: Iterable[Fence], routes: Iterable[Route], rules: Rules | None = None
) -> list[ServiceTime]:
    """All revisions told of these pings, fed in this order; then all data ends."""
    engine = Engine(rules, FenceSet(fences), events=False)
    outputs = [o for route in routes for o in engine.put_route(route)]
    outputs += [o for batch in batches for o in engine.feed(batch)]
    outputs += engine.settle()
    return [o for o in outputs if isinstance(o, ServiceTime)]
