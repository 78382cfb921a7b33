"""`servicetime pilot`: geofence timestamps against manual ones, and settings tuned on them."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from streams.cli import options
from streams.cli.rules import detection

if TYPE_CHECKING:
    from geofence.rules import Rules
    from models.pilot import Pilot
    from streams.rule_search import Found

EXAMPLES = """\b
Examples:
  servicetime pilot --records visits.jsonl --manual manual.jsonl --fences fences.geojson
  servicetime pilot tune --pings p.csv --fences f.geojson --routes r.jsonl --manual m.jsonl --out rules.toml
"""


@click.group(invoke_without_command=True, epilog=EXAMPLES)
@click.option("--records", type=options.READABLE, help="service-times records, one JSON a line.")
@click.option("--manual", type=options.READABLE, help="What people wrote down, one JSON a line.")
@click.option("--truth", type=options.READABLE, help="What really happened, as `simulate` writes it.")
@options.fences()
@click.option(
    "--out", type=options.DIRECTORY, default="pilot-report", show_default=True, help="Where the report goes."
)
@options.as_json()
@click.pass_context
def command(
    ctx: click.Context,
    records: str | None,
    manual: str | None,
    truth: str | None,
    fences: str | None,
    out: Path,
    as_json: bool,
) -> None:
    """Compare geofence timestamps with manual ones: can they replace them, and where not.

    Writes pilot.html and pilot.json. With --fences the figures are told by region too, with --truth both ways
    are judged by it.
    """
    if ctx.invoked_subcommand is not None:
        return
    for name, value in (("--records", records), ("--manual", manual)):
        if value is None:
            raise click.UsageError(f"Missing option '{name}'", ctx)
    assert records is not None
    assert manual is not None
    _compare(records, manual, truth, fences, out, as_json)


def _compare(
    records: str, manual: str, truth: str | None, fences: str | None, out: Path, as_json: bool
) -> None:
    from models.pilot import compare
    from models.pilot.report import write
    from streams.files import read_fences, read_manual
    from streams.files.judged import read_truth
    from streams.files.records import each_line
    from streams.records import decode_service_time

    regions = {
        f.customer_id: str(f.facts["region"])
        for f in (read_fences(fences) if fences is not None else ())
        if f.facts.get("region") is not None
    }
    witnessed = None if truth is None else list(read_truth(truth))
    pilot = compare(each_line(records, decode_service_time), read_manual(manual), regions, witnessed)
    page, data = write(pilot, out)
    if as_json:
        import json

        click.echo(json.dumps(pilot.as_dict()))
    else:
        _print(pilot)
        click.echo(f"Report: {page} and {data.name}", err=True)


def _print(pilot: "Pilot") -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False)
    console.print(f"[bold]{pilot.verdict.headline}[/bold]")
    for reason in pilot.verdict.reasons:
        console.print(f"  {reason}", markup=False)
    for what in pilot.verdict.short_of:
        console.print(f"  Short: {what}", markup=False)
    for where in pilot.verdict.not_where:
        console.print(f"  Not: {where}", markup=False)
    table = Table(title="How the manual records are kept")
    table.add_column("driver", no_wrap=True)
    for name in ("records", "rounded to", "arrival lag", "late", "afterwards", "in batches", "forgotten"):
        table.add_column(name, justify="right")
    for h in pilot.habits:
        lag = "-" if h.arrive_lag_s is None else f"{h.arrive_lag_s:+.0f} s"
        grid = f"{h.rounded_to_s // 60} min" if h.rounded_to_s else "-"
        counts = (str(n) for n in (h.late, h.afterwards, h.in_batches, h.forgotten))
        table.add_row(escape(h.driver_id), str(h.notes), grid, lag, *counts)
    console.print(table)


@command.command()
@options.pings(required=True)
@options.fences(required=True)
@options.routes()
@click.option("--manual", type=options.READABLE, required=True, help="What people wrote down.")
@click.option(
    "--trials", type=click.IntRange(1, 10_000), default=40, show_default=True, help="Settings to try."
)
@click.option(
    "--seed", type=click.IntRange(0), default=7, show_default=True, help="Equal seeds, equal settings."
)
@click.option(
    "--out",
    type=options.WRITABLE,
    default="rules.toml",
    show_default=True,
    help="Where they go; - for stdout.",
)
@options.driver()
@options.as_json()
@detection()
def tune(
    pings: tuple[str, ...],
    fences: str,
    routes: str | None,
    manual: str,
    trials: int,
    seed: int,
    out: str,
    driver: str | None,
    as_json: bool,
    rules: "Rules",
) -> None:
    """Find the detection settings that agree best with manual records, by replay.

    The later third of the days is kept for proof: when the settings found are no better there than those
    given, the given ones are written. The file is for --config of replay and worker.
    """
    from streams.cli.progress import progress
    from streams.files import read_fences, read_manual, read_pings, read_routes
    from streams.rule_search import Material, search, toml_of

    material = Material(
        [read.batch for path in pings for read in read_pings(path, driver) if len(read.batch)],
        list(read_fences(fences)),
        list(read_routes(routes)) if routes is not None else [],
        list(read_manual(manual)),
    )
    with progress(trials, "Tuning") as bar:

        def tell(loss: float) -> None:
            bar.note(f"best loss {loss:.3f}")
            bar.advance()

        found = search(material, rules, trials, seed, tell)
    _write(out, toml_of(found))
    _print_found(found, out, as_json)


def _write(out: str, text: str) -> None:
    from streams.files import whole_file

    if out == "-":
        click.echo(text, nl=False)
        return
    with whole_file(Path(out)) as stream:
        stream.write(text.encode())


def _print_found(found: "Found", out: str, as_json: bool) -> None:
    if as_json:
        import json
        from dataclasses import asdict

        told: dict[str, Any] = asdict(found)
        click.echo(json.dumps(told), err=out == "-")
        return
    better = "better than those given" if found.improved else "no better, so the given ones are written"
    after, before = found.after, found.before
    click.echo(
        f"{found.trials} trials; on {found.proof_days} later day(s) the settings found are {better}: "
        f"loss {after.loss:.3f} against {before.loss:.3f}, "
        f"recall {after.recall:.3f} against {before.recall:.3f}.",
        err=True,
    )
