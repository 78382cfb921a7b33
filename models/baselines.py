"""What any model has to beat: the seven-minute rule, the customer's historical mean, a linear model."""

from dataclasses import dataclass
from math import inf
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.history import History

Floats = npt.NDArray[np.float64]

RULE_S: Final = 420.0


@dataclass(frozen=True, slots=True)
class Adjustment:
    """What dispatchers change by hand: `add_s` where `column` is at least `least` and below `below`."""

    column: str
    add_s: float
    least: float = -inf
    below: float = inf


BY_HAND: Final = (
    Adjustment("order_weight_kg", -90.0, below=10.0),
    Adjustment("order_items", -60.0, below=4.0),
    Adjustment("order_weight_kg", 120.0, least=50.0),
    Adjustment("order_weight_kg", 180.0, least=150.0),
    Adjustment("parking_difficulty", 60.0, least=4.0),
    Adjustment("stairs", 60.0, least=3.0),
)
"""Light and small orders, heavy ones, hard parking, stairs."""


@dataclass(frozen=True, slots=True)
class SevenMinutes:
    """Seven minutes a stop, with manual adjustments (none unless given)."""

    base_s: float = RULE_S
    adjustments: tuple[Adjustment, ...] = ()

    def predict(self, stops: pd.DataFrame) -> Floats:
        """Seconds for each stop (columns of the training table)."""
        seconds = np.full(len(stops), self.base_s)
        stairs = stops["floor"].where(stops["elevator"] != True, 0.0)  # noqa: E712 (missing is not True)
        for change in self.adjustments:
            column = stairs if change.column == "stairs" else stops[change.column]
            values = pd.to_numeric(column, errors="coerce").to_numpy(float, na_value=np.nan)
            meant = (values >= change.least) & (values < change.below)
            seconds = seconds + np.where(meant, change.add_s, 0.0)
        return seconds


@dataclass(frozen=True, slots=True)
class HistoricalMean:
    """The mean of the customer's past visits; of all training visits for a customer without any."""

    overall_s: float

    @classmethod
    def of(cls, training: pd.DataFrame) -> "HistoricalMean":
        """With the overall mean of these visits."""
        return cls(float(training["service_time_s"].mean()))

    def predict(self, stops: pd.DataFrame, customers: History) -> Floats:
        """Seconds for each stop from the visits that had ended by its `as_of`."""
        as_of_ms = stops["as_of"].to_numpy(dtype="datetime64[ms]").astype(np.int64)
        mean_s = customers.past(stops["customer_id"], as_of_ms).average_s
        return np.where(np.isnan(mean_s), self.overall_s, mean_s)


class Linear:
    """Ridge regression on the model's own features, standardised, categories one-hot, gaps filled."""

    def __init__(self, categorical: list[int]) -> None:
        self._categorical = categorical
        self._pipeline: Any = None

    def fit(self, features: Floats, service_s: Floats, weights: Floats) -> "Linear":
        """Learn from a feature matrix (n, k)."""
        from sklearn.compose import make_column_transformer
        from sklearn.impute import SimpleImputer
        from sklearn.linear_model import Ridge
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import OneHotEncoder, StandardScaler

        plain = [i for i in range(features.shape[1]) if i not in self._categorical]
        numbers = make_pipeline(
            SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True), StandardScaler()
        )
        kinds = make_pipeline(
            SimpleImputer(strategy="constant", fill_value=-1, keep_empty_features=True),
            OneHotEncoder(handle_unknown="ignore"),
        )
        self._pipeline = make_pipeline(
            make_column_transformer((numbers, plain), (kinds, self._categorical)), Ridge(alpha=1.0)
        )
        self._pipeline.fit(features, service_s, ridge__sample_weight=weights)
        return self

    def predict(self, features: Floats) -> Floats:
        """Seconds for each row, never below 10."""
        return np.clip(np.asarray(self._pipeline.predict(features), dtype=np.float64), 10.0, None)
