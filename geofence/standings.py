"""Where a vehicle stood, as compact rows; and what that says of its ways through customers' fences."""

from array import array
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from numba import njit

from geofence.sweep import APART_S

Ints = npt.NDArray[np.int64]

APART_MS: Final = round(1000 * APART_S)
FIELDS: Final = 4


def standing(customer_id: str, begin_ms: int, end_ms: int, speaks: bool) -> tuple[int, int, int, int]:
    """A standing within reach of a customer's fence, or a visit to the customer, as a row of numbers.

    It `speaks` when it was in the fence, or served: no way through it is told then. Customers go by the 64
    bits of their hash.
    """
    return hash(customer_id), begin_ms, end_ms, speaks


def way(customer_id: str, entered_ms: int, left_ms: int) -> tuple[int, int, int]:
    """A way through a customer's fence as a row of numbers."""
    return hash(customer_id), entered_ms, left_ms


class Standings:
    """Rows of `standing` in the order they came."""

    def __init__(self) -> None:
        self._rows = array("q")

    def add(self, rows: Iterable[tuple[int, int, int, int]]) -> None:
        """Keep these too."""
        self._rows.extend(chain.from_iterable(rows))

    def judge(
        self, ways: Sequence[tuple[int, int, int]], more: Sequence[tuple[int, int, int, int]]
    ) -> list[list[int]]:
        """When nothing can change each way any more, and whether a standing speaks instead of it.

        A standing counts that was on the way, or just before or after it; `more` count beside those kept.
        """
        stood = array("q", self._rows)
        stood.extend(chain.from_iterable(more))
        rows: list[list[int]] = _judged(np.array(ways), np.array(stood).reshape(-1, FIELDS)).tolist()
        return rows

    def forget_before(self, ts_ms: int) -> None:
        """Drop those that ended before a time."""
        rows = np.array(self._rows).reshape(-1, FIELDS)
        kept = rows[rows[:, 2] >= ts_ms]
        if len(kept) < len(rows):
            self._rows = array("q", kept.tobytes())


@njit(cache=True)
def _judged(ways: Ints, stood: Ints) -> Any:
    """Rows of a time and 0 or 1, see `Standings.judge`."""
    found = np.empty((len(ways), 2), np.int64)
    for n in range(len(ways)):
        customer, entered_ms, left_ms = ways[n]
        settled_ms, speaks = left_ms + APART_MS, 0
        for k in range(len(stood)):
            if stood[k, 0] != customer:
                continue
            if max(stood[k, 1] - left_ms, entered_ms - stood[k, 2]) <= APART_MS:
                settled_ms, speaks = max(settled_ms, stood[k, 2]), max(speaks, stood[k, 3])
        found[n, 0], found[n, 1] = settled_ms, speaks
    return found
