"""Fits the boosters of a model on one side of a time split, and predicts the other side."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.boosting import Sample, fit
from models.features import FeatureSpec, build, histories, to_ms
from models.model import EXCESS, work_columns, work_names, work_s
from models.splits import Mask, Split

Floats = npt.NDArray[np.float64]

SHORTEST_S: Final = 1.0
WORK: Final[Mapping[str, Any]] = {
    "learning_rate": 0.08,
    "num_leaves": 11,
    "min_data_in_leaf": 40,
    "feature_fraction": 0.8,
    "bagging_fraction": 0.9,
    "lambda_l2": 1.0,
}
WORK_ROUNDS: Final = 150
SCALE: Final[Mapping[str, Any]] = {
    "learning_rate": 0.08,
    "num_leaves": 6,
    "min_data_in_leaf": 80,
    "feature_fraction": 0.8,
    "lambda_l2": 5.0,
    "monotone": False,
}
SCALE_ROUNDS: Final = 50
LEAST_ERROR: Final = 0.01


@dataclass(frozen=True)
class Fold:
    """Both sides of a split as matrices; `excess` is not yet drawn to 0, which tuning decides on."""

    spec: FeatureSpec
    work: Any
    visits: pd.DataFrame
    features: Floats
    excess: Floats
    log_s: Floats
    weights: Floats
    learn: Mask
    prove: Mask

    def sample(self, chosen: Mask, shrinkage: float) -> Sample:
        """One side, with that much shrinkage of the customers' excess."""
        features = self.shrunk(chosen, shrinkage)
        offset = features[:, self.spec.names.index(EXCESS)]
        return Sample(features, self.log_s[chosen], self.weights[chosen], offset)

    def shrunk(self, chosen: Mask, shrinkage: float) -> Floats:
        """The features of one side with that much shrinkage."""
        features = self.features[chosen].copy()
        visits = features[:, self.spec.names.index("customer_visits")]
        features[:, self.spec.names.index(EXCESS)] = self.excess[chosen] / (visits + shrinkage)
        return features

    @property
    def actual_s(self) -> Floats:
        """Service times of the proving side."""
        return np.exp(self.log_s[self.prove])


@dataclass(frozen=True)
class Fitted:
    """Main and scale booster with the settings they were made with."""

    spec: FeatureSpec
    main: Any
    scale: Any

    @property
    def rounds(self) -> int:
        """Trees of the main booster."""
        return int(
            self.main.best_iteration if self.main.best_iteration > 0 else self.main.current_iteration()
        )

    def log_prediction(self, sample: Sample) -> Floats:
        """The log of the seconds, before calibration."""
        offset = np.zeros(len(sample.features)) if sample.offset is None else sample.offset
        return np.asarray(offset + self.main.predict(sample.features))


def fold(
    visits: pd.DataFrame, weights: Floats, split: Split, spec: FeatureSpec, common: Mapping[str, Any]
) -> Fold:
    """Prepare a split of usable visits and their label weights.

    Categories and the work booster come from the learning side alone.

    `common` are LightGBM settings for all boosters (`seed`, `num_threads`).
    """
    learn, prove = split.masks(to_ms(visits["as_of"]), to_ms(visits["departed_at"]))
    learned = replace(spec, shrinkage=0.0).learned(visits[learn])
    log_s = np.log(np.maximum(visits["service_time_s"].to_numpy(float), SHORTEST_S))
    plain = build(visits, histories(visits.iloc[:0]), learned)[:, work_columns(learned)]
    sample = Sample(plain, log_s, weights)
    work = fit(sample.rows(learn), work_names(learned), {**WORK, **common}, WORK_ROUNDS)
    past = histories(visits, work_s(work, visits, learned))
    features = build(visits, past, learned)
    at, visits_at = learned.names.index(EXCESS), learned.names.index("customer_visits")
    excess = features[:, at] * features[:, visits_at]
    return Fold(learned, work, visits, features, excess, log_s, weights, learn, prove)


def fit_main(data: Fold, params: Mapping[str, Any], rounds: int, stop_early: bool = False) -> Any:
    """The main booster on the learning side; `params` hold `shrinkage` beside LightGBM's own."""
    own = {name: value for name, value in params.items() if name != "shrinkage"}
    learn = data.sample(data.learn, params["shrinkage"])
    watched = data.sample(data.prove, params["shrinkage"]) if stop_early else None
    return fit(learn, data.spec.names, own, rounds, watched)


def fit_both(data: Fold, params: Mapping[str, Any], rounds: int, common: Mapping[str, Any]) -> Fitted:
    """Main and scale booster on the learning side; the scale learns the size of the main one's errors."""
    main = fit_main(data, params, rounds)
    learn = data.sample(data.learn, params["shrinkage"])
    fitted = Fitted(replace(data.spec, shrinkage=params["shrinkage"]), main, None)
    errors = learn.targets - fitted.log_prediction(learn)
    sizes = Sample(learn.features, np.log(np.abs(errors) + LEAST_ERROR), learn.weights)
    return replace(fitted, scale=fit(sizes, data.spec.names, {**SCALE, **common}, SCALE_ROUNDS))


def out_of_time(data: Fold, fitted: Fitted) -> tuple[Floats, Floats]:
    """Log errors and scales on the proving side."""
    prove = data.sample(data.prove, fitted.spec.shrinkage)
    return prove.targets - fitted.log_prediction(prove), np.exp(fitted.scale.predict(prove.features))
