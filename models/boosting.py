"""LightGBM as this project uses it: deterministic, quiet, and imported only when needed."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, Self

import numpy as np
import numpy.typing as npt

from models.features import CATEGORIES, RISING

Floats = npt.NDArray[np.float64]

FIXED: Final[Mapping[str, Any]] = {
    "objective": "regression",
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
    "max_bin": 127,
    "min_data_in_bin": 5,
    "bagging_freq": 1,
    "feature_pre_filter": False,
}


def lightgbm() -> Any:
    """The library; its threads wait without spinning, which matters when others use the processors too."""
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    import lightgbm

    return lightgbm


@dataclass(frozen=True, slots=True)
class Sample:
    """Rows to learn from: features (n, k), targets and weights (n)."""

    features: Floats
    targets: Floats
    weights: Floats


class Learner(Protocol):
    """A sample made ready once, for fitting many boosters with other targets and settings."""

    def aiming_at(self, targets: Floats) -> Self:
        """The same rows with these targets."""
        ...

    def fit(self, params: Mapping[str, Any], rounds: int) -> Any:
        """A booster of squared errors, unless `params` name another objective."""
        ...


Prepare = Callable[[Sample, Sequence[str]], Learner]
"""Makes a sample of features of these names ready to be fitted somewhere else, as `spreading.Spread` does."""


class Binned:
    """A sample as LightGBM holds it in this process."""

    data: Any

    def __init__(self, sample: Sample, names: Sequence[str], reference: "Binned | None" = None) -> None:
        self.names = names
        self.data = (
            lightgbm()
            .Dataset(
                sample.features,
                sample.targets,
                weight=sample.weights,
                feature_name=list(names),
                categorical_feature=[name for name in CATEGORIES if name in names],
                reference=None if reference is None else reference.data,
                params=dict(FIXED),
            )
            .construct()
        )

    def aiming_at(self, targets: Floats) -> Self:
        """The same rows with these targets."""
        self.data.set_label(targets)
        return self

    def fit(
        self, params: Mapping[str, Any], rounds: int, watched: "Binned | None" = None, patience: int = 20
    ) -> Any:
        """A booster; with `watched` it stops when that has not improved for a while."""
        library = lightgbm()
        settings = by_place(params, self.names)
        if watched is None:
            return library.train(settings, self.data, rounds)
        stop = library.early_stopping(patience, verbose=False)
        return library.train(settings, self.data, rounds, valid_sets=[watched.data], callbacks=[stop])


def by_place(params: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """All of LightGBM's settings: what is said of features by name becomes lists in their order.

    `feature_weights` scales the gain of features (1 where not named); features in RISING are kept so unless
    `monotone` is False.
    """
    chosen = {name: value for name, value in params.items() if name not in {"monotone", "feature_weights"}}
    own = {**FIXED, **chosen}
    weights = params.get("feature_weights", {})
    if weights:
        own["feature_contri"] = [weights.get(name, 1.0) for name in names]
    if params.get("monotone", True):
        own["monotone_constraints"] = [int(name in RISING) for name in names]
    return own
