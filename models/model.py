"""A trained model: what it takes to predict a stop, saved as a few files, equal for equal training."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from models import shapley
from models.boosting import lightgbm
from models.calibration import Calibration
from models.errors import IncompatibleModel
from models.features import (
    CUSTOMER,
    DRIVER,
    LATELY,
    FeatureSpec,
    Histories,
    build,
    histories,
    usable,
)
from models.totals import RouteCalibration

Floats = npt.NDArray[np.float64]

FORMAT: Final = 1
BOOSTERS: Final = ("work", "main", "scale")
MANY: Final = 500
"""So many stops are explained with tables that have to be made first."""

EXCESS: Final = "customer_excess"
LEVEL: Final = "recent_level"
NOT_OF_WORK: Final = frozenset((*CUSTOMER, *DRIVER, *LATELY))


@dataclass(frozen=True, slots=True)
class Estimates:
    """Seconds for each stop (n): median, 90th percentile, mean, and the mean's standard deviation."""

    p50_s: Floats
    p90_s: Floats
    expected_s: Floats
    sd_s: Floats


@dataclass(frozen=True)
class Model:
    """Three boosters on a log scale and their calibration.

    `work` expects a service without knowing the customer; past visits measured against it give the
    customer's excess, drawn to 0 as if `shrinkage` more visits had shown none, and the level of late. `main`
    predicts what remains when those are taken off; `scale` predicts how large the error will be.
    """

    spec: FeatureSpec
    work: Any
    main: Any
    scale: Any
    shrinkage: float
    calibration: Calibration
    routes: RouteCalibration
    trained_until_ms: int
    notes: Mapping[str, Any]

    def histories(self, visits: pd.DataFrame) -> Histories:
        """Customers' history from rows of the training table, as this model measures it."""
        past = usable(visits)
        return histories(past, work_s(self.work, past, self.spec))

    def estimate(self, stops: pd.DataFrame, past: Histories) -> Estimates:
        """Seconds for each stop, given the history that `histories` made."""
        return self.predict(self.features(stops, past))

    def explain(self, stops: pd.DataFrame, past: Histories) -> tuple[list[str], Floats]:
        """Names of the features (k), and the seconds that each adds to each stop's median (n, k)."""
        return self.spec.names, self.contributions_s(self.features(stops, past))[:, :-1]

    def importance(self) -> dict[str, float]:
        """Each feature's share of what the splits of the main booster gained."""
        gains = np.asarray(self.main.feature_importance("gain"), dtype=float)
        return dict(zip(self.spec.names, (gains / max(gains.sum(), 1e-12)).tolist(), strict=True))

    def features(self, stops: pd.DataFrame, past: Histories) -> Floats:
        """The feature matrix of stops, in the order of `spec.names`."""
        return build(stops, past, self.spec)

    def predict(self, features: Floats) -> Estimates:
        """Seconds for each row of a feature matrix."""
        log_s = self.log_prediction(features)
        scale = np.exp(self.scale.predict(features))
        predicted_s = np.exp(log_s)
        return Estimates(
            p50_s=np.exp(log_s + self.calibration.log_quantile(0.5, scale)),
            p90_s=np.exp(log_s + self.calibration.log_quantile(0.9, scale)),
            expected_s=predicted_s * self.calibration.mean_factor(scale),
            sd_s=predicted_s * self.calibration.relative_sd(scale),
        )

    def quantiles(self, stops: pd.DataFrame, past: Histories, levels: Sequence[float]) -> Floats:
        """Seconds that a share of such services takes at most (len(levels), n stops)."""
        features = self.features(stops, past)
        log_s, scale = self.log_prediction(features), np.exp(self.scale.predict(features))
        return np.array([np.exp(log_s + self.calibration.log_quantile(level, scale)) for level in levels])

    def log_prediction(self, features: Floats) -> Floats:
        """The log of the seconds, before calibration."""
        return np.asarray(known_before(features, self.spec, self.shrinkage) + self.main.predict(features))

    def contributions_s(self, features: Floats) -> Floats:
        """SHAP values in seconds (n, k + 1), the last column what an average stop takes; rows sum to P50."""
        parts = self._shap_values(features)
        parts[:, self.spec.names.index(EXCESS)] += known_excess(features, self.spec, self.shrinkage)
        parts[:, self.spec.names.index(LEVEL)] += features[:, self.spec.names.index(LEVEL)]
        total_s = self.predict(features).p50_s
        base_s = np.exp(parts[:, -1])
        effects = parts[:, :-1].sum(axis=1)
        share = np.divide(total_s - base_s, effects, out=base_s.copy(), where=np.abs(effects) > 1e-9)
        return np.column_stack([parts[:, :-1] * share[:, None], base_s])

    def _shap_values(self, features: Floats) -> Floats:
        """Contributions on the log scale; both ways give the same, tables pay off for many stops."""
        if len(features) >= MANY and self._tables is not None:
            return shapley.shap_values(self._tables, features)
        return np.asarray(self.main.predict(features, pred_contrib=True))

    @cached_property
    def _tables(self) -> "shapley.Tables | None":
        try:
            return shapley.tables(self.main)
        except shapley.TooLarge:
            return None

    def save(self, folder: Path) -> None:
        """Write the model's files; the same model gives the same bytes."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in self._files().items():
            (folder / name).write_text(text, encoding="utf-8")

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the files."""
        digest = hashlib.sha256()
        for name, text in sorted(self._files().items()):
            digest.update(name.encode() + b"\0" + text.encode())
        return digest.hexdigest()

    @classmethod
    def load(cls, folder: Path) -> "Model":
        """The model saved there. Raises IncompatibleModel when it was made for other features."""
        about = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        spec = FeatureSpec(**about["spec"])
        if about["format"] != FORMAT or about["features"] != spec.names:
            raise IncompatibleModel(f"{folder}: was trained on other features; train again")
        work, main, scale = (lightgbm().Booster(model_file=str(folder / f"{n}.txt")) for n in BOOSTERS)
        calibration = Calibration(tuple(about["scores"]), about["scores_of"])
        return cls(
            spec,
            work,
            main,
            scale,
            about["shrinkage"],
            calibration,
            RouteCalibration(about["route_correlation"], tuple(about["route_scores"])),
            about["trained_until_ms"],
            about["notes"],
        )

    def _files(self) -> dict[str, str]:
        about = {
            "format": FORMAT,
            "features": self.spec.names,
            "spec": asdict(self.spec),
            "shrinkage": self.shrinkage,
            "scores": self.calibration.scores,
            "scores_of": self.calibration.count,
            "route_correlation": self.routes.correlation,
            "route_scores": self.routes.scores,
            "trained_until_ms": self.trained_until_ms,
            "notes": dict(self.notes),
        }
        return {
            "model.json": json.dumps(about, indent=1, sort_keys=True),
            **{f"{name}.txt": getattr(self, name).model_to_string() for name in BOOSTERS},
        }


