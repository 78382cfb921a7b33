"""Judges what the topics told, and the plain rule, against the truth; gathers everything a report shows."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from simulation.baselines import enter_exit
from simulation.scoring import Claim, Judgement, Score, figures, judge
from streams.demo.inputs import Recording

if TYPE_CHECKING:
    from models.promotion import Outcome

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Judged:
    """One recording: the visits found, and how they and the plain enter/exit rule do against the truth."""

    recording: Recording
    visits: list[Claim]
    ours: Judgement
    plain: Judgement

    @property
    def score(self) -> Score:
        """Ours in figures."""
        return figures(self.ours)

    @property
    def plain_score(self) -> Score:
        """The plain rule in figures."""
        return figures(self.plain)


def judged(recording: Recording, visits: list[Claim]) -> Judged:
    """Hold the visits of a recording, and what the plain rule makes of its pings, against its truth."""
    plain = enter_exit(recording.pings, recording.fences)
    return Judged(recording, visits, judge(visits, recording.truth), judge(plain, recording.truth))


def service_errors_s(verdict: Judgement) -> Floats:
    """Service time told minus true service time of every hit, in seconds."""
    pairs = verdict.right
    return np.array([c.service_time_s - (t.departed_s - t.arrived_s) for c, t in pairs], dtype=float)


@dataclass(slots=True)
class Findings:
    """Everything that one run of the demonstration has found."""

    judged: list[Judged] = field(default_factory=list)
    pings: int = 0
    outcome: "Outcome | None" = None
    predictions: Sequence[dict[str, Any]] = ()
    stops_to_come: int = 0
    took_s: float = 0.0
    broker: str = ""
    kept_in: Path | None = None
    """Where files are that outlive the run."""

    @property
    def mae_s(self) -> dict[str, float]:
        """Mean absolute error of each predictor on the newest days."""
        return {} if self.outcome is None else self.outcome.trained.proof.mae_s
