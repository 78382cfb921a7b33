"""`servicetime simulate`: a made-up town with routes, pings and the truth about its visits."""

from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

import click

PROFILES: Final = ("suburb", "dense", "countryside", "hostile", "no-route")
"""Names of simulation.profiles, written out so that `--help` needs no import."""


@click.command()
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Directory to write to."
)
@click.option(
    "--profile", type=click.Choice(PROFILES), default="suburb", show_default=True, help="Kind of town."
)
@click.option(
    "--drivers", type=click.IntRange(1, 10_000), default=8, show_default=True, help="Number of drivers."
)
@click.option("--days", type=click.IntRange(1, 3_700), default=2, show_default=True, help="Number of days.")
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Equal seeds give equal towns."
)
@click.option(
    "--start-date",
    type=click.DateTime(["%Y-%m-%d"]),
    default="2026-03-02",
    show_default=True,
    help="First day.",
)
@click.option(
    "--regions", type=click.IntRange(1, 100), default=1, show_default=True, help="Number of regions."
)
@click.option(
    "--stops-per-day",
    type=click.FloatRange(1, 150),
    help="Mean stops of a driver's day.  [default: by profile]",
)
@click.option(
    "--spacing",
    type=click.FloatRange(0.5, 600),
    help="Seconds between pings.  [default: by profile and driver]",
)
@click.option(
    "--weather/--no-weather",
    default=True,
    show_default=True,
    help="Whether weather is made and slows services.",
)
def command(out: Path, profile: str, start_date: datetime, spacing: float | None, **given: Any) -> None:
    """Make a town with streets, customers, routes and pings, and write it with its ground truth.

    Files in --out: fences.geojson, routes.jsonl, pings.jsonl.gz, weather.jsonl, manual.jsonl, truth.jsonl.
    """
    from simulation.profiles import profile_named
    from simulation.recording import Settings, Simulation
    from simulation.writing import write
    from streams.cli.progress import progress

    start = date(start_date.year, start_date.month, start_date.day)
    settings = Settings(profile_named(profile), start=start, spacing_s=spacing, **given)
    with progress(settings.drivers * settings.days, "Simulating") as bar:
        count = write(Simulation(settings), out, bar.advance)
        bar.note(f"({count:,} pings)")
