"""How far a driver's data has come, told by several pings together."""

from collections.abc import Iterable, Sequence
from typing import Final

AGREEING: Final = 6
"""So many pings of different times tell the time: a phone's clock may jump for a few."""

AHEAD_MS: Final = 600_000
"""The newest ping may be so far ahead of the others."""

NEVER_MS: Final = -(1 << 60)
FOREVER_MS: Final = 1 << 60


class Clock:
    """The time of the newest ping, unless it is far ahead of the few before it.

    It follows from the set of pings alone and never goes back; with too few pings it has not begun.
    """

    __slots__ = ("_newest", "ms", "newest_ms")

    def __init__(self, newest: Iterable[int] = ()) -> None:
        self._set(sorted(set(newest)))

    def copy(self) -> "Clock":
        """An independent clock that shows the same."""
        return Clock(self._newest)

    def add(self, newest_first: Iterable[float]) -> None:
        """Note times of pings, given from the newest to the oldest; those too old to matter need no look."""
        found = set(self._newest)
        oldest = self._newest[0] if len(self._newest) == AGREEING else NEVER_MS
        seen: set[int] = set()
        for ts_ms in map(int, newest_first):
            seen.add(ts_ms)
            if ts_ms <= oldest or len(seen) > AGREEING:
                break
            found.add(ts_ms)
        self._set(sorted(found))

    def go_on(self, later: Sequence[int]) -> None:
        """Note times of pings in ascending order, all of them later than any before."""
        self._set([*self._newest, *later[-AGREEING:]])

    def _set(self, times: list[int]) -> None:
        newest = self._newest = times[-AGREEING:]
        self.newest_ms: int = newest[-1] if newest else 0
        """Time of the newest ping, 0 when there is none."""
        self.ms: int = NEVER_MS if len(newest) < AGREEING else min(self.newest_ms, newest[0] + AHEAD_MS)
        """The time reached."""
