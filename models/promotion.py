"""Train on a table, register what came out, and put it in charge when the gate allows."""

from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from models import dataset, reports
from models.boosting import Prepare
from models.code import code_version
from models.errors import IncompatibleModel, NoTrainingData
from models.evaluation import report_of_training
from models.features import to_ms, usable
from models.gate import GateRules, Verdict, judge
from models.proof import Proof, mae_s, predicted_by
from models.registry import CHAMPION, Entry, Passport, Registry, study_storage
from models.training import Progress, Trained, TrainingConfig, data_digest, train

Floats = npt.NDArray[np.float64]

FEWEST_COMPARED: Final = 100


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
    version: int | None = None,
    prepare: Prepare | None = None,
) -> Outcome:
    """Train on a version of a table (the newest); register what comes out, promote it when the gate allows.

    `prepare` has the model's boosters fitted elsewhere. Raises NoTrainingData when the table is
    missing, empty or too short.
    """
    at = dataset.current_version(table_uri) if version is None else version
    visits = dataset.read(table_uri, version=at)
    if visits.empty:
        raise NoTrainingData(f"{table_uri}: holds no visits yet")
    trained = train(visits, config, study_storage(registry.address), progress, prepare)
    fair, champion_s = _rivalry(registry, visits, trained.proof)
    verdict = judge(fair, champion_s, rules)
    data_version = f"{at}:{data_digest(visits)}"
    with TemporaryDirectory() as folder:
        page, _ = reports.write(report_of_training(trained), Path(folder))
        entry = registry.register(trained.model, _passport(trained, config, data_version, page.parent))
    if verdict.allowed:
        entry = registry.promote(entry.version)
    champion_mae_s = None if champion_s is None else mae_s(champion_s, fair.actual_s)
    return Outcome(trained, entry, verdict, champion_mae_s, verdict.allowed, data_version)


def _rivalry(registry: Registry, visits: pd.DataFrame, proof: Proof) -> tuple[Proof, Floats | None]:
    """The visits to compare the candidate on, and what the champion says of them.

    None when there is no champion, or one of other features. Visits that the champion may have learned from
    are left out, unless too few would remain: then the champion has the advantage.
    """
    if not registry.has(CHAMPION):
        return proof, None
    try:
        champion, _ = registry.load(CHAMPION)
    except IncompatibleModel:
        return proof, None
    unseen = to_ms(proof.stops["as_of"]) >= champion.trained_until_ms
    fair = proof.only(unseen) if unseen.sum() >= FEWEST_COMPARED else proof
    return fair, predicted_by(champion, usable(visits), fair.stops)


def _passport(trained: Trained, config: TrainingConfig, data_version: str, report: Path) -> Passport:
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
        features=tuple(trained.model.spec.schema),
        report=report,
        metrics={
            **{f"mae_{name}_s": value for name, value in proof.mae_s.items()},
            "p90_coverage": proof.p90_coverage,
            "visits_proven": len(proof.actual_s),
            "visits_learned": trained.model.notes["visits"],
        },
    )
