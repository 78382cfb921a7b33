"""Options that several commands share, so that they read and mean the same everywhere."""

from pathlib import Path
from typing import Any, Protocol, TypeVar

import click

Decorated = TypeVar("Decorated", bound="Any")


class Decorator(Protocol):
    """What adds an option to a command."""

    def __call__(self, function: Decorated, /) -> Decorated:
        """The function with the option added."""
        ...


READABLE = click.Path(path_type=str, allow_dash=True)
"""A file to read or `-`; whether it can be read is told by the reader, which knows the line too."""

WRITABLE = click.Path(path_type=str, allow_dash=True, dir_okay=False)
"""A file to write or `-`."""

DIRECTORY = click.Path(path_type=Path, file_okay=False)


def bootstrap(required: bool = False) -> Decorator:
    """`--bootstrap HOST:PORT`, the Kafka to talk to."""
    return click.option(
        "--bootstrap",
        metavar="HOST:PORT",
        required=required,
        help="Kafka's bootstrap servers, comma-separated.",
    )


def data_dir() -> Decorator:
    """`--data-dir D`, where a broker, tables and models are kept."""
    return click.option(
        "--data-dir",
        type=DIRECTORY,
        default="servicetime-data",
        show_default=True,
        help="Where this machine keeps its broker, tables and models.",
    )


def as_json() -> Decorator:
    """`--json`, passed on as `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print machine-readable JSON.")


def fences(required: bool = False) -> Decorator:
    """`--fences F`: a FeatureCollection or GeoJSON Lines."""
    return click.option(
        "--fences", type=READABLE, required=required, help="Geofences: GeoJSON FeatureCollection or Lines."
    )


def routes(required: bool = False) -> Decorator:
    """`--routes F`: one route a line."""
    return click.option("--routes", type=READABLE, required=required, help="Planned routes, one JSON a line.")


def pings(required: bool = False) -> Decorator:
    """`--pings F`, which may be given several times; passed on as a tuple of names."""
    return click.option(
        "--pings",
        type=READABLE,
        multiple=True,
        required=required,
        help="Pings: .jsonl, .csv, .parquet or .gpx, also .gz or .zst; - for stdin (JSON Lines); repeatable.",
    )


def driver() -> Decorator:
    """`--driver ID`, for ping files that name no driver."""
    return click.option("--driver", metavar="ID", help="The driver of files that name none (GPX).")