def known_excess(features: Floats, spec: FeatureSpec, shrinkage: float) -> Floats:
    """How much longer than expected each stop's customer takes (n), on a log scale; 0 where nothing tells."""
    excess, visits = (features[:, spec.names.index(name)] for name in (EXCESS, "customer_visits"))
    return np.where(visits > 0, excess * visits / (visits + shrinkage), 0.0)


def known_before(features: Floats, spec: FeatureSpec, shrinkage: float) -> Floats:
    """What is taken off before `main` learns (n): the customer's excess, and how services took of late."""
    return known_excess(features, spec, shrinkage) + features[:, spec.names.index(LEVEL)]


def work_names(spec: FeatureSpec) -> list[str]:
    """The features that do not look back on the customer or the driver."""
    return [name for name in spec.names if name not in NOT_OF_WORK]


def work_columns(spec: FeatureSpec) -> list[int]:
    """Their places in the matrix."""
    return [i for i, name in enumerate(spec.names) if name not in NOT_OF_WORK]


def work_s(work: Any, visits: pd.DataFrame, spec: FeatureSpec) -> Floats:
    """What the work of each visit is expected to take, whoever the customer."""
    features = build(visits, histories(visits.iloc[:0]), spec)[:, work_columns(spec)]
    return np.exp(np.asarray(work.predict(features))) if len(features) else np.zeros(0)
