"""Predictions for stops to come, from a model or, while there is none, from what is known without one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from geofence.times import format_time
from models.baselines import RULE_S
from models.features import frame_of, histories, to_ms, usable
from models.history import History
from models.model import Estimates
from models.regional import AnyModel
from models.registry import NAME

Floats = npt.NDArray[np.float64]

FACTORS: Final = 5
"""How many features a prediction names as those that moved it most."""

ENOUGH_VISITS: Final = 2
"""A customer's own mean is used from so many visits on."""

ENOUGH_RATIOS: Final = 30
USUAL_RATIOS: Final = (1.0, 1.6, 0.45)
"""Median, P90 and standard deviation of actual over predicted, where too few services are known to tell."""


@dataclass(frozen=True, slots=True)
class Scored:
    """Estimates of stops (n), what they fall back on (None: the model), and their top factors."""

    estimates: Estimates
    fallback: list[str | None]
    factors: list[list[dict[str, Any]]]


class Scorer:
    """Scores stops with a model and the visits known so far; without a model it falls back and says so.

    `visits` are rows of the training table. Replace the scorer when there are new visits or a new model.
    """

    def __init__(
        self, visits: pd.DataFrame, model: AnyModel | None = None, version: str | None = None
    ) -> None:
        self.model = model
        self.version = version
        known = usable(visits)
        self._past: Any = None if model is None else model.histories(known)
        self._customers = histories(known).customers
        self._ratios = _ratios(known, self._customers)

    def predictions(
        self, stops: Sequence[Mapping[str, Any]], predicted_at_ms: int, explain: bool = True
    ) -> list[dict[str, Any]]:
        """`stop-predictions` records for stops as `Facts.of_routes` gives them."""
        if not stops:
            return []
        scored = self.score(frame_of(stops), explain)
        at = format_time(predicted_at_ms)
        own = None if self.model is None else {"name": NAME, "version": str(self.version)}
        rounded = [np.round(v, 1).tolist() for v in _columns(scored.estimates)]
        return [
            {
                "stop_id": stop["stop_id"],
                "route_id": stop["route_id"],
                "driver_id": stop["driver_id"],
                "customer_id": stop["customer_id"],
                "predicted_at": at,
                "p50_s": p50,
                "p90_s": p90,
                "expected_s": expected,
                "model": own,
                "fallback": fallback,
                "top_factors": factors,
            }
            for stop, p50, p90, expected, fallback, factors in zip(
                stops, *rounded, scored.fallback, scored.factors, strict=True
            )
        ]

    def score(self, stops: pd.DataFrame, explain: bool = True) -> Scored:
        """Estimates for a frame of stops (`models.features.frame_of`); top factors only when asked for."""
        if self.model is None:
            return self._fall_back(stops)
        explained = self.model.explain(stops, self._past) if explain else [{} for _ in range(len(stops))]
        factors = [_largest(effects_s) for effects_s in explained]
        return Scored(self.model.estimate(stops, self._past), [None] * len(stops), factors)

    def _fall_back(self, stops: pd.DataFrame) -> Scored:
        past = self._customers.past(stops["customer_id"], to_ms(stops["as_of"]))
        own = past.visits >= ENOUGH_VISITS
        base_s = np.where(own, past.average_s, RULE_S)
        median, p90, sd = (np.where(own, r, u) for r, u in zip(self._ratios, USUAL_RATIOS, strict=True))
        estimates = Estimates(base_s * median, base_s * p90, base_s, base_s * sd)
        return Scored(
            estimates,
            ["historical_mean" if known else "rule" for known in own.tolist()],
            [[] for _ in range(len(stops))],
        )


def _columns(estimates: Estimates) -> tuple[Floats, Floats, Floats]:
    return estimates.p50_s, estimates.p90_s, estimates.expected_s


def _largest(effects_s: Mapping[str, float]) -> list[dict[str, Any]]:
    """The features that move a prediction most, the strongest first."""
    strongest = sorted(effects_s.items(), key=lambda item: -abs(item[1]))[:FACTORS]
    return [{"feature": name, "effect_s": round(v, 1)} for name, v in strongest if abs(v) >= 0.05]


def _ratios(visits: pd.DataFrame, customers: History) -> tuple[float, float, float]:
    """Median, P90 and standard deviation of actual over the customer's mean so far."""
    known = customers.past(visits["customer_id"], to_ms(visits["as_of"]))
    use = known.visits >= ENOUGH_VISITS
    if use.sum() < ENOUGH_RATIOS:
        return USUAL_RATIOS
    ratios = visits["service_time_s"].to_numpy(float)[use] / known.average_s[use]
    return float(np.median(ratios)), float(np.quantile(ratios, 0.9)), float(ratios.std())
