"""Puts a model together: boosters on all learning days, calibration from rolling folds before their end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.boosting import Prepare
from models.calibration import Calibration
from models.features import FeatureSpec, to_ms
from models.fitting import Fold, fit_both, fold, out_of_time
from models.model import Model
from models.splits import Split
from models.totals import RouteCalibration

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Recipe:
    """How to fit: LightGBM's settings with `shrinkage`, how many trees, what boosters share, where."""

    params: Mapping[str, Any]
    rounds: int
    common: Mapping[str, Any]
    prepare: Prepare | None = None
    """Where the boosters of the model are fitted; None: in this process."""

    @property
    def main(self) -> dict[str, Any]:
        """Settings of the main booster."""
        return {**self.params, **self.common}


def folds_of(
    visits: pd.DataFrame,
    weights: Floats,
    splits: Sequence[Split],
    spec: FeatureSpec,
    common: Mapping[str, Any],
) -> list[Fold]:
    """The splits that have rows on both sides, prepared; nothing after a split's end is part of it."""
    found = []
    as_of_ms, ended_ms = to_ms(visits["as_of"]), to_ms(visits["departed_at"])
    for split in splits:
        if all(mask.any() for mask in split.masks(as_of_ms, ended_ms)):
            within = as_of_ms < split.end_ms
            found.append(fold(visits[within], weights[within], split, spec, common))
    return found


def assemble(
    data: Fold, folds: Sequence[Fold], recipe: Recipe, split: Split, notes: Mapping[str, Any]
) -> Model:
    """A model of the learning side of `data`, calibrated by what the recipe does on the folds."""
    fitted = fit_both(data, recipe.main, recipe.rounds, recipe.common)
    tried = folds if recipe.prepare is None else [replace(f, prepare=recipe.prepare) for f in folds]
    parts = [out_of_time(f, fit_both(f, recipe.main, recipe.rounds, recipe.common)) for f in tried]
    errors, scales = (np.concatenate(side) for side in zip(*parts, strict=True))
    calibration = Calibration.of(errors, scales)
    actual_s = np.concatenate([f.actual_s for f in folds])
    predicted_s = actual_s / np.exp(errors)
    routes = pd.concat([f.visits.loc[f.prove, "route_id"] for f in folds])
    totals = RouteCalibration.of(
        routes,
        actual_s,
        predicted_s * calibration.mean_factor(scales),
        predicted_s * calibration.relative_sd(scales),
    )
    return Model(
        spec=data.spec,
        work=data.work,
        main=fitted.main,
        scale=fitted.scale,
        shrinkage=fitted.shrinkage,
        calibration=calibration,
        routes=totals,
        trained_until_ms=split.cut_ms,
        notes={"visits": int(data.learn.sum()), **notes},
    )
