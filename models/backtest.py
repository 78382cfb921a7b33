"""Backtests: one recipe, fitted anew on the past of each of several windows and proven on the window."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.assembly import Recipe, assemble, folds_of
from models.features import FeatureSpec, to_ms
from models.fitting import fold, fold_of
from models.model import Model
from models.proof import Proof, mae_s, prove
from models.regions import large_regions, predicted_s
from models.splits import DAY_MS, Split, rolling

Floats = npt.NDArray[np.float64]
Table = list[dict[str, Any]]
Tell = Callable[[], None]

SHARES: Final = (0.1, 0.2, 0.35, 0.5, 0.75, 1.0)
"""Shares of the past that the learning curve is drawn for."""


@dataclass(frozen=True)
class Material:
    """Usable visits with label weights, and how to fit."""

    visits: pd.DataFrame
    weights: Floats
    spec: FeatureSpec
    recipe: Recipe


def windows(material: Material, count: int, days: int) -> list[Split]:
    """The newest `count` windows, each so many days long (fewer when the table is short), oldest first."""
    end_ms = (int(to_ms(material.visits["as_of"]).max()) // DAY_MS + 1) * DAY_MS
    return rolling(material.visits, end_ms, count, days)


def backtest(material: Material, splits: Sequence[Split], tell: Tell) -> list[tuple[Model, Proof]]:
    """For each window a model of the days before it, calibrated before it too, and its proof."""
    found = []
    for split in splits:
        data = fold(material.visits, material.weights, split, material.spec, material.recipe.common)
        inner = rolling(material.visits, split.cut_ms, 2, 7)
        folds = folds_of(material.visits, material.weights, inner, material.spec, material.recipe.common)
        if data.learn.any() and data.prove.any() and folds:
            model = assemble(data, folds, material.recipe, split, {})
            found.append((model, prove(model, data)))
        tell()
    return found


def learning_curve(material: Material, split: Split, tell: Tell) -> Table:
    """The error on a window had the table begun later: with that many days and visits of the past."""
    as_of_ms = to_ms(material.visits["as_of"])
    first_ms = int(as_of_ms.min())
    rows = []
    for share in SHARES:
        since_ms = split.cut_ms - round((split.cut_ms - first_ms) * share)
        chosen = (as_of_ms >= since_ms) & (as_of_ms < split.end_ms)
        data = fold(
            material.visits[chosen], material.weights[chosen], split, material.spec, material.recipe.common
        )
        tell()
        if data.learn.sum() < 30:
            continue
        rows.append(
            {
                "days": (split.cut_ms - since_ms) / DAY_MS,
                "visits": int(data.learn.sum()),
                "mae_s": mae_s(predicted_s(data, material.recipe), data.actual_s),
            }
        )
    return rows


def unseen_regions(material: Material, split: Split, tell: Tell) -> Table:
    """For each region the error of a model that never saw it, beside that of one that learned from all.

    `first_week` knows no visit there before the window; `with_history` knows the customers' visits so far but
    did not learn from them.
    """
    regions = large_regions(material.visits, [split])
    if len(regions) < 2:
        return []
    spec = replace(material.spec, regional=False)
    visits, weights, common = material.visits, material.weights, material.recipe.common
    everything = fold(visits, weights, split, spec, common)
    known_s = predicted_s(everything, material.recipe)
    rows = []
    for region in regions:
        there = (visits["region"] == region).to_numpy(bool)
        prove_there = everything.prove & there
        strange = fold_of(visits, weights, everything.learn & ~there, prove_there, spec, common)
        kept = ~there | prove_there  # nothing of the region but what is to be predicted
        bare = fold_of(visits[kept], weights[kept], everything.learn[kept], prove_there[kept], spec, common)
        rows.append(
            {
                "region": region,
                "visits": int(prove_there.sum()),
                "learned_s": mae_s(known_s[there[everything.prove]], strange.actual_s),
                "with_history_s": mae_s(predicted_s(strange, material.recipe), strange.actual_s),
                "first_week_s": mae_s(predicted_s(bare, material.recipe), bare.actual_s),
            }
        )
        tell()
    return rows
