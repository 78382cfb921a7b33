"""`servicetime replay`: detection on recorded files, without a broker."""

import json
from typing import TYPE_CHECKING

import click

from streams.cli import options
from streams.cli.rules import detection

if TYPE_CHECKING:
    from geofence.rules import Rules

EXAMPLES = """\b
Examples:
  servicetime replay --pings pings.jsonl.gz --fences fences.geojson --out visits.jsonl
  servicetime replay --pings mon.csv --pings tue.csv --fences f.geojson --routes r.jsonl --out - | jq .status
  servicetime replay --pings history/ --fences f.geojson --out visits.jsonl --scheduler tcp://10.0.0.5:8786
  servicetime replay --pings walk.gpx --driver anna --fences f.geojson --out v.jsonl --dwell-s 60
"""


@click.command(epilog=EXAMPLES)
@options.pings(required=True)
@options.fences(required=True)
@options.routes()
@click.option(
    "--out", type=options.WRITABLE, required=True, help="Where service-times records go; - for stdout."
)
@click.option(
    "--events",
    type=options.WRITABLE,
    help="Where geofence-events records go; without it none are looked for, which is faster.",
)
@click.option("--rejects", type=options.WRITABLE, help="Where bad lines go, as dead-letters records.")
@click.option("--table", metavar="DIR", help="Put the visits into this training table too.")
@click.option("--weather", type=options.READABLE, help="Weather by region, for the training table.")
@click.option(
    "--device-events", type=options.READABLE, help="Entries and exits that phones found themselves."
)
@options.driver()
@click.option("--scheduler", metavar="ADDRESS", help="The Dask cluster that replays a data set.")
@click.option(
    "--processes",
    type=click.IntRange(1),
    help="Processes on this machine.  [default: one a core; one for small files]",
)
@options.as_json()
@detection()
def command(
    pings: tuple[str, ...],
    fences: str,
    routes: str | None,
    out: str,
    events: str | None,
    rejects: str | None,
    table: str | None,
    weather: str | None,
    device_events: str | None,
    driver: str | None,
    scheduler: str | None,
    processes: int | None,
    as_json: bool,
    rules: "Rules",
) -> None:
    """Detect visits in recorded pings, as the worker would, and write their records.

    The same files and settings give the same bytes. Bad lines are counted and go to --rejects; a file that is
    missing or damaged ends the replay, and leaves no output.

    --pings may be a data set too: a directory of Parquet files (also in name=value folders) or a Delta table.
    It is spread by driver over the processes of a Dask cluster; pings count as having come in the order of
    time.
    """
    from streams.cli.progress import progress
    from streams.memory import YOUNG_OFFLINE, collect_rarely
    from streams.replay import Inputs, Outputs, replay

    collect_rarely(YOUNG_OFFLINE)
    inputs = Inputs(pings, fences, routes, weather, device_events, driver, scheduler, processes)
    if inputs.data_set() is not None and len(pings) > 1:
        raise click.UsageError("a data set is replayed alone: give one --pings")
    with progress(inputs.size() if inputs.data_set() is None else 1.0, "Replaying") as bar:
        summary = replay(inputs, Outputs(out, events, rejects, table), rules, bar.advance)
    if as_json:
        click.echo(json.dumps(summary.as_dict()), err=out == "-")
    else:
        click.echo(str(summary), err=True)
