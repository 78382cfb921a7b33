"""LightGBM as this project uses it: deterministic, quiet, and imported only when needed."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

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
    """Rows to learn from: features (n, k), targets, weights, and what is already explained (n each)."""

    features: Floats
    targets: Floats
    weights: Floats
    offset: Floats | None = None

    def rows(self, chosen: npt.NDArray[Any]) -> "Sample":
        """Only these rows (a mask or places)."""
        offset = None if self.offset is None else self.offset[chosen]
        return Sample(self.features[chosen], self.targets[chosen], self.weights[chosen], offset)


def fit(
    sample: Sample,
    names: Sequence[str],
    params: Mapping[str, Any],
    rounds: int,
    watched: Sample | None = None,
    patience: int = 20,
) -> Any:
    """A booster of squared errors; with `watched` it stops when that stops improving."""
    library = lightgbm()
    rising = [int(name in RISING) for name in names] if params.get("monotone", True) else None
    own = {name: value for name, value in params.items() if name != "monotone"}
    settings = {**FIXED, **own, **({"monotone_constraints": rising} if rising else {})}
    data = _data(library, sample, names)
    if watched is None:
        return library.train(settings, data, rounds)
    return library.train(
        settings,
        data,
        rounds,
        valid_sets=[_data(library, watched, names, data)],
        callbacks=[library.early_stopping(patience, verbose=False)],
    )


def _data(library: Any, sample: Sample, names: Sequence[str], reference: Any = None) -> Any:
    return library.Dataset(
        sample.features,
        sample.targets if sample.offset is None else sample.targets - sample.offset,
        weight=sample.weights,
        feature_name=list(names),
        categorical_feature=[name for name in CATEGORIES if name in names],
        reference=reference,
        free_raw_data=False,
    )
