"""What past visits of a customer tell, as of a moment: only visits that had ended by then are seen."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

RECENT: Final = 7
"""Visits that the recent median looks back on."""

SHORTEST_S: Final = 1.0
"""Service times are averaged on a log scale, where one odd visit weighs little; this keeps the log finite."""

FURTHEST: Final = 0.5
"""What took more than 1.65 times as long as expected, or less than 0.6, is taken to be an accident."""

DAY_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True)
class Past:
    """One value for each stop asked for; NaN where there is no such past visit.

    `average_s` is the plain mean, `mean_s` the geometric one (robust), `recent_s` the median of the last few,
    `spread` the standard deviation of the logs.
    """

    visits: Floats
    average_s: Floats
    mean_s: Floats
    recent_s: Floats
    last_s: Floats
    spread: Floats
    days_since: Floats
    excess: Floats
    """The mean of log(actual / expected) over past visits, each no further than `FURTHEST` from 0."""


class History:
    """Visits by a key (customer), sorted by their end, for looking up many stops at once.

    `keys` (n strings), `ended_ms` (n), `service_s` (n), and `expected_s` (n), what was expected of each
    visit without knowing the customer; when not given, excess is 0.
    """

    def __init__(self, keys: pd.Series, ended_ms: Ints, service_s: Floats, expected_s: Floats | None = None):
        codes, unique = pd.factorize(keys, sort=True)
        order = np.lexsort((service_s, ended_ms, codes))
        codes = codes[order].astype(np.int64)
        self._keys = pd.Index(unique)
        self._ended = ended_ms[order]
        self._start_ms = int(ended_ms.min()) if len(ended_ms) else 0
        self._span = int(ended_ms.max()) - self._start_ms + 2 if len(ended_ms) else 2
        self._place = codes * self._span + (self._ended - self._start_ms)
        self._service = service_s[order]
        logs = np.log(np.maximum(self._service, SHORTEST_S))
        expected = logs if expected_s is None else np.log(np.maximum(expected_s[order], SHORTEST_S))
        self._seconds = running(codes, self._service)
        self._sums = running(codes, logs)
        self._squares = running(codes, logs * logs)
        self._excess = running(codes, np.clip(logs - expected, -FURTHEST, FURTHEST))

    def __len__(self) -> int:
        return len(self._service)

    def past(self, keys: pd.Series, as_of_ms: Ints) -> Past:
        """What each stop's key looked like from visits that ended before its `as_of_ms`."""
        first, after = self._ranges(keys, as_of_ms)
        n = (after - first).astype(float)
        some = np.where(n > 0, n, np.nan)
        last = after - 1
        mean = _at(self._sums, last, n) / some
        variance = _at(self._squares, last, n) / some - mean * mean
        return Past(
            visits=n,
            average_s=_at(self._seconds, last, n) / some,
            mean_s=np.exp(mean),
            recent_s=self._recent(first, after),
            last_s=_at(self._service, last, n),
            spread=np.where(n > 1, np.sqrt(np.maximum(variance, 0)), np.nan),
            days_since=(as_of_ms - _at(self._ended, last, n)) / DAY_MS,
            excess=_at(self._excess, last, n) / some,
        )

    def _ranges(self, keys: pd.Series, as_of_ms: Ints) -> tuple[Ints, Ints]:
        """Where the past visits of each key start and end among the sorted ones."""
        codes = self._keys.get_indexer(pd.Index(keys)).astype(np.int64)
        since = np.clip(as_of_ms - self._start_ms, 0, self._span - 1)
        first = np.searchsorted(self._place, codes * self._span, side="left")
        after = np.searchsorted(self._place, codes * self._span + since, side="left")
        unknown = codes < 0
        return np.where(unknown, 0, first), np.where(unknown, 0, after)

    def _recent(self, first: Ints, after: Ints) -> Floats:
        """The median of the last few visits."""
        if not len(self):
            return np.full(len(first), np.nan)
        at = after[:, None] - 1 - np.arange(RECENT)
        values = np.where(at >= first[:, None], self._service[np.maximum(at, 0)], np.inf)
        values.sort(axis=1)
        n = np.minimum(after - first, RECENT)
        rows = np.arange(len(n))
        low, high = values[rows, np.maximum(n - 1, 0) // 2], values[rows, n // 2 % RECENT]
        return np.where(n > 0, (low + high) / 2, np.nan)


def running(codes: Ints, values: Floats) -> Floats:
    """Sums up to each visit within its own key, so that no key's figures depend on another's."""
    return np.asarray(pd.Series(values).groupby(codes).cumsum(), dtype=np.float64)


def _at(values: Floats | Ints, places: Ints, n: Floats) -> Floats:
    """The values at these places; NaN where there is no visit (n is 0)."""
    if not len(values):
        return np.full(len(n), np.nan)
    return np.where(n > 0, values[np.maximum(places, 0)], np.nan)
