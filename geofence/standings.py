"""Where a vehicle stood, as compact rows; and what that says of its ways through customers' fences."""

from array import array
from collections.abc import Iterable
from itertools import chain
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from geofence.compiling import lean
from geofence.sweep import APART_S

Ints = npt.NDArray[np.int64]

APART_MS: Final = round(1000 * APART_S)
FIELDS: Final = 4
CUSTOMER, BEGIN_MS, END_MS, SPEAKS = range(FIELDS)

Standing = tuple[int, int, int, int]


def standing(customer_id: str, begin_ms: int, end_ms: int, speaks: bool) -> Standing:
    """A standing within reach of a customer's fence, or a visit to the customer, as a row of numbers.

    It `speaks` when it was in the fence, or served: no way through it is told then. Customers go by the 64
    bits of their hash.
    """
    return hash(customer_id), begin_ms, end_ms, speaks


class Standings:
    """Rows of `standing` in the order they came."""

    def __init__(self) -> None:
        self._rows = array("q")

    def copy(self) -> "Standings":
        """The same rows once more."""
        other = Standings()
        other._rows = array("q", self._rows)
        return other

    def add(self, rows: Iterable[Standing]) -> None:
        """Keep these too."""
        self._rows.fromlist(list(chain.from_iterable(rows)))

    def and_(self, more: Iterable[Standing]) -> Ints:
        """The rows kept, and these."""
        rows = array("q", self._rows)
        rows.fromlist(list(chain.from_iterable(more)))
        return np.frombuffer(rows, np.int64).reshape(-1, FIELDS)

    def forget_before(self, ts_ms: int) -> None:
        """Drop the first ones, as far as they ended before a time."""
        rows, gone = self._rows, 0
        while gone < len(rows) and rows[gone + END_MS] < ts_ms:
            gone += FIELDS
        del rows[:gone]


@lean()
def judged(entered_ms: int, left_ms: int, stood: Ints) -> Any:
    """When nothing can change a way through a fence any more, and whether a standing speaks instead of it.

    Of its customer's standings, one counts that was on the way, or just before or after it.
    """
    settled_ms, speaks = left_ms + APART_MS, False
    for k in range(len(stood)):
        if max(stood[k, BEGIN_MS] - left_ms, entered_ms - stood[k, END_MS]) <= APART_MS:
            settled_ms, speaks = max(settled_ms, stood[k, END_MS]), speaks or stood[k, SPEAKS] > 0
    return settled_ms, speaks
