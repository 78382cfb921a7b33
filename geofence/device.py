"""Entries and exits found on the phone itself: stays where there are no pings, crossings where there are."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, NamedTuple

from geofence.clock import NEVER_MS
from geofence.evidence import Candidate
from geofence.fences import Fence, FenceSet
from geofence.geometry import LocalPlane, distance_m
from geofence.standstills import Standstill

REPEATED_MS: Final = 600_000  # an entry told again so soon is the same; later, an exit was lost
SEEN_MS: Final = 90_000  # nothing later than this after a stay is looked at
COVERED: Final = 0.5  # share of a pair's time in which another tells of the same standing


class DeviceEvent(NamedTuple):
    """One entry or exit; sorts by time."""

    ts_ms: int
    fence_id: str
    entered: bool


class Pair(NamedTuple):
    """An entry with its exit; sorts by the time of exit."""

    exited_ms: int
    entered_ms: int
    fence_id: str
    open: bool = False  # no exit was seen yet; `exited_ms` is up to when was looked

    def covered_by(self, other: "Pair") -> bool:
        """Whether the other spans most of this pair's time."""
        both = min(self.exited_ms, other.exited_ms) - max(self.entered_ms, other.entered_ms)
        return both >= COVERED * (self.exited_ms - self.entered_ms)


@dataclass(frozen=True, slots=True)
class DeviceStay:
    """A standstill that only the phone's own events tell of, and the fences it was in.

    `crossed`: when each was entered and left (NEVER_MS: that is not told), by fence id.
    """

    standstill: Standstill
    candidates: tuple[Candidate, ...]
    crossed: Mapping[str, Sequence[int]]


@dataclass(slots=True)
class DeviceLog:
    """The device events of one day, each once, in the order of time."""

    events: list[DeviceEvent] = field(default_factory=list)

    def add(self, event: DeviceEvent) -> bool:
        """Take an event in; False when it is known."""
        at = bisect_left(self.events, event)
        if at < len(self.events) and self.events[at] == event:
            return False
        self.events.insert(at, event)
        return True

    def certain_after(self, ts_ms: int) -> int | None:
        """The first time later than that when one more event is certain, None when there is none."""
        at = bisect_right(self.events, ts_ms - SEEN_MS, key=_time)
        return self.events[at].ts_ms + SEEN_MS if at < len(self.events) else None

    def certain_by(self, ts_ms: int) -> int:
        """The last time by then when one more event became certain, -1 when there is none."""
        at = bisect_right(self.events, ts_ms - SEEN_MS, key=_time)
        return self.events[at - 1].ts_ms + SEEN_MS if at else -1

    def pairs(self, after: Pair, until_ms: int) -> list[Pair]:
        """Entries with their exits, by exit: what is later than `after` and certain by `until_ms`."""
        return [p for p in _pairs(self.events) if p > after and p.exited_ms + SEEN_MS <= until_ms]

    def rivals(self, pair: Pair) -> list[Pair]:
        """Other fences that most of a pair's time was spent in, too."""
        seen = self._until(pair.exited_ms + SEEN_MS)
        others = [*_pairs(seen), *_open(seen)]
        return [p for p in others if p.fence_id != pair.fence_id and pair.covered_by(p)]

    def crossed(self, fence_id: str, arrived_ms: int, departed_ms: int) -> tuple[int | None, int | None]:
        """When the phone entered a fence before it stood, and left it after; None where it does not tell."""
        middle = (arrived_ms + departed_ms) // 2
        own = [e for e in self._until(departed_ms + SEEN_MS) if e.fence_id == fence_id]
        out = max((n for n, e in enumerate(own) if not e.entered and e.ts_ms < arrived_ms), default=-1)
        entries = [e.ts_ms for e in own[out + 1 :] if e.entered and e.ts_ms <= middle]
        back = min((n for n, e in enumerate(own) if e.entered and e.ts_ms > departed_ms), default=len(own))
        exits = [e.ts_ms for e in own[:back] if not e.entered and e.ts_ms > middle]
        return (entries[0] if entries else None), (exits[-1] if exits else None)

    def seen(self, standstill: Standstill, near: Sequence[str]) -> Standstill:
        """The standstill with an arrival or departure that pings left open, as the phone told it.

        `near` are the fences it may be in, the likeliest first.
        """
        begin, end = standstill.arrived_between_ms, standstill.departed_between_ms
        if begin[1] - begin[0] > SEEN_MS:
            entered_ms = _first(self._last_entry(fence_id, begin) for fence_id in near)
            if entered_ms is not None:
                between = (entered_ms, begin[1])
                standstill = standstill._replace(arrived_ms=entered_ms, arrived_between_ms=between)
        if standstill.open_ended or end[1] - end[0] > SEEN_MS:
            until_ms = self._elsewhere_ms(end[0], near) if standstill.open_ended else end[1]
            exited_ms = _first(self._last_exit(fence_id, end[0], until_ms) for fence_id in near)
            if exited_ms is not None:
                between = (end[0], exited_ms)
                standstill = standstill._replace(
                    departed_ms=exited_ms, departed_between_ms=between, open_ended=False
                )
        return standstill

    def _last_entry(self, fence_id: str, between: tuple[int, int]) -> int | None:
        """The entry after which the fence was not left again; None when it was, or none was told."""
        own = [e for e in self.events if e.fence_id == fence_id and between[0] < e.ts_ms <= between[1]]
        return own[-1].ts_ms if own and own[-1].entered else None

    def _last_exit(self, fence_id: str, after_ms: int, until_ms: int) -> int | None:
        """The exit after which the fence was not entered again, unless an exit before that was lost."""
        own = [e for e in self.events if e.fence_id == fence_id and after_ms < e.ts_ms <= until_ms]
        lost = any(a.entered and b.entered and b.ts_ms - a.ts_ms > REPEATED_MS for a, b in pairwise(own))
        return own[-1].ts_ms if own and not own[-1].entered and not lost else None

    def _elsewhere_ms(self, after_ms: int, near: Sequence[str]) -> int:
        """When the phone next entered another fence, or came back into one of these."""
        left: set[str] = set()
        for event in self.events[bisect_right(self.events, after_ms, key=_time) :]:
            if event.entered and (event.fence_id not in near or event.fence_id in left):
                return event.ts_ms - 1
            if not event.entered:
                left.add(event.fence_id)
        return self.events[-1].ts_ms

    def _until(self, ts_ms: int) -> list[DeviceEvent]:
        return self.events[: bisect_right(self.events, ts_ms, key=_time)]


