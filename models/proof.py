"""How a model and the baselines do on days that it never saw."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.baselines import BY_HAND, HistoricalMean, Linear, SevenMinutes
from models.features import CATEGORIES, histories, to_ms
from models.fitting import Fold
from models.regional import AnyModel
from models.slices import Mask, slices

Floats = npt.NDArray[np.float64]

LEVELS: Final = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)


@dataclass(frozen=True)
class Proof:
    """Predictions in seconds by name (model, rule, rule_adjusted, historical_mean, linear) and the truth.

    `quantiles_s` has a row for each of LEVELS; `visits_before` counts the customer's visits known before.
    """

    stops: pd.DataFrame
    actual_s: Floats
    predicted_s: Mapping[str, Floats]
    quantiles_s: Floats
    expected_s: Floats
    sd_s: Floats
    visits_before: Floats
    groups: Mapping[str, Mask]

    def only(self, chosen: Mask) -> "Proof":
        """The proof on some of its visits."""
        return Proof(
            stops=self.stops[chosen],
            actual_s=self.actual_s[chosen],
            predicted_s={name: seconds[chosen] for name, seconds in self.predicted_s.items()},
            quantiles_s=self.quantiles_s[:, chosen],
            expected_s=self.expected_s[chosen],
            sd_s=self.sd_s[chosen],
            visits_before=self.visits_before[chosen],
            groups={name: members[chosen] for name, members in self.groups.items()},
        )

    @property
    def mae_s(self) -> dict[str, float]:
        """Mean absolute errors by name."""
        return {name: mae_s(seconds, self.actual_s) for name, seconds in self.predicted_s.items()}

    @property
    def p90_s(self) -> Floats:
        """The model's 90th percentile."""
        return self.quantile_s(0.9)

    def quantile_s(self, level: float) -> Floats:
        """The model's quantile at one of LEVELS."""
        return np.asarray(self.quantiles_s[LEVELS.index(level)])

    @property
    def p90_coverage(self) -> float:
        """The share of visits that took at most their P90."""
        return float(np.mean(self.actual_s <= self.p90_s))

    @property
    def days(self) -> tuple[int, int]:
        """The first and the last planning moment, in milliseconds since 1970."""
        as_of_ms = to_ms(self.stops["as_of"])
        return int(as_of_ms.min()), int(as_of_ms.max())


def prove(model: AnyModel, data: Fold) -> Proof:
    """The model and all baselines on the proving side of a split whose learning side the model saw."""
    known, stops, learned = data.visits, data.visits[data.prove], data.visits[data.learn]
    features = data.features[data.prove]
    past = model.histories(known)
    estimates = model.estimate(stops, past)
    predicted = {
        "model": estimates.p50_s,
        "rule": SevenMinutes().predict(stops),
        "rule_adjusted": SevenMinutes(adjustments=BY_HAND).predict(stops),
        "historical_mean": HistoricalMean.of(learned).predict(stops, histories(known).customers),
        "linear": _linear(data).predict(features),
    }
    return Proof(
        stops=stops,
        actual_s=stops["service_time_s"].to_numpy(float),
        predicted_s=predicted,
        quantiles_s=model.quantiles(stops, past, LEVELS),
        expected_s=estimates.expected_s,
        sd_s=estimates.sd_s,
        visits_before=features[:, data.spec.names.index("customer_visits")],
        groups=slices(stops, features, data.spec),
    )


def joined(proofs: Sequence[Proof]) -> Proof:
    """Several proofs as one."""
    names = proofs[0].predicted_s
    groups = dict.fromkeys(name for proof in proofs for name in proof.groups)
    none = [np.zeros(len(proof.actual_s), dtype=bool) for proof in proofs]
    return Proof(
        stops=pd.concat([proof.stops for proof in proofs]),
        actual_s=np.concatenate([proof.actual_s for proof in proofs]),
        predicted_s={n: np.concatenate([proof.predicted_s[n] for proof in proofs]) for n in names},
        quantiles_s=np.concatenate([proof.quantiles_s for proof in proofs], axis=1),
        expected_s=np.concatenate([proof.expected_s for proof in proofs]),
        sd_s=np.concatenate([proof.sd_s for proof in proofs]),
        visits_before=np.concatenate([proof.visits_before for proof in proofs]),
        groups={
            g: np.concatenate([p.groups.get(g, empty) for p, empty in zip(proofs, none, strict=True)])
            for g in groups
        },
    )


def predicted_by(model: AnyModel, known: pd.DataFrame, stops: pd.DataFrame) -> Floats:
    """Another model's medians in seconds for the same stops, with the history it would have had."""
    return model.estimate(stops, model.histories(known)).p50_s


def mae_s(predicted_s: Floats, actual_s: Floats) -> float:
    """The mean absolute error."""
    return float(np.mean(np.abs(predicted_s - actual_s)))


def _linear(data: Fold) -> Linear:
    places = [data.spec.names.index(name) for name in CATEGORIES if name in data.spec.names]
    return Linear(places).fit(
        data.features[data.learn], np.exp(data.log_s[data.learn]), data.weights[data.learn]
    )
