"""`servicetime models`: list, show, promote and roll back the versions in the registry."""

import json
from typing import TYPE_CHECKING, Any

import click

from streams.cli import learning, options

if TYPE_CHECKING:
    from models.registry import Entry


EXAMPLES = """\b
Examples:
  servicetime models list
  servicetime models show challenger
  servicetime models promote 3
  servicetime models rollback --registry http://mlflow:5000
"""


@click.group(epilog=EXAMPLES)
def command() -> None:
    """List, show, promote and roll back models."""


@command.command("list")
@learning.registry()
@options.as_json()
def list_versions(registry: str, as_json: bool) -> None:
    """All versions, newest first, with their error on the newest days when they were made."""
    from models.registry import existing

    entries = existing(registry).entries()
    if as_json:
        click.echo(json.dumps([_plain(entry) for entry in entries], indent=2))
        return
    rows = [
        (
            str(entry.version),
            ", ".join(entry.aliases) or "-",
            _seconds(entry.metrics.get("mae_model_s")),
            _seconds(entry.metrics.get("mae_historical_mean_s")),
            entry.data_version,
            entry.fingerprint[:12],
        )
        for entry in entries
    ]
    learning.show(("version", "alias", "MAE", "historical mean", "data", "fingerprint"), rows)


@command.command("show")
@click.argument("version", default="champion")
@learning.registry()
def show_version(version: str, registry: str) -> None:
    """Everything kept beside a VERSION (a number, champion, challenger or previous), as JSON."""
    from models.registry import existing

    click.echo(json.dumps(existing(registry).passport(version), indent=2, sort_keys=True))


@command.command("promote")
@click.argument("version", default="challenger")
@learning.registry()
def promote_version(version: str, registry: str) -> None:
    """Put a VERSION (a number or alias) in charge, whatever the gate said."""
    from models.registry import existing

    entry = existing(registry).promote(version)
    click.echo(f"Version {entry.version} is the champion now.")


@command.command("rollback")
@learning.registry()
def roll_back(registry: str) -> None:
    """Put the previous champion in charge again."""
    from models.registry import existing

    entry = existing(registry).rollback()
    click.echo(f"Version {entry.version} is the champion again.")


def _plain(entry: "Entry") -> dict[str, Any]:
    from geofence.times import format_time

    return {
        "version": entry.version,
        "aliases": list(entry.aliases),
        "created_at": format_time(entry.created_ms),
        "fingerprint": entry.fingerprint,
        "data_version": entry.data_version,
        "code_version": entry.code_version,
        "metrics": dict(entry.metrics),
    }


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} s"
