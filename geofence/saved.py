"""How much of a day has been persisted already."""

from dataclasses import dataclass, field
from typing import Final, NamedTuple

CHUNK_ROWS: Final = 512

MERGED: Final = 8
"""So many tail chunks of one level become one of the next."""


class Tail(NamedTuple):
    """A tail chunk that counts: where its rows begin, its number among the day's tails, its level."""

    first_row: int
    number: int
    level: int


@dataclass(slots=True)
class Saved:
    """Pings go out as small tail chunks, which become full ones, written once."""

    full: int = 0  # leading full chunks
    rows: int = 0  # leading rows
    tails: list[Tail] = field(default_factory=list)  # after the full chunks, in the order of their rows
    numbers: int = 0  # a bit for each number that a tail has
    most_tails: int = 0  # tail numbers ever used
    epoch: int = 0
    device: bool = True  # nothing new among the device events

    def rewrite_from(self, row: int) -> None:
        """Rows from this number on have changed."""
        if row < self.rows:
            self.full = min(self.full, row // CHUNK_ROWS)
            self.rows = self.full * CHUNK_ROWS
            self.drop_tails()
            self.epoch += 1

    def add_tail(self, tail: Tail) -> None:
        """Have one more tail, which follows the others."""
        self.tails.append(tail)
        self.numbers |= 1 << tail.number
        self.most_tails = max(self.most_tails, tail.number + 1)

    def drop_tails(self, first: int = 0) -> None:
        """Have no tails from the one at that place in their order on."""
        for tail in self.tails[first:]:
            self.numbers &= ~(1 << tail.number)
        del self.tails[first:]

    def next_tail(self) -> Tail:
        """Where the rows not saved yet go, with those of the tails that it takes in, which are dropped."""
        first_row, level = self.rows, 0
        while len(self.tails) >= MERGED - 1 and self.tails[1 - MERGED].level == level:
            first_row = self.tails[1 - MERGED].first_row
            self.drop_tails(len(self.tails) + 1 - MERGED)
            level += 1
        lowest_free = ~self.numbers & (self.numbers + 1)
        tail = Tail(first_row, lowest_free.bit_length() - 1, level)
        self.add_tail(tail)
        return tail
