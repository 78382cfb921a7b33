"""The steps in which a driver's day is worked through: each so much event time, ending at times of its own.

Were they the same for all, every driver's work would come at once, and its records late.
"""

from typing import Final
from zlib import crc32

from geofence.compiling import kernel

TICK_MS: Final = 60_000  # the work is done in steps of this much event time


class Ticks:
    """The ends of a driver's steps, every `TICK_MS`, `offset_ms` after the full ones."""

    __slots__ = ("offset_ms",)

    def __init__(self, driver_id: str) -> None:
        self.offset_ms = crc32(driver_id.encode()) % TICK_MS

    def of(self, ts_ms: int) -> int:
        """The end of the step that a time belongs to."""
        return -((self.offset_ms - ts_ms) // TICK_MS) * TICK_MS + self.offset_ms

    def before(self, ts_ms: int) -> int:
        """The last end of a step before a time."""
        return (ts_ms - 1 - self.offset_ms) // TICK_MS * TICK_MS + self.offset_ms


@kernel()
def end_of(ts_ms: int, offset_ms: int) -> int:
    """`Ticks.of` in compiled code."""
    return -((offset_ms - ts_ms) // TICK_MS) * TICK_MS + offset_ms
