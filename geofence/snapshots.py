"""States of a day's work to go on from when pings come late; without them the day began anew each time."""

from typing import Final, NamedTuple

from geofence.shift import Shift

SLACK_MS: Final = 90_000  # what an outage held back comes in any order: so long before it is gone back to
EVERY_MS: Final = 120_000  # so much work is done again rather than another state kept
APART_MS: Final = 3_600_000  # an older one is kept until the latest is so long after it
KEPT: Final = 2


class Snapshot(NamedTuple):
    """A day's work up to a time, and the visits that were told for the last time by then."""

    shift: Shift
    settled: frozenset[str] = frozenset()


class Snapshots:
    """Those of one day, in the order of time. Only days into which pings came late have any."""

    def __init__(self) -> None:
        self._kept: list[Snapshot] = []

    def add(self, shift: Shift, settled: frozenset[str]) -> None:
        """Keep what has been worked through now."""
        kept = self._kept
        kept.append(Snapshot(shift.copy(), settled))
        if len(kept) > KEPT:
            del kept[0 if kept[-1].shift.until_ms - kept[0].shift.until_ms >= APART_MS else 1]

    def latest(self) -> Snapshot | None:
        """The latest, to go on from."""
        if not self._kept:
            return None
        shift, settled = self._kept[-1]
        return Snapshot(shift.copy(), settled)

    def forget_since(self, ts_ms: int, row: int) -> None:
        """Forget those to which something new belongs: of that time, or in the track from that row on."""
        self._kept = [k for k in self._kept if k.shift.until_ms < ts_ms and k.shift.rows_read <= row]

    def forget(self) -> None:
        """Forget all."""
        self._kept.clear()
