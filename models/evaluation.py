"""The proof of a model as a data science team wants it: everything `servicetime evaluate` reports."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from geofence.times import format_time
from models import figures
from models.assembly import Recipe
from models.backtest import Material, backtest, learning_curve, unseen_regions, windows
from models.costs import Prices
from models.errors import NoTrainingData
from models.features import FeatureSpec, usable
from models.labels import label_weights
from models.model import Model
from models.proof import Proof, joined
from models.regions import errors_s
from models.splits import holdout
from models.totals import RouteCalibration
from models.training import Trained
from models.truth import KnownTruth, Truth
from models.truth import joined as truth_of_all
from models.tuning import DEFAULT_ROUNDS, DEFAULTS, settings

Floats = npt.NDArray[np.float64]
Tell = Callable[[str, int], None]

EXPLAINED: Final = 2_000
"""Stops that mean contributions are taken over."""

EXAMPLES: Final = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Stops shown one by one, as shares of all in the order of their prediction."""

EFFECTS: Final = 6
STEPS: Final = 20
"""About how many steps of progress an evaluation has."""


@dataclass(frozen=True)
class EvaluationConfig:
    """What is evaluated: a recipe, in how many windows of how many days, at which prices."""

    recipe: Recipe
    spec: FeatureSpec = field(default_factory=FeatureSpec)
    windows: int = 4
    days: int = 7
    prices: Prices = field(default_factory=Prices)


def default_recipe(seed: int = 7, threads: int = 2) -> Recipe:
    """The settings that a search begins with."""
    return Recipe(settings(DEFAULTS), DEFAULT_ROUNDS, {"seed": seed, "num_threads": threads})


def evaluate(
    visits: pd.DataFrame,
    config: EvaluationConfig,
    truth: Truth | None = None,
    tell: Tell | None = None,
) -> dict[str, Any]:
    """Backtest a recipe on rows of the training table; a JSON-ready report.

    With the `truth` of a simulated town the report shows the noise floor and errors against true times.
    Raises NoTrainingData when the table is too short.
    """
    known = usable(visits)
    holdout(known)
    material = Material(known, label_weights(known), config.spec, config.recipe)
    splits = windows(material, config.windows, config.days)
    report_step = _steps(tell)
    pairs = backtest(material, splits, report_step("Backtesting"))
    if not pairs:
        raise NoTrainingData("the table holds too few days for a backtest")
    known_truth = None if truth is None else [truth.of(proof.stops) for _, proof in pairs]
    return {
        "visits": len(known),
        **_of_proofs([(model.routes, proof) for model, proof in pairs], config.prices, known_truth),
        "learning_curve": learning_curve(material, splits[-1], report_step("Learning curve")),
        "importance": _importance(pairs[-1][0], known, pairs[-1][1]),
        "examples": _examples(pairs[-1][0], known, pairs[-1][1]),
        "regions": {
            "layouts_mae_s": errors_s(known, material.weights, splits[-1:], config.spec, config.recipe),
            "unseen": unseen_regions(material, splits[-1], report_step("Unseen regions")),
        },
        "settings": {**config.recipe.params, "rounds": config.recipe.rounds},
    }


def report_of_training(trained: Trained, prices: Prices | None = None) -> dict[str, Any]:
    """The report of a training's own proof on the newest days, with what it needs no further fitting for."""
    prices = prices or Prices()
    return {
        "visits": int(trained.model.notes["visits"]) + len(trained.proof.actual_s),
        **_of_proofs([(trained.model.routes, trained.proof)], prices, None),
        "learning_curve": [],
        "importance": [],
        "examples": [],
        "regions": {"layouts_mae_s": dict(trained.layouts_mae_s), "unseen": []},
        "settings": {**trained.tuned.params, "rounds": trained.tuned.rounds},
    }


