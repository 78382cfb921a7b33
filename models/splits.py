"""Time splits: a model is always proven on days later than what it learned from."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.errors import NoTrainingData
from models.features import to_ms

Mask = npt.NDArray[np.bool_]

DAY_MS: Final = 86_400_000
NEWEST_DAYS: Final = 14
NEWEST_SHARE: Final = 0.25
FEWEST_VISITS: Final = 60
FEWEST_DAYS: Final = 3


@dataclass(frozen=True, slots=True)
class Split:
    """Learn from days before `cut_ms`, prove on those from then until `end_ms`."""

    cut_ms: int
    end_ms: int

    def masks(self, as_of_ms: npt.NDArray[np.int64], ended_ms: npt.NDArray[np.int64]) -> tuple[Mask, Mask]:
        """Which visits to learn from (planned and ended before the cut), and which to prove on."""
        return (as_of_ms < self.cut_ms) & (ended_ms < self.cut_ms), (as_of_ms >= self.cut_ms) & (
            as_of_ms < self.end_ms
        )


def holdout(visits: pd.DataFrame, newest_days: int = NEWEST_DAYS) -> Split:
    """The newest days apart: `newest_days`, but at most a quarter of the days there are.

    Raises NoTrainingData with fewer than 60 visits or 3 days.
    """
    days = np.unique(to_ms(visits["as_of"]) // DAY_MS)
    if len(visits) < FEWEST_VISITS or len(days) < FEWEST_DAYS:
        raise NoTrainingData(
            f"{len(visits)} completed visits on {len(days)} days are too few to learn from: "
            f"{FEWEST_VISITS} visits on {FEWEST_DAYS} days are needed"
        )
    newest = max(1, min(newest_days, int(len(days) * NEWEST_SHARE)))
    return Split(int(days[-newest]) * DAY_MS, (int(days[-1]) + 1) * DAY_MS)


def rolling(visits: pd.DataFrame, before_ms: int, folds: int = 3, days: int = 7) -> list[Split]:
    """Consecutive proving stretches of equal length, the last ending at `before_ms`, oldest first.

    Each is `days` long, or shorter so that at least half of the days before are left to learn from.
    """
    known = np.unique(to_ms(visits["as_of"]) // DAY_MS)
    known = known[known * DAY_MS < before_ms]
    folds = max(1, min(folds, len(known) // 2))
    length = max(1, min(days, len(known) // (2 * folds)))
    edges = [*(int(known[-length * k]) * DAY_MS for k in range(folds, 0, -1)), before_ms]
    return [Split(cut, end) for cut, end in pairwise(edges)]
