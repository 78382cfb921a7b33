"""Routes as every worker keeps them: packed, since there are all drivers' and few are ever asked for."""

from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

import msgspec

from geofence import zstd
from geofence.clock import FOREVER_MS
from geofence.plan import covers
from geofence.routes import Route
from streams.topics import DAY_MS


class RouteSpan(NamedTuple):
    """Whose a route is, in which partition it came, and when (`ends_ms` of None: open)."""

    driver_id: str
    partition: int
    starts_ms: int
    ends_ms: int | None


class _Kept(NamedTuple):
    span: RouteSpan
    packed: bytes


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Route).decode


class RouteBook:
    """The routes that a visit may still be told of, by their ids: some 2 KB each, where a route has 18.

    A driver's routes are let go that were over long before his newest began, when no visit is told anew any
    more: `day_kept_s` after its day.
    """

    def __init__(self, day_kept_s: float) -> None:
        self._kept_ms = 2 * DAY_MS + round(1000 * day_kept_s)
        self._routes: dict[str, _Kept] = {}
        self._of_driver: dict[str, set[str]] = {}

    def __len__(self) -> int:
        return len(self._routes)

    def ids(self) -> Iterable[str]:
        """Of all routes."""
        return self._routes.keys()

    def put(self, partition: int, route: Route) -> None:
        """Add a route that came in a partition, or replace the one with its id."""
        span = RouteSpan(route.driver_id, partition, route.starts_ms, route.ends_ms)
        self._routes[route.route_id] = _Kept(span, _pack(route))
        self._of_driver.setdefault(route.driver_id, set()).add(route.route_id)
        self._let_go(route.driver_id)

    def get(self, route_id: str | None) -> Route | None:
        """The route with that id, if there is one."""
        kept = None if route_id is None else self._routes.get(route_id)
        return None if kept is None else _unpack(kept.packed)

    def of_partition(self, number: int, wanted: Callable[[RouteSpan], bool]) -> Iterator[Route]:
        """Those that have come in a partition and are wanted, unpacked one by one."""
        found = [k.packed for k in self._routes.values() if k.span.partition == number and wanted(k.span)]
        return map(_unpack, found)

    def _let_go(self, driver_id: str) -> None:
        """Forget the driver's routes that are long over."""
        ids = self._of_driver[driver_id]
        own = {i: self._routes[i].span for i in ids if i in self._routes}
        own = {i: span for i, span in own.items() if span.driver_id == driver_id}
        since_ms = max([span.starts_ms for span in own.values()]) - self._kept_ms
        for route_id, span in own.items():
            if not covers(span, since_ms, FOREVER_MS):
                del self._routes[route_id]
        ids.intersection_update(i for i in own if i in self._routes)


def _pack(route: Route) -> bytes:
    """A copy: what was compressed lies in a hole as large as it might have become."""
    return bytes(memoryview(zstd.compress(_encode(route))))


def _unpack(packed: bytes) -> Route:
    return _decode(zstd.decompress(packed))
