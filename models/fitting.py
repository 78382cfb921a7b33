"""Fits the boosters of a model on one side of a time split, and predicts the other side."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.boosting import Binned, Learner, Prepare, Sample
from models.features import FeatureSpec, build, histories, to_ms
from models.model import known_before, work_columns, work_names
from models.splits import Mask, Split

Floats = npt.NDArray[np.float64]

SHORTEST_S: Final = 1.0
ROBUST: Final[Mapping[str, Any]] = {"objective": "huber", "alpha": 0.3}
"""Services that are badly timed do not bend the model: beyond 0.3 on the log scale errors count linearly."""

WORK: Final[Mapping[str, Any]] = {
    **ROBUST,
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
    """Both sides of a split of usable visits: learning rows and proving rows as masks over `visits`.

    `prepare` says where boosters of the learning side are fitted; None: in this process.
    """

    spec: FeatureSpec
    work: Any
    visits: pd.DataFrame
    features: Floats
    log_s: Floats
    weights: Floats
    learn: Mask
    prove: Mask
    prepare: Prepare | None = None

    def excess(self, chosen: Mask, shrinkage: float) -> Floats:
        """What is known beforehand of the customers of one side, and of late, on a log scale."""
        return known_before(self.features[chosen], self.spec, shrinkage)

    @cached_property
    def learning(self) -> Learner:
        """The learning side, where it is fitted."""
        if self.prepare is None:
            return self.binned
        return self.prepare(self._side(self.learn), self.spec.names)

    @cached_property
    def binned(self) -> Binned:
        """The learning side as LightGBM holds it."""
        return Binned(self._side(self.learn), self.spec.names)

    @cached_property
    def proving(self) -> Binned:
        """The proving side as LightGBM holds it."""
        return Binned(self._side(self.prove), self.spec.names, self.binned)

    def _side(self, chosen: Mask) -> Sample:
        return Sample(self.features[chosen], self.log_s[chosen], self.weights[chosen])

    @property
    def actual_s(self) -> Floats:
        """Service times of the proving side."""
        return np.exp(self.log_s[self.prove])


@dataclass(frozen=True)
class Fitted:
    """Main and scale booster, and the shrinkage they were made with."""

    main: Any
    scale: Any
    shrinkage: float


def fold(
    visits: pd.DataFrame,
    weights: Floats,
    split: Split,
    spec: FeatureSpec,
    common: Mapping[str, Any],
    prepare: Prepare | None = None,
) -> Fold:
    """Prepare a split of usable visits and their label weights.

    Categories and the work booster come from the learning side alone.
    `common` are LightGBM settings for all boosters (`seed`, `num_threads`).
    """
    learn, prove = split.masks(to_ms(visits["as_of"]), to_ms(visits["departed_at"]))
    return fold_of(visits, weights, learn, prove, spec, common, prepare)


def fold_of(
    visits: pd.DataFrame,
    weights: Floats,
    learn: Mask,
    prove: Mask,
    spec: FeatureSpec,
    common: Mapping[str, Any],
    prepare: Prepare | None = None,
) -> Fold:
    """Prepare any two sides of usable visits; all of them are history."""
    learned = spec.learned(visits[learn])
    log_s = np.log(np.maximum(visits["service_time_s"].to_numpy(float), SHORTEST_S))
    plain = build(visits, histories(visits.iloc[:0]), learned)[:, work_columns(learned)]
    sample = Sample(plain[learn], log_s[learn], weights[learn])
    plainly = (prepare or Binned)(sample, work_names(learned))
    work = plainly.fit({**WORK, **common}, WORK_ROUNDS)
    expected_s = np.exp(np.asarray(work.predict(plain)))
    features = build(visits, histories(visits, expected_s), learned)
    return Fold(learned, work, visits, features, log_s, weights, learn, prove, prepare)


def fit_main(data: Fold, params: Mapping[str, Any], rounds: int, stop_early: bool = False) -> Any:
    """The main booster on the learning side; `params` hold `shrinkage` beside LightGBM's own."""
    own = {name: value for name, value in params.items() if name != "shrinkage"}
    shrinkage = params["shrinkage"]
    targets = data.log_s[data.learn] - data.excess(data.learn, shrinkage)
    if not stop_early:
        return data.learning.aiming_at(targets).fit(own, rounds)
    watched = data.proving.aiming_at(data.log_s[data.prove] - data.excess(data.prove, shrinkage))
    return data.binned.aiming_at(targets).fit(own, rounds, watched)


def fit_both(data: Fold, params: Mapping[str, Any], rounds: int, common: Mapping[str, Any]) -> Fitted:
    """Main and scale booster on the learning side; the scale learns the size of the main one's errors."""
    main = fit_main(data, params, rounds)
    errors = _errors(data, data.learn, main, params["shrinkage"])
    sizes = data.learning.aiming_at(np.log(np.abs(errors) + LEAST_ERROR))
    return Fitted(main, sizes.fit({**SCALE, **common}, SCALE_ROUNDS), params["shrinkage"])


def out_of_time(data: Fold, fitted: Fitted) -> tuple[Floats, Floats]:
    """Log errors and scales on the proving side."""
    errors = _errors(data, data.prove, fitted.main, fitted.shrinkage)
    return errors, np.exp(fitted.scale.predict(data.features[data.prove]))


def _errors(data: Fold, chosen: Mask, main: Any, shrinkage: float) -> Floats:
    """Log of actual over predicted."""
    predicted = data.excess(chosen, shrinkage) + main.predict(data.features[chosen])
    return np.asarray(data.log_s[chosen] - predicted)
