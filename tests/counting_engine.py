"""A stand-in for the detection engine: it counts each driver's pings and tells of every tenth."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace

from geofence.events import DeviceFenceEvent, FenceEvent, FenceEventType, Output, PingBatch
from geofence.fences import Fence
from geofence.routes import Route


@dataclass
class CountDelta:
    head: bytes | None
    chunks: dict[int, bytes | None] = field(default_factory=dict)


class CountingEngine:
    """Honours what `streams.partition.Detection` asks for."""

    def __init__(self) -> None:
        self.counters = SimpleNamespace(used=0, duplicate=0, too_late=0)
        self.pings: dict[str, int] = {}
        self.fences: dict[str, Fence] = {}
        self.routes: list[str] = []
        self.settled: list[str] = []
        self._dirty: dict[str, CountDelta] = {}

    def feed(self, pings: PingBatch) -> list[Output]:
        told: list[Output] = []
        for driver_id, ts_ms in zip(pings.driver_ids, pings.ts_ms.tolist(), strict=True):
            self.pings[driver_id] = self.pings.get(driver_id, 0) + 1
            self.counters.used += 1
            self._dirty[driver_id] = CountDelta(b"%d" % self.pings[driver_id])
            if self.pings[driver_id] % 10 == 0:
                told.append(FenceEvent(FenceEventType.ENTERED, driver_id, "c", "f", ts_ms))
        return told

    def feed_device(self, events: Sequence[DeviceFenceEvent]) -> list[Output]:
        return [FenceEvent(e.type, e.driver_id, "c", e.fence_id, e.ts_ms) for e in events]

    def put_fence(self, fence: Fence) -> list[Output]:
        self.fences[fence.fence_id] = fence
        return []

    def remove_fence(self, fence_id: str) -> list[Output]:
        self.fences.pop(fence_id, None)
        return []

    def put_route(self, route: Route) -> list[Output]:
        self.routes.append(route.route_id)
        return []

    def settle(self, driver_ids: Iterable[str] | None = None) -> list[Output]:
        self.settled += self.pings if driver_ids is None else driver_ids
        return []

    def take_dirty(self) -> Mapping[str, CountDelta]:
        dirty, self._dirty = self._dirty, {}
        return dirty

    def restore(self, driver_id: str, head: bytes, chunks: Mapping[int, bytes]) -> None:
        self.pings[driver_id] = int(head)

    def forget(self, driver_id: str) -> None:
        del self.pings[driver_id]
        self._dirty[driver_id] = CountDelta(b"")

    def last_seen_ms(self, driver_id: str) -> int:
        return 0
