"""One model for all regions, with or without the region as a feature, or one for each: a backtest decides."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.assembly import Recipe, assemble, folds_of
from models.features import FeatureSpec, to_ms
from models.fitting import Fold, fit_main, fold
from models.model import Model
from models.regional import AnyModel, Regional
from models.splits import Split

Floats = npt.NDArray[np.float64]

WITH_REGION, POOLED, PER_REGION = "pooled with the region as a feature", "pooled", "per region"
LAYOUTS: Final = (WITH_REGION, POOLED, PER_REGION)
FEWEST_VISITS: Final = 500
"""A region with fewer learned visits has no model of its own."""


def errors_s(
    visits: pd.DataFrame, weights: Floats, splits: Sequence[Split], spec: FeatureSpec, recipe: Recipe
) -> dict[str, float]:
    """The mean absolute error of each layout over the splits; empty when there are not two large regions."""
    if len(large_regions(visits, splits)) < 2:
        return {}
    sums: dict[str, list[Floats]] = {name: [] for name in LAYOUTS}
    for split in splits:
        for name, found in _fold_errors(visits, weights, split, spec, recipe).items():
            sums[name].append(found)
    return {name: float(np.mean(np.concatenate(parts))) for name, parts in sums.items()}


def large_regions(visits: pd.DataFrame, splits: Sequence[Split]) -> list[str]:
    """Regions with enough visits before the first split."""
    before = visits[to_ms(visits["departed_at"]) < min(split.cut_ms for split in splits)]
    counts = before["region"].value_counts()
    return sorted(str(name) for name in counts[counts >= FEWEST_VISITS].index)


def build_layout(
    layout: str,
    visits: pd.DataFrame,
    weights: Floats,
    splits: Sequence[Split],
    outer: Split,
    spec: FeatureSpec,
    recipe: Recipe,
    notes: Mapping[str, Any],
) -> AnyModel:
    """The model of a layout, learned before `outer` and calibrated on the splits."""
    own = replace(spec, regional=layout == WITH_REGION)

    def made(chosen: pd.Series) -> Model:
        data = fold(visits[chosen], weights[chosen], outer, own, recipe.common, recipe.prepare)
        folds = folds_of(visits[chosen], weights[chosen], splits, own, recipe.common)
        return assemble(data, folds, recipe, outer, {**notes, "layout": layout})

    everyone = made(visits["visit_id"].notna())
    if layout != PER_REGION:
        return everyone
    return Regional(
        {name: made(visits["region"] == name) for name in large_regions(visits, splits)}, everyone
    )


def _fold_errors(
    visits: pd.DataFrame, weights: Floats, split: Split, spec: FeatureSpec, recipe: Recipe
) -> dict[str, Floats]:
    """Absolute errors by layout; regions without a model of their own use the pooled one."""
    (with_region,) = folds_of(visits, weights, [split], replace(spec, regional=True), recipe.common)
    (pooled,) = folds_of(visits, weights, [split], replace(spec, regional=False), recipe.common)
    found = {WITH_REGION: predicted_s(with_region, recipe), POOLED: predicted_s(pooled, recipe)}
    own = found[POOLED].copy()
    proven = pooled.visits[pooled.prove]
    for name in large_regions(visits, [split]):
        chosen = (visits["region"] == name).to_numpy(bool)
        parts = folds_of(
            visits[chosen], weights[chosen], [split], replace(spec, regional=False), recipe.common
        )
        for part in parts:
            own[(proven["region"] == name).to_numpy(bool)] = predicted_s(part, recipe)
    found[PER_REGION] = own
    return {name: np.abs(seconds - pooled.actual_s) for name, seconds in found.items()}


def predicted_s(data: Fold, recipe: Recipe) -> Floats:
    """What a model of the learning side predicts for the proving side, before calibration."""
    booster = fit_main(data, recipe.main, recipe.rounds)
    log_s = data.excess(data.prove, recipe.params["shrinkage"]) + booster.predict(data.features[data.prove])
    return np.asarray(np.exp(log_s))
