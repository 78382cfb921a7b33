"""`servicetime table`: versions, quarantine and compaction of the training table."""

import json

import click

from streams.cli import learning, options

EXAMPLES = """\b
Examples:
  servicetime table versions --table table
  servicetime table quarantine --table table --json
  servicetime table compact --table table --keep-hours 720
"""


@click.group(epilog=EXAMPLES)
def command() -> None:
    """Look after the training table: its versions, what was refused, its files."""


@command.command("versions")
@learning.table()
@options.as_json()
def list_versions(table: str, as_json: bool) -> None:
    """All commits that the table still knows, newest first; train --table-version learns from any of them."""
    from geofence.times import format_time
    from models.dataset import versions

    found = [(v.version, format_time(v.ts_ms), v.operation) for v in reversed(versions(table))]
    if as_json:
        names = ("version", "at", "operation")
        click.echo(json.dumps([dict(zip(names, row, strict=True)) for row in found], indent=2))
    else:
        learning.show(("version", "at", "operation"), [(str(v), at, what) for v, at, what in found])


@command.command("quarantine")
@learning.table()
@options.as_json()
def show_quarantine(table: str, as_json: bool) -> None:
    """How many rows were refused, by reason; with --json every such row with its reasons."""
    from models.dataset import quarantine_reasons, quarantined, require

    require(table)
    if as_json:
        found = [
            {
                "visit_id": row["visit_id"],
                "revision": row["revision"],
                "reasons": list(row["reasons"]),
                "row": json.loads(row["row_json"]),
            }
            for row in quarantined(table).to_dict("records")
        ]
        click.echo(json.dumps(found, indent=2))
        return
    counts = quarantine_reasons(table)
    if not counts:
        click.echo("Nothing is in quarantine.")
        return
    learning.show(("reason", "rows"), [(reason, f"{count:,}") for reason, count in counts.items()])


@command.command("compact")
@learning.table()
@click.option(
    "--keep-hours",
    type=click.IntRange(0),
    help="Also delete files that only versions older than this need.  [default: all are kept]",
)
def compact_files(table: str, keep_hours: int | None) -> None:
    """Rewrite small files as large ones. With --keep-hours time travel ends at that age."""
    from models.dataset import compact

    removed = compact(table, keep_hours)
    click.echo(f"{removed} small files were merged.")
