"""Train on a table, register what came out, and put it in charge when the gate allows."""

import hashlib
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from models import dataset
from models.errors import IncompatibleModel, NoTrainingData
from models.features import usable
from models.gate import GateRules, Verdict, judge
from models.proof import mae_s, predicted_by
from models.registry import CHAMPION, Entry, Passport, Registry, study_storage
from models.training import Progress, Trained, TrainingConfig, data_digest, train

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Outcome:
    """A training run: what was made, how it compares, and whether it is now in charge."""

    trained: Trained
    entry: Entry
    verdict: Verdict
    champion_mae_s: float | None
    promoted: bool
    data_version: str


def train_on_table(
    table_uri: str,
    registry: Registry,
    config: TrainingConfig,
    progress: Progress | None = None,
    rules: GateRules | None = None,
) -> Outcome:
    """Train on the newest version of a table; the result is registered, and promoted when the gate allows.

    Raises NoTrainingData when the table is missing, empty or too short.
    """
    at = dataset.current_version(table_uri)
    visits = dataset.read(table_uri, version=at)
    if visits.empty:
        raise NoTrainingData(f"{table_uri}: holds no visits yet")
    trained = train(visits, config, study_storage(registry.address), progress)
    champion_s = _champions_predictions(registry, visits, trained)
    verdict = judge(trained.proof, champion_s, rules)
    data_version = f"{at}:{data_digest(visits)}"
    entry = registry.register(trained.model, _passport(trained, config, data_version))
    if verdict.allowed:
        entry = registry.promote(entry.version)
    champion_mae_s = None if champion_s is None else mae_s(champion_s, trained.proof.actual_s)
    return Outcome(trained, entry, verdict, champion_mae_s, verdict.allowed, data_version)


def _champions_predictions(registry: Registry, visits: pd.DataFrame, trained: Trained) -> Floats | None:
    """What the champion says of the same visits; None when there is none, or when it is of other features."""
    if not registry.has(CHAMPION):
        return None
    try:
        champion, _ = registry.load(CHAMPION)
    except IncompatibleModel:
        return None
    return predicted_by(champion, usable(visits), trained.proof.stops)


@cache
def code_version() -> str:
    """This package's version and a digest of the learning code."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + path.read_bytes())
    return f"{version('servicetime')}+{digest.hexdigest()[:12]}"


def _passport(trained: Trained, config: TrainingConfig, data_version: str) -> Passport:
    proof = trained.proof
    settings: dict[str, Any] = {
        **asdict(config),
        "tuned": dict(trained.tuned.params),
        "rounds": trained.tuned.rounds,
    }
    return Passport(
        data_version=data_version,
        code_version=code_version(),
        config=settings,
        features=tuple(config.spec.names),
        metrics={
            **{f"mae_{name}_s": value for name, value in proof.mae_s.items()},
            "p90_coverage": proof.p90_coverage,
            "visits_proven": len(proof.actual_s),
            "visits_learned": trained.model.notes["visits"],
        },
    )
