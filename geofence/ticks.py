"""The steps in which a driver's day is worked through: each so much event time, ending at times of its own.

Were they the same for all, every driver's work would come at once, and its records late.
"""

from typing import Final
from zlib import crc32

TICK_MS: Final = 60_000  # the work is done in steps of this much event time


class Ticks:
    """The ends of a driver's steps, every `TICK_MS`."""

    __slots__ = ("_offset_ms",)

    def __init__(self, driver_id: str) -> None:
        self._offset_ms = crc32(driver_id.encode()) % TICK_MS

    def of(self, ts_ms: int) -> int:
        """The end of the step that a time belongs to."""
        return -((self._offset_ms - ts_ms) // TICK_MS) * TICK_MS + self._offset_ms

    def before(self, ts_ms: int) -> int:
        """The last end of a step before a time."""
        return (ts_ms - 1 - self._offset_ms) // TICK_MS * TICK_MS + self._offset_ms