def _of_proofs(
    pairs: Sequence[tuple[RouteCalibration, Proof]], prices: Prices, truths: list[KnownTruth] | None
) -> dict[str, Any]:
    """The figures that proofs alone give."""
    proofs = [proof for _, proof in pairs]
    proof = joined(proofs)
    truth = None if truths is None else truth_of_all(truths)
    laws = None if truths is None else [part.law_s for part in truths]
    groups, warnings = figures.groups(proof)
    return {
        "windows": [_window(proof) for proof in proofs],
        "errors": figures.errors(proof, truth),
        "labels": figures.labels(proof, truth),
        "coverage": figures.coverage(proof),
        "groups": groups,
        "warnings": warnings,
        "cold_start": figures.cold_start(proof),
        "routes": figures.route_totals(pairs),
        "prices": asdict(prices),
        "costs": figures.costs(proofs, prices, laws),
        "sample": _sample(proof, None if truth is None else truth.law_s),
    }


def _steps(tell: Tell | None) -> Callable[[str], Callable[[], None]]:
    """Counts steps over all parts."""
    done = [0]

    def of(what: str) -> Callable[[], None]:
        def step() -> None:
            done[0] += 1
            if tell is not None:
                tell(what, done[0])

        return step

    return of


def _window(proof: Proof) -> dict[str, Any]:
    first, last = proof.days
    return {
        "from": format_time(first)[:10],
        "until": format_time(last)[:10],
        "visits": len(proof.actual_s),
        "mae_s": proof.mae_s,
        "p90_coverage": proof.p90_coverage,
    }


def _importance(model: Model, visits: pd.DataFrame, proof: Proof) -> list[dict[str, Any]]:
    """By feature: the share of the gain, and the mean size of its effect on a stop, in minutes."""
    stops = proof.stops.head(EXPLAINED)
    effects = model.contributions_s(model.features(stops, model.histories(visits)))[:, :-1]
    minutes = dict(zip(model.spec.names, (np.abs(effects).mean(axis=0) / 60).tolist(), strict=True))
    rows = [
        {"feature": name, "gain_share": share, "effect_minutes": minutes[name]}
        for name, share in model.importance().items()
    ]
    return sorted(rows, key=lambda row: (-row["effect_minutes"], row["feature"]))


def _examples(model: Model, visits: pd.DataFrame, proof: Proof) -> list[dict[str, Any]]:
    """Stops predicted short, usual and long, and what makes each so: SHAP contributions in minutes."""
    order = np.argsort(proof.predicted_s["model"], kind="stable")
    chosen = order[[round(share * (len(order) - 1)) for share in EXAMPLES]]
    stops = proof.stops.iloc[chosen]
    minutes = model.contributions_s(model.features(stops, model.histories(visits))) / 60
    rows = []
    for place, (stop, effects) in zip(chosen, zip(stops["visit_id"], minutes, strict=True), strict=True):
        strongest = np.argsort(-np.abs(effects[:-1]), kind="stable")[:EFFECTS]
        rows.append(
            {
                "visit_id": stop,
                "base_minutes": float(effects[-1]),
                "effects_minutes": {model.spec.names[i]: float(effects[i]) for i in strongest},
                "other_minutes": float(effects[:-1].sum() - effects[strongest].sum()),
                "p50_minutes": float(effects.sum()),
                "actual_minutes": float(proof.actual_s[place] / 60),
            }
        )
    return rows


def _sample(proof: Proof, law_s: Floats | None, size: int = 1_500) -> dict[str, list[float | None]]:
    """Some visits for pictures, evenly over time."""
    places = np.unique(np.linspace(0, len(proof.actual_s) - 1, size).astype(int))
    found = {"actual_s": proof.actual_s, **proof.predicted_s, "p90_s": proof.p90_s}
    if law_s is not None:
        found["law"] = law_s
    return {
        name: [None if np.isnan(v) else round(float(v), 1) for v in values[places]]
        for name, values in found.items()
    }
