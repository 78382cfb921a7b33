"""How long all stops of a route take together: errors cancel in part, and the interval knows how far."""

from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]

GRID: Final = np.linspace(0, 1, 101)
ENOUGH_ROUTES: Final = 60
"""From so many proven routes on, their own errors give the quantiles; before, the normal distribution."""


@dataclass(frozen=True, slots=True)
class Totals:
    """Totals of routes (n), in seconds; `sd_s` is the standard deviation of the total."""

    route_ids: list[str]
    stops: Floats
    expected_s: Floats
    sd_s: Floats


@dataclass(frozen=True)
class RouteCalibration:
    """How errors of stops of one route hang together, and how large the totals' errors are in their own sd.

    `correlation` is that between the errors of two stops of a route, each over its standard deviation;
    `scores` are order statistics of the totals' errors over their sd at 101 levels, empty when too few.
    """

    correlation: float = 1.0
    scores: tuple[float, ...] = ()

    @classmethod
    def of(cls, routes: pd.Series, actual_s: Floats, expected_s: Floats, sd_s: Floats) -> "RouteCalibration":
        """From predictions of services nobody had seen; those whose `routes` is null are left out."""
        known = routes.notna().to_numpy()
        correlation = _correlation(routes[known], ((actual_s - expected_s) / sd_s)[known])
        own = cls(correlation)
        totals = own.totals(routes[known], expected_s[known], sd_s[known])
        if len(totals.route_ids) < ENOUGH_ROUTES:
            return own
        actual = pd.Series(actual_s[known]).groupby(routes[known].to_numpy()).sum().to_numpy()
        scores = np.quantile((actual - totals.expected_s) / totals.sd_s, GRID)
        return cls(correlation, tuple(float(v) for v in scores))

    def totals(self, routes: pd.Series, expected_s: Floats, sd_s: Floats) -> Totals:
        """The total of each route, by route id."""
        frame = pd.DataFrame({"n": 1.0, "expected": expected_s, "sd": sd_s, "variance": sd_s**2})
        sums = frame.groupby(routes.to_numpy()).sum()
        variance = sums["variance"] + self.correlation * (sums["sd"] ** 2 - sums["variance"])
        return Totals(
            [str(route) for route in sums.index],
            sums["n"].to_numpy(float),
            sums["expected"].to_numpy(float),
            np.sqrt(variance.to_numpy(float)),
        )

    def quantile(self, totals: Totals, level: float) -> Floats:
        """Seconds that a share `level` of such routes takes at most in all its stops."""
        score = float(np.interp(level, GRID, self.scores)) if self.scores else NormalDist().inv_cdf(level)
        return np.maximum(totals.expected_s + score * totals.sd_s, 0.0)


def _correlation(routes: pd.Series, errors: Floats) -> float:
    """The mean product of the errors of two stops of one route; between 0 and 1."""
    frame = pd.DataFrame({"n": 1.0, "e": errors, "square": errors**2}).groupby(routes.to_numpy()).sum()
    pairs = (frame["n"] * (frame["n"] - 1)).sum()
    if pairs == 0:
        return 1.0
    products = (frame["e"] ** 2 - frame["square"]).sum() / pairs
    return float(np.clip(products / max(float(np.mean(errors**2)), 1e-9), 0.0, 1.0))
