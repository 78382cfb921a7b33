"""How much of a day has been persisted already."""

from dataclasses import dataclass
from typing import Final

CHUNK_ROWS: Final = 512


@dataclass(slots=True)
class Saved:
    """Pings go out as small tail chunks, which become full ones, written once."""

    full: int = 0  # leading full chunks
    rows: int = 0  # leading rows
    tails: int = 0  # tail numbers in use
    most_tails: int = 0  # ... that ever were
    epoch: int = 0
    device: bool = True  # nothing new among the device events

    def rewrite_from(self, row: int) -> None:
        """Rows from this number on have changed."""
        if row < self.rows:
            self.full = min(self.full, row // CHUNK_ROWS)
            self.rows = self.full * CHUNK_ROWS
            self.tails = 0
            self.epoch += 1
