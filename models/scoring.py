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
from models.totals import RouteCalibration

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
        return self.predictions_and_totals(stops, predicted_at_ms, explain)[0]

    def predictions_and_totals(
        self, stops: Sequence[Mapping[str, Any]], predicted_at_ms: int, explain: bool = True
    ) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """`stop-predictions` records of stops, and `route-predictions` records of what they add up to."""
        if not stops:
            return [], []
        frame = frame_of(stops)
        scored = self.score(frame, explain)
        at = format_time(predicted_at_ms)
        return self._of_stops(stops, scored, at), self._of_routes(frame, scored, at)

    def _of_stops(
        self, stops: Sequence[Mapping[str, Any]], scored: "Scored", at: str
    ) -> list[dict[str, Any]]:
        model = self._reference
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
                "model": model,
                "fallback": fallback,
                "top_factors": factors,
            }
            for stop, p50, p90, expected, fallback, factors in zip(
                stops, *rounded, scored.fallback, scored.factors, strict=True
            )
        ]

    def _of_routes(self, stops: pd.DataFrame, scored: "Scored", at: str) -> list[dict[str, Any]]:
        calibration = RouteCalibration() if self.model is None else self.model.routes
        estimates = scored.estimates
        totals = calibration.totals(stops["route_id"], estimates.expected_s, estimates.sd_s)
        model, first = self._reference, stops.drop_duplicates("route_id")
        drivers = dict(zip(first["route_id"], first["driver_id"], strict=True))
        bounds = [np.round(calibration.quantile(totals, level), 1).tolist() for level in (0.1, 0.5, 0.9)]
        return [
            {
                "route_id": route,
                "driver_id": drivers[route],
                "predicted_at": at,
                "stops": int(count),
                "expected_s": round(expected, 1),
                "p10_s": p10,
                "p50_s": p50,
                "p90_s": p90,
                "model": model,
            }
            for route, count, expected, p10, p50, p90 in zip(
                totals.route_ids, totals.stops, totals.expected_s.tolist(), *bounds, strict=True
            )
        ]

    @property
    def _reference(self) -> dict[str, str] | None:
        """Which model says it, as records name it."""
        return None if self.model is None else {"name": NAME, "version": str(self.version)}

    def score(self, stops: pd.DataFrame, explain: bool = True) -> Scored:
        """Estimates for a frame of stops (`models.features.frame_of`); top factors only when asked for."""
        if self.model is None:
            return self._fall_back(stops)
        estimates = self.model.estimate(stops, self._past)
        factors: list[list[dict[str, Any]]] = [[] for _ in range(len(stops))]
        if explain:
            factors = _strongest(*self.model.explain(stops, self._past))
        return Scored(estimates, [None] * len(stops), factors)

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


def _strongest(names: Sequence[str], effects_s: Floats) -> list[list[dict[str, Any]]]:
    """The features that move each prediction most, the strongest first, without those that round to 0."""
    rounded = np.round(effects_s, 1)
    order = np.argsort(-np.abs(rounded), axis=1, kind="stable")[:, :FACTORS]
    largest = np.take_along_axis(rounded, order, axis=1)
    return [
        [{"feature": names[i], "effect_s": v} for i, v in zip(places, values, strict=True) if v]
        for places, values in zip(order.tolist(), largest.tolist(), strict=True)
    ]


def _ratios(visits: pd.DataFrame, customers: History) -> tuple[float, float, float]:
    """Median, P90 and standard deviation of actual over the customer's mean so far."""
    known = customers.past(visits["customer_id"], to_ms(visits["as_of"]))
    use = known.visits >= ENOUGH_VISITS
    if use.sum() < ENOUGH_RATIOS:
        return USUAL_RATIOS
    ratios = visits["service_time_s"].to_numpy(float)[use] / known.average_s[use]
    return float(np.median(ratios)), float(np.quantile(ratios, 0.9)), float(ratios.std())