def stay_of(
    pair: Pair, rivals: Sequence[Pair], after_ms: int, fences: FenceSet, plane: LocalPlane
) -> DeviceStay | None:
    """The stay that an entry and its exit tell of; None when the fence is unknown or no time is left.

    It begins when all `rivals` had been entered too, and not before `after_ms`.
    """
    own = fences.get(pair.fence_id, pair.entered_ms)
    if own is None:
        return None
    found = {pair.fence_id: (own, pair)}
    for rival in rivals:
        fence = fences.get(rival.fence_id, rival.entered_ms)
        if fence is not None and _meet(own, fence):
            found[rival.fence_id] = fence, rival
    begin_ms = max(after_ms, *(p.entered_ms for _, p in found.values()))
    if begin_ms >= pair.exited_ms:
        return None
    park, noise_m = _place([fence for fence, _ in found.values()], plane)
    candidates = tuple(
        Candidate(fence, plane.to_plane(fence.lat, fence.lon), fence.spread_m(), 0.0)
        for fence, _ in found.values()
    )
    crossed = {i: [p.entered_ms, NEVER_MS if p.open else p.exited_ms] for i, (_, p) in found.items()}
    return DeviceStay(_standstill(pair, begin_ms, park, noise_m), candidates, crossed)


def _pairs(events: Iterable[DeviceEvent]) -> list[Pair]:
    """Each exit with the entry it ends."""
    pairs = []
    inside: dict[str, tuple[int, int]] = {}
    for event in events:
        since = inside.pop(event.fence_id, None)
        if event.entered:
            inside[event.fence_id] = _entry(since, event.ts_ms)
        elif since is not None:
            pairs.append(Pair(event.ts_ms, since[0], event.fence_id))
    return sorted(pairs)


def _open(events: Sequence[DeviceEvent]) -> list[Pair]:
    """Entries without an exit by the last of these events."""
    inside: dict[str, tuple[int, int]] = {}
    for event in events:
        since = inside.pop(event.fence_id, None)
        if event.entered:
            inside[event.fence_id] = _entry(since, event.ts_ms)
    return [Pair(events[-1].ts_ms, entry[0], fence_id, open=True) for fence_id, entry in inside.items()]


def _entry(since: tuple[int, int] | None, ts_ms: int) -> tuple[int, int]:
    """First telling of an entry and the latest one."""
    again = since is not None and ts_ms - since[1] <= REPEATED_MS
    return (since[0] if since is not None and again else ts_ms), ts_ms


def _meet(a: Fence, b: Fence) -> bool:
    """Whether one may be in both; else an exit from one of them was lost."""
    return distance_m(a.lat, a.lon, b.lat, b.lon) <= 2 * (_size_m(a) + _size_m(b))


def _first(times: Iterable[int | None]) -> int | None:
    return next((ms for ms in times if ms is not None), None)


def _place(fences: Sequence[Fence], plane: LocalPlane) -> tuple[tuple[float, float], float]:
    """Where a vehicle stands that is inside all of these, and how surely: the smaller tell more."""
    sizes = [_size_m(f) for f in fences]
    weights = [1.0 / (s * s) for s in sizes]
    places = [plane.to_plane(f.lat, f.lon) for f in fences]
    east = sum(w * p[0] for w, p in zip(weights, places, strict=True)) / sum(weights)
    north = sum(w * p[1] for w, p in zip(weights, places, strict=True)) / sum(weights)
    return (east, north), min(sizes) / 2


def _size_m(fence: Fence) -> float:
    """Radius of a circle, or of one about as large as the shape."""
    return fence.radius_m if fence.radius_m is not None else max(1.75 * fence.spread_m(), 1.0)


def _standstill(pair: Pair, begin_ms: int, park: tuple[float, float], noise_m: float) -> Standstill:
    return Standstill(
        first=0,
        last=-1,
        arrived_ms=begin_ms,
        departed_ms=pair.exited_ms,
        arrived_between_ms=(begin_ms, pair.exited_ms),
        departed_between_ms=(begin_ms, pair.exited_ms),
        search_ms=0,
        park=park,
        door=park,
        walked=False,
        pings=0,
        max_gap_s=(pair.exited_ms - begin_ms) / 1000,
        hidden=False,
        open_ended=False,
        noise_m=noise_m,
        parted=False,
    )


def _time(event: DeviceEvent) -> int:
    return event.ts_ms
