"""How long services take of late beside what was expected: seasons and drift that no date explains."""

from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.history import FURTHEST, SHORTEST_S, running

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

LATELY_MS: Final = 7 * 86_400_000
"""A week back, so that each weekday counts once."""

SHRINKAGE: Final = 50.0
"""The level is drawn to 0 as if so many visits had taken as long as expected."""


class Level:
    """Visits by a key (region), sorted by their end, for looking up the level as of many moments.

    `expected_s` (n) is what was expected of each visit, whoever the customer; without it the level is 0.
    """

    def __init__(self, keys: pd.Series, ended_ms: Ints, service_s: Floats, expected_s: Floats | None = None):
        codes, unique = pd.factorize(_named(keys), sort=True)
        order = np.lexsort((service_s, ended_ms, codes))
        codes = codes[order].astype(np.int64)
        logs = np.log(np.maximum(service_s[order], SHORTEST_S))
        expected = logs if expected_s is None else np.log(np.maximum(expected_s[order], SHORTEST_S))
        self._keys = pd.Index(unique)
        self._ended = [ended_ms[order][codes == code] for code in range(len(unique))]
        sums = running(codes, np.clip(logs - expected, -FURTHEST, FURTHEST))
        self._sums = [np.append(0.0, sums[codes == code]) for code in range(len(unique))]

    def at(self, keys: pd.Series, as_of_ms: Ints) -> Floats:
        """The mean log of actual over expected (n) of the visits that ended in the week before `as_of_ms`."""
        found = np.zeros(len(as_of_ms))
        codes = self._keys.get_indexer(pd.Index(_named(keys)))
        for code in np.unique(codes[codes >= 0]):
            there = codes == code
            ended, sums, moments = self._ended[code], self._sums[code], as_of_ms[there]
            after = np.searchsorted(ended, moments, side="left")
            first = np.searchsorted(ended, moments - LATELY_MS, side="left")
            found[there] = (sums[after] - sums[first]) / (after - first + SHRINKAGE)
        return found


def _named(keys: pd.Series) -> "pd.Series[str]":
    return keys.astype(object).where(keys.notna(), "").astype(str)
