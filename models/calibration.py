"""Quantiles that hold: out-of-time errors, divided by their expected size, give every interval's bounds.

Split conformal prediction with locally weighted scores (Lei et al., "Distribution-free predictive inference
for regression", JASA 2018); the scores come from rolling folds, each later than what its model learned from.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

GRID: Final = np.linspace(0, 1, 401)
SMALLEST_SCALE: Final = 0.02
LARGEST_SCALE: Final = 2.0
SCALES: Final = np.geomspace(SMALLEST_SCALE, LARGEST_SCALE, 40)
TAIL: Final = 0.005
"""Share of errors at either end that the mean leaves out: one absurd visit must not move every plan."""


@dataclass(frozen=True)
class Calibration:
    """Order statistics of `count` scores (log error over scale) at 401 evenly spaced levels."""

    scores: tuple[float, ...]
    count: int

    @classmethod
    def of(cls, log_errors: Floats, scales: Floats) -> "Calibration":
        """From out-of-time errors log(actual / predicted) and the scale predicted for each."""
        scores = log_errors / clipped(scales)
        return cls(tuple(float(v) for v in np.quantile(scores, GRID)), len(scores))

    def log_quantile(self, level: float, scales: Floats) -> Floats:
        """What to add to the log prediction so that a share `level` of services takes at most that long.

        With few scores the level is raised by (n + 1) / n, as finite samples need.
        """
        raised = min(1.0, level * (self.count + 1) / self.count) if level > 0.5 else level
        return float(np.interp(raised, GRID, self.scores)) * clipped(scales)

    def mean_factor(self, scales: Floats) -> Floats:
        """The mean of actual / predicted for services of these scales (Duan's smearing estimate, 1983)."""
        kept = np.asarray(self.scores)[(GRID >= TAIL) & (GRID <= 1 - TAIL)]
        factors = np.exp(np.outer(SCALES, kept)).mean(axis=1)
        return np.asarray(np.interp(clipped(scales), SCALES, factors))

    def relative_sd(self, scales: Floats) -> Floats:
        """The standard deviation of actual / predicted."""
        kept = np.asarray(self.scores)[(GRID >= TAIL) & (GRID <= 1 - TAIL)]
        sds = np.exp(np.outer(SCALES, kept)).std(axis=1)
        return np.asarray(np.interp(clipped(scales), SCALES, sds))


def clipped(scales: Floats) -> Floats:
    """Scales within what is believable."""
    return np.clip(scales, SMALLEST_SCALE, LARGEST_SCALE)


def coverage(actual_s: Floats, bound_s: Floats) -> float:
    """The share of services that took at most their bound."""
    return float(np.mean(actual_s <= bound_s))


def coverage_table(actual_s: Floats, bounds_s: Sequence[tuple[float, Floats]]) -> list[dict[str, Any]]:
    """Stated and found coverage of several bounds: (level, seconds for each stop)."""
    return [{"stated": level, "found": coverage(actual_s, bound)} for level, bound in bounds_s]
