"""What the demonstration plays: recorded real drivers, and a simulated town with a day yet to come."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

import msgspec

from geofence.events import PingBatch
from geofence.fences import Fence
from geofence.routes import Route
from simulation.profiles import profile_named
from simulation.recorded import goal_dir
from simulation.recording import Settings, Simulation
from simulation.scoring import Served
from simulation.writing import route_record, write
from streams.files import read_fences, read_pings, read_routes
from streams.files.judged import read_truth

UPCOMING: Final = "upcoming.jsonl"
"""The routes of the day after the last simulated one."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much is simulated, and how many settings the training tries."""

    drivers: int
    days: int
    trials: int
    spacing_s: float = 10.0
    seed: int = 3
    start: date = date(2026, 9, 22)
    """The day after the recorded drivers' trips, so that the newest days, which prove the model, are the
    town's."""


FULL: Final = Size(drivers=8, days=8, trials=10)
SMALL: Final = Size(drivers=4, days=5, trials=3)


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording's directory (pings, fences, routes) with its content and the truth about it."""

    name: str
    title: str
    directory: Path
    pings: PingBatch
    fences: list[Fence]
    routes: list[Route]
    truth: list[Served]

    def path(self, kind: str) -> str:
        """Name of its file of `pings`, `fences` or `routes`."""
        return str(self.directory / FILES[kind])

    @property
    def drivers(self) -> frozenset[str]:
        """Everybody who sent pings."""
        return frozenset(self.pings.driver_ids)


FILES: Final = {"pings": "pings.jsonl.gz", "fences": "fences.geojson", "routes": "routes.jsonl"}


def recorded() -> Recording:
    """The real drivers that come with the package."""
    return read_recording("real", "Real drivers", goal_dir())


def simulated(size: Size, directory: Path, done: Callable[[], None]) -> tuple[Recording, list[Route]]:
    """A town written to a directory, and the routes of its next day, written to UPCOMING there.

    `done` is called after each driver's day.
    """
    settings = Settings(
        profile_named("suburb"),
        drivers=size.drivers,
        days=size.days,
        seed=size.seed,
        start=size.start,
        spacing_s=size.spacing_s,
        weather=False,
    )
    town = Simulation(settings)
    write(town, directory, done)
    upcoming = town.day(size.days, done).routes
    lines = (msgspec.json.encode(route_record(route)) + b"\n" for route in upcoming)
    (directory / UPCOMING).write_bytes(b"".join(lines))
    return read_recording("simulated", "Simulated town", directory), upcoming


def read_recording(name: str, title: str, directory: Path) -> Recording:
    """The files of a recording, in memory. Raises UnreadableInput."""
    return Recording(
        name,
        title,
        directory,
        PingBatch.joined([read.batch for read in read_pings(str(directory / FILES["pings"]))]),
        list(read_fences(str(directory / FILES["fences"]))),
        list(read_routes(str(directory / FILES["routes"]))),
        list(read_truth(str(directory / "truth.jsonl"))),
    )
