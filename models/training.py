"""Training from end to end: split by time, tune, fit, calibrate, and measure beside the baselines."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.calibration import Calibration
from models.features import FeatureSpec, to_ms, usable
from models.fitting import Fold, fit_both, fold, out_of_time
from models.labels import label_weights
from models.model import Model
from models.proof import Proof, prove
from models.splits import NEWEST_DAYS, Split, holdout, rolling
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
    """A model with its proof on the newest days, which it never saw."""

    model: Model
    proof: Proof
    tuned: Tuned


def train(
    visits: pd.DataFrame,
    config: TrainingConfig | None = None,
    storage: str | None = None,
    progress: Progress | None = None,
) -> Trained:
    """Train on rows of the training table (`dataset.read`); the newest days are kept for the proof.

    The same rows, settings and seed give the same model. Raises NoTrainingData when there are too few.
    """
    config = config or TrainingConfig()
    tell = progress or (lambda *_: None)
    known = usable(visits)
    outer = holdout(known, config.newest_days)
    weights = label_weights(known)
    splits = rolling(known, outer.cut_ms, config.folds, config.fold_days)
    folds = _folds(known, weights, splits, config, tell)
    tuned = tune(
        folds,
        config.trials,
        config.seed,
        config.common,
        storage,
        f"{data_digest(known)}-{config.digest()}",
        lambda done, best: tell("Tuning", done, best),
    )
    data = fold(known, weights, outer, config.spec, config.common)
    model = _model(data, folds, tuned, config, outer)
    return Trained(model, prove(model, data), tuned)


def data_digest(visits: pd.DataFrame) -> str:
    """A short name of what a model learns from, whatever the order of the rows."""
    columns = visits[["visit_id", "revision", "service_time_s", "customer_id"]]
    hashes = pd.util.hash_pandas_object(columns, index=False).to_numpy()
    return hashlib.sha256(np.sort(hashes).tobytes()).hexdigest()[:16]


def _folds(
    visits: pd.DataFrame, weights: Floats, splits: Sequence[Split], config: TrainingConfig, tell: Progress
) -> list[Fold]:
    found = []
    for done, split in enumerate(splits, 1):
        within = to_ms(visits["as_of"]) < split.end_ms
        found.append(fold(visits[within], weights[within], split, config.spec, config.common))
        tell("Preparing", done, float("nan"))
    return [data for data in found if data.prove.any() and data.learn.any()]


def _model(data: Fold, folds: Sequence[Fold], tuned: Tuned, config: TrainingConfig, split: Split) -> Model:
    params = {**tuned.params, **config.common}
    pairs = [out_of_time(f, fit_both(f, params, tuned.rounds, config.common)) for f in folds]
    fitted = fit_both(data, params, tuned.rounds, config.common)
    calibration = Calibration.of(np.concatenate([e for e, _ in pairs]), np.concatenate([s for _, s in pairs]))
    notes = {
        "visits": int(data.learn.sum()),
        "data": data_digest(data.visits),
        "config": config.digest(),
        "seed": config.seed,
        "rounds": tuned.rounds,
        "params": dict(tuned.params),
    }
    return Model(
        data.spec,
        data.work,
        fitted.main,
        fitted.scale,
        fitted.shrinkage,
        calibration,
        split.cut_ms,
        notes,
    )
