"""A model for each region, and a common one for regions without their own."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.features import FeatureSpec, Histories
from models.model import Estimates, Model
from models.totals import RouteCalibration

Floats = npt.NDArray[np.float64]
Pasts = Mapping[str | None, Histories]

LIST: Final = "regional.json"


@dataclass(frozen=True)
class Regional:
    """Models by region; `common` serves all other regions and keeps what is not of one region."""

    parts: Mapping[str, Model]
    common: Model

    @property
    def spec(self) -> FeatureSpec:
        """The features, the same for all parts but for their categories."""
        return self.common.spec

    @property
    def routes(self) -> RouteCalibration:
        """How errors of stops of one route hang together."""
        return self.common.routes

    @property
    def trained_until_ms(self) -> int:
        """When the newest learned visit was planned, at the latest."""
        return self.common.trained_until_ms

    @property
    def notes(self) -> Mapping[str, Any]:
        """What is known of the training."""
        return self.common.notes

    @property
    def fingerprint(self) -> str:
        """SHA-256 over those of the parts."""
        all_parts = [*sorted((name, part.fingerprint) for name, part in self.parts.items())]
        return hashlib.sha256(json.dumps([self.common.fingerprint, all_parts]).encode()).hexdigest()

    def histories(self, visits: pd.DataFrame) -> Pasts:
        """Each region's history as its own model measures it, and everyone's as the common one does."""
        found: dict[str | None, Histories] = {None: self.common.histories(visits)}
        for name, part in self.parts.items():
            found[name] = part.histories(visits[visits["region"] == name])
        return found

    def estimate(self, stops: pd.DataFrame, past: Pasts) -> Estimates:
        """Seconds for each stop, from the model of its region."""
        columns = np.full((4, len(stops)), np.nan)
        for name, chosen in self._members(stops):
            found = self._part(name).estimate(stops[chosen], past[name])
            columns[:, chosen] = (found.p50_s, found.p90_s, found.expected_s, found.sd_s)
        return Estimates(*columns)

    def quantiles(self, stops: pd.DataFrame, past: Pasts, levels: Sequence[float]) -> Floats:
        """Seconds that a share of such services takes at most (len(levels), n stops)."""
        found = np.full((len(levels), len(stops)), np.nan)
        for name, chosen in self._members(stops):
            found[:, chosen] = self._part(name).quantiles(stops[chosen], past[name], levels)
        return found

    def explain(self, stops: pd.DataFrame, past: Pasts) -> tuple[list[str], Floats]:
        """Names of the features (k), and the seconds that each adds to each stop's median (n, k)."""
        names = self.common.spec.names  # all parts have the same
        effects_s = np.zeros((len(stops), len(names)))
        for name, chosen in self._members(stops):
            effects_s[chosen] = self._part(name).explain(stops[chosen], past[name])[1]
        return names, effects_s

    def save(self, folder: Path) -> None:
        """Write the files of all parts, each in its own folder."""
        folder.mkdir(parents=True, exist_ok=True)
        names = sorted(self.parts)
        (folder / LIST).write_text(json.dumps(names), encoding="utf-8")
        self.common.save(folder / "common")
        for number, name in enumerate(names):
            self.parts[name].save(folder / f"region-{number}")

    @classmethod
    def load(cls, folder: Path) -> "Regional":
        """The models saved there. Raises IncompatibleModel when they were made for other features."""
        names = json.loads((folder / LIST).read_text(encoding="utf-8"))
        parts = {name: Model.load(folder / f"region-{number}") for number, name in enumerate(names)}
        return cls(parts, Model.load(folder / "common"))

    def _part(self, name: str | None) -> Model:
        return self.common if name is None else self.parts[name]

    def _members(self, stops: pd.DataFrame) -> list[tuple[str | None, npt.NDArray[np.bool_]]]:
        """The stops of each part that has any, as masks."""
        masks: list[tuple[str | None, npt.NDArray[np.bool_]]] = [
            (name, (stops["region"] == name).to_numpy(bool)) for name in self.parts
        ]
        rest = ~np.any([mask for _, mask in masks], axis=0) if masks else np.ones(len(stops), dtype=bool)
        return [(name, mask) for name, mask in [*masks, (None, rest)] if mask.any()]


class AnyModel(Protocol):
    """What the registry keeps and scoring uses: a model or a set of them."""

    @property
    def spec(self) -> FeatureSpec:
        """The features it looks at."""
        ...

    @property
    def routes(self) -> RouteCalibration:
        """How errors of stops of one route hang together."""
        ...

    @property
    def trained_until_ms(self) -> int:
        """When the newest learned visit was planned, at the latest."""
        ...

    @property
    def notes(self) -> Mapping[str, Any]:
        """What is known of the training."""
        ...

    @property
    def fingerprint(self) -> str:
        """The same for equal models."""
        ...

    def histories(self, visits: pd.DataFrame) -> Any:
        """Customers' history from rows of the training table, for `estimate` and `explain`."""
        ...

    def estimate(self, stops: pd.DataFrame, past: Any) -> Estimates:
        """Seconds for each stop."""
        ...

    def quantiles(self, stops: pd.DataFrame, past: Any, levels: Sequence[float]) -> Floats:
        """Seconds that a share of such services takes at most (len(levels), n)."""
        ...

    def explain(self, stops: pd.DataFrame, past: Any) -> tuple[list[str], Floats]:
        """Names of the features (k), and the seconds that each adds to each stop's median (n, k)."""
        ...

    def save(self, folder: Path) -> None:
        """Write the model's files."""
        ...


def load_model(folder: Path) -> AnyModel:
    """The model saved in a folder, whichever kind. Raises IncompatibleModel."""
    return Regional.load(folder) if (folder / LIST).is_file() else Model.load(folder)
