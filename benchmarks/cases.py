"""What detection is measured on: simulated towns and the recorded real drivers, in memory."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from geofence import engine
from geofence.events import PingBatch
from geofence.fences import Fence
from geofence.routes import Route
from geofence.rules import Rules
from simulation.recorded import goal_dir
from simulation.recording import simulate
from simulation.scoring import Claim, Served, claim_of, final_claims
from streams.files.judged import read_truth
from streams.files.pings import read_pings
from streams.files.records import read_fences, read_routes

FEED_PINGS: Final = 20_000
GOAL: Final = "goal"
"""The name of the recorded real drivers among the profiles."""


@dataclass(frozen=True, slots=True)
class Case:
    """Pings in the order they arrive, fences, routes, and the truth."""

    name: str
    pings: PingBatch
    fences: list[Fence]
    routes: list[Route]
    truth: list[Served]


def simulated(profile: str, seed: int, drivers: int, days: int, spacing_s: float | None = None) -> Case:
    """A simulated town."""
    made = simulate(profile, drivers, days, seed, spacing_s=spacing_s)
    return Case(f"{profile} {seed}", made.pings, made.fences, made.routes, made.truth)


def from_directory(directory: str, name: str) -> Case:
    """The files that `servicetime simulate` writes, or a recording of the same shape."""
    return Case(
        name,
        PingBatch.joined([read.batch for read in read_pings(f"{directory}/pings.jsonl.gz")]),
        list(read_fences(f"{directory}/fences.geojson")),
        list(read_routes(f"{directory}/routes.jsonl")),
        list(read_truth(f"{directory}/truth.jsonl")),
    )


def recorded() -> Case:
    """The recorded real drivers."""
    return from_directory(str(goal_dir()), GOAL)


def detected(case: Case, rules: Rules | None = None) -> list[Claim]:
    """What this project's engine finds: pings are fed in the order they arrive, then all data ends."""
    number = np.arange(len(case.pings))
    portions = (
        case.pings.select((number >= begin) & (number < begin + FEED_PINGS))
        for begin in range(0, len(case.pings), FEED_PINGS)
    )
    return final_claims(map(claim_of, engine.detected(portions, case.fences, case.routes, rules)))
