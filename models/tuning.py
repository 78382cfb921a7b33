"""Bayesian search (Optuna's TPE) for the model's settings: seeded, pruned, resumable."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from models.features import GROUPS
from models.fitting import ROBUST, Fold, fit_main

ROUNDS_AT_MOST: Final = 500
WEIGHED: Final = ("time", "weather", "customer")
"""Groups of features whose gain the search may scale down."""

DEFAULTS: Final[Mapping[str, Any]] = {
    "learning_rate": 0.08,
    "num_leaves": 15,
    "max_depth": 6,
    "min_data_in_leaf": 40,
    "feature_fraction": 0.8,
    "bagging_fraction": 0.8,
    "lambda_l1": 0.001,
    "lambda_l2": 1.0,
    "shrinkage": 3.0,
    "weight_time": 1.0,
    "weight_weather": 1.0,
    "weight_customer": 1.0,
}
"""Where the search begins: trial 0."""

DEFAULT_ROUNDS: Final = 150


@dataclass(frozen=True)
class Tuned:
    """The best settings: LightGBM's with `shrinkage`, how many trees, and how the search went."""

    params: Mapping[str, Any]
    rounds: int
    mae_s: float
    trials: int
    pruned: int


def tune(
    folds: Sequence[Fold],
    trials: int,
    seed: int,
    common: Mapping[str, Any],
    storage: str | None = None,
    name: str = "service-times",
    progress: Callable[[int, float], None] | None = None,
) -> Tuned:
    """Search settings by the mean absolute error over the folds, each later than what it learned from.

    With `storage` (a database URL) an interrupted search of that `name` goes on where it stopped, and ends
    as it would have. `progress` is told the number of finished trials and the best error in seconds.
    """
    study = _study(storage, name)
    while (done := _finished(study)) < trials:
        study.sampler = _sampler(seed + done)
        study.optimize(lambda trial: _error_s(trial, folds, common), n_trials=1)
        if progress is not None:
            progress(_finished(study), study.best_value)
    best = study.best_trial
    states = [t.state.name for t in study.trials]
    return Tuned(
        params=settings(best.params),
        rounds=int(best.user_attrs["rounds"]),
        mae_s=float(study.best_value),
        trials=done,
        pruned=states.count("PRUNED"),
    )


def settings(chosen: Mapping[str, Any]) -> dict[str, Any]:
    """What the search chose as settings of `fit_main`."""
    params = {key: value for key, value in chosen.items() if not key.startswith("weight_")}
    weights = {member: float(chosen[f"weight_{group}"]) for group in WEIGHED for member in GROUPS[group]}
    return {**ROBUST, **params, "feature_weights": weights}


def _study(storage: str | None, name: str) -> Any:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(
        storage=storage,
        study_name=name,
        load_if_exists=True,
        direction="minimize",
        pruner=optuna.pruners.MedianPruner(n_startup_trials=8, n_warmup_steps=0),
    )
    for trial in study.trials:
        if trial.state == optuna.trial.TrialState.RUNNING:
            study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
    if _finished(study) == 0:
        study.enqueue_trial(dict(DEFAULTS), skip_if_exists=True)
    return study


def _finished(study: Any) -> int:
    return sum(t.state.name in {"COMPLETE", "PRUNED"} for t in study.trials)


def _sampler(seed: int) -> Any:
    """A sampler for one trial, so that a resumed search draws what an uninterrupted one would."""
    import optuna

    return optuna.samplers.TPESampler(seed=seed, n_startup_trials=10)


def _error_s(trial: Any, folds: Sequence[Fold], common: Mapping[str, Any]) -> float:
    import optuna

    params = {**settings(_suggested(trial)), **common}
    errors: list[float] = []
    rounds: list[int] = []
    for step, data in enumerate(folds):
        booster = fit_main(data, params, ROUNDS_AT_MOST, stop_early=True)
        log_s = data.excess(data.prove, params["shrinkage"]) + booster.predict(data.features[data.prove])
        predicted_s = np.exp(log_s)
        errors.append(float(np.mean(np.abs(predicted_s - data.actual_s))))
        rounds.append(max(1, booster.best_iteration))
        trial.report(float(np.mean(errors)), step)
        if trial.should_prune():
            raise optuna.TrialPruned
    trial.set_user_attr("rounds", round(float(np.mean(rounds))))
    return float(np.mean(errors))


def _suggested(trial: Any) -> dict[str, Any]:
    return {
        "learning_rate": trial.suggest_float("learning_rate", 0.04, 0.3, log=True),
        "num_leaves": trial.suggest_int("num_leaves", 4, 48, log=True),
        "max_depth": trial.suggest_int("max_depth", 3, 7),
        "min_data_in_leaf": trial.suggest_int("min_data_in_leaf", 10, 200, log=True),
        "feature_fraction": trial.suggest_float("feature_fraction", 0.4, 1.0),
        "bagging_fraction": trial.suggest_float("bagging_fraction", 0.5, 1.0),
        "lambda_l1": trial.suggest_float("lambda_l1", 1e-3, 10.0, log=True),
        "lambda_l2": trial.suggest_float("lambda_l2", 1e-2, 30.0, log=True),
        "shrinkage": trial.suggest_float("shrinkage", 0.5, 20.0, log=True),
        **{f"weight_{group}": trial.suggest_float(f"weight_{group}", 0.2, 1.0) for group in WEIGHED},
    }
