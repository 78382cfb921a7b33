"""Training from end to end: split by time, tune, fit, calibrate, and measure beside the baselines."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.assembly import Recipe, assemble, folds_of
from models.boosting import Prepare
from models.code import code_version
from models.features import STOP_COLUMNS, FeatureSpec, usable
from models.fitting import fold
from models.labels import label_weights
from models.proof import Proof, prove
from models.regional import AnyModel
from models.regions import WITH_REGION, build_layout, errors_s
from models.splits import NEWEST_DAYS, holdout, rolling
from models.tuning import Tuned, tune

Floats = npt.NDArray[np.float64]
Progress = Callable[[str, int, float], None]
"""Told what is being done, how many steps of it are done, and the best error so far in seconds."""


@dataclass(frozen=True)
class TrainingConfig:
    """What decides a model beside its data."""

    spec: FeatureSpec = field(default_factory=FeatureSpec)
    trials: int = 30
    seed: int = 7
    threads: int = 2
    newest_days: int = NEWEST_DAYS
    folds: int = 3
    fold_days: int = 7

    @property
    def common(self) -> dict[str, int]:
        """LightGBM's settings that are the same for every booster."""
        return {"seed": self.seed, "num_threads": self.threads}

    def digest(self) -> str:
        """A short name of these settings."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Trained:
    """A model with its proof on the newest days, which it never saw; errors of the ways to treat regions."""

    model: AnyModel
    proof: Proof
    tuned: Tuned
    layouts_mae_s: Mapping[str, float]


def train(
    visits: pd.DataFrame,
    config: TrainingConfig | None = None,
    storage: str | None = None,
    progress: Progress | None = None,
    prepare: Prepare | None = None,
) -> Trained:
    """Train on rows of the training table (`dataset.read`); the newest days are kept for the proof.

    The same rows, settings and seed give the same model, unless `prepare` has its boosters fitted elsewhere.
    Raises NoTrainingData when there are too few rows.
    """
    config = config or TrainingConfig()
    tell = progress or (lambda *_: None)
    known = usable(visits)
    outer = holdout(known, config.newest_days)
    weights = label_weights(known)
    splits = rolling(known, outer.cut_ms, config.folds, config.fold_days)
    folds = []
    for done, split in enumerate(splits, 1):
        folds += folds_of(known, weights, [split], config.spec, config.common)
        tell("Preparing", done, float("nan"))
    tuned = tune(
        folds,
        config.trials,
        config.seed,
        config.common,
        storage,
        f"{data_digest(known)}-{config.digest()}-{code_version()}",
        lambda done, best: tell("Tuning", done, best),
    )
    recipe = Recipe(tuned.params, tuned.rounds, config.common, prepare)
    layouts = errors_s(known, weights, splits, config.spec, recipe)
    layout = min(layouts, key=lambda name: layouts[name]) if layouts else WITH_REGION
    data = fold(known, weights, outer, config.spec, config.common, prepare)
    notes = _notes(known, config, recipe, layout)
    if layout == WITH_REGION:
        model: AnyModel = assemble(data, folds, recipe, outer, notes)
    else:
        model = build_layout(layout, known, weights, splits, outer, config.spec, recipe, notes)
    return Trained(model, prove(model, data), tuned, layouts)


def _notes(visits: pd.DataFrame, config: TrainingConfig, recipe: Recipe, layout: str) -> dict[str, Any]:
    return {
        "data": data_digest(visits),
        "config": config.digest(),
        "seed": config.seed,
        "rounds": recipe.rounds,
        "params": dict(recipe.params),
        "layout": layout,
        "fitted": "in one process" if recipe.prepare is None else "over a cluster",
    }


def data_digest(visits: pd.DataFrame) -> str:
    """A short name of what a model learns from, whatever the order of the rows."""
    columns = visits[["visit_id", "revision", "service_time_s", "confidence", *STOP_COLUMNS]]
    hashes = pd.util.hash_pandas_object(columns, index=False).to_numpy()
    return hashlib.sha256(np.sort(hashes).tobytes()).hexdigest()[:16]
