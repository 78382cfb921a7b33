"""`servicetime fences`: corrected fences learned from where drivers really park and walk to."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from streams.cli import options
from streams.cli.rules import detection

if TYPE_CHECKING:
    from geofence.events import PingBatch, ServiceTime
    from geofence.fences import Fence
    from geofence.rules import Rules
    from models.places import Suggestion

EXAMPLES = """\b
Examples:
  servicetime fences suggest --records v.jsonl --pings p.csv --fences f.geojson --routes r.jsonl --out s.json
  servicetime fences apply --fences f.geojson --suggestions s.geojson --out corrected.geojson
  servicetime publish --fences corrected.geojson
"""


@click.group(epilog=EXAMPLES)
def command() -> None:
    """Correct fences by where drivers really park and where the door really is."""


@command.command()
@click.option(
    "--records", type=options.READABLE, required=True, help="service-times records, one JSON a line."
)
@options.pings(required=True)
@options.fences(required=True)
@options.routes()
@click.option(
    "--out", type=options.WRITABLE, required=True, help="Where the suggestions go, as GeoJSON; - for stdout."
)
@click.option(
    "--min-visits",
    type=click.IntRange(1),
    default=3,
    show_default=True,
    help="Days that must agree on a place.",
)
@click.option(
    "--min-move-m", type=click.FloatRange(0, 1000), default=25.0, show_default=True,
    help="Smaller corrections are not suggested.",
)  # fmt: skip
@click.option(
    "--search-m", type=click.FloatRange(1, 1000), default=150.0, show_default=True,
    help="How far from the fence a planned stop that was not found is looked for.",
)  # fmt: skip
@click.option(
    "--rounds", type=click.IntRange(1), default=3, show_default=True,
    help="Visits are detected again with the corrected fences, and learned from, up to so many times.",
)  # fmt: skip
@options.driver()
@options.as_json()
@detection()
def suggest(
    records: str,
    pings: tuple[str, ...],
    fences: str,
    routes: str | None,
    out: str,
    min_visits: int,
    min_move_m: float,
    search_m: float,
    rounds: int,
    driver: str | None,
    as_json: bool,
    rules: "Rules",
) -> None:
    """Learn places from past visits and suggest corrected fences, with evidence.

    With --routes, planned stops for which no visit was found tell too: a standstill at the right place in the
    sequence, repeated over several days at one place. Visits that corrected fences win back tell of more
    places, so it is done in rounds. Each suggestion is a new version of its fence that
    holds from the end of the data on, and tells in suggested_from what it rests on.
    """
    from geofence.engine import detected
    from geofence.halts import all_halts
    from models.places import Learning
    from models.rounds import suggest_in_rounds
    from streams.cli.progress import progress
    from streams.files import read_fences, read_routes
    from streams.files.records import each_line
    from streams.records import decode_service_time

    known = list(read_fences(fences))
    plans = list(read_routes(routes)) if routes is not None else []
    visits = list(each_line(records, decode_service_time))
    learning = Learning(min_visits, min_move_m, search_m)
    batches = _batches(pings, driver)
    with progress(None, "Finding standstills"):
        halts = all_halts(batches, rules)

    def detect(corrected: "Sequence[Fence]") -> "list[ServiceTime]":
        with progress(None, "Detecting visits with the corrected fences"):
            return detected(batches, corrected, plans, rules)

    found = suggest_in_rounds(rounds, visits, halts, known, plans, learning, detect)
    _write(out, (s.fence for s in found))
    if as_json:
        told = [{"fence_id": s.fence.fence_id, **s.fence.facts["suggested_from"]} for s in found]
        click.echo(json.dumps(told), err=out == "-")
    else:
        _print(found, len(known))


def _batches(pings: tuple[str, ...], driver: str | None) -> "list[PingBatch]":
    """All that these files hold."""
    from streams.cli.progress import progress
    from streams.files import read_pings
    from streams.replay import Inputs

    with progress(Inputs(pings, "").size(), "Reading pings") as bar:
        return [r.batch for path in pings for r in read_pings(path, driver, advance=bar.advance)]


def _print(found: "list[Suggestion]", fences: int) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(stderr=True, highlight=False)
    console.print(f"{len(found)} of {fences} fences should be corrected.")
    if not found:
        return
    table = Table("fence", title="Surest first")
    for name in ("moved", "days", "not found before", "against", "spread", "centre", "confidence"):
        table.add_column(name, justify="right")
    for s in sorted(found, key=lambda s: -s.confidence)[:20]:
        e: dict[str, Any] = s.fence.facts["suggested_from"]
        cells = (str(e["visits"]), str(e["missed"]), str(e["against"]), f"{e['spread_m']:.0f} m", e["centre"])
        table.add_row(escape(s.fence.fence_id), f"{s.moved_m:.0f} m", *cells, f"{s.confidence:.2f}")
    console.print(table)


@command.command()
@options.fences(required=True)
@click.option("--suggestions", type=options.READABLE, required=True, help="What `fences suggest` wrote.")
@click.option(
    "--out", type=options.WRITABLE, required=True, help="Where the fences go, as GeoJSON; - for stdout."
)
@click.option(
    "--min-confidence", type=click.FloatRange(0, 1), default=0.5, show_default=True,
    help="Less certain suggestions are left out.",
)  # fmt: skip
@click.option(
    "--whole-past", is_flag=True, help="The corrected fences hold for the past too, in place of the old ones."
)
def apply(fences: str, suggestions: str, out: str, min_confidence: float, whole_past: bool) -> None:
    """Write the fences with the suggestions that are certain enough, as one FeatureCollection.

    The old version stays for the time before the new one; `publish --fences` sends them on.
    """
    from geofence.errors import InvalidFence
    from models.places import apply
    from streams.errors import UnreadableInput
    from streams.files import file_name, read_fences

    known, suggested = list(read_fences(fences)), list(read_fences(suggestions))
    try:
        corrected, count = apply(known, suggested, min_confidence, whole_past)
    except InvalidFence as error:
        raise UnreadableInput(file_name(suggestions), error.reason, field=error.field) from error
    _write(out, corrected)
    click.echo(f"{count} of {len(suggested)} suggestions applied; {len(corrected)} fences written", err=True)


def _write(out: str, fences: "Iterable[Fence]") -> None:
    """A FeatureCollection, a Feature a line."""
    from geofence.geojson import feature_of
    from streams.files import whole_file

    features = ",\n".join(json.dumps(feature_of(f)) for f in fences)
    text = f'{{"type": "FeatureCollection", "features": [\n{features}\n]}}\n'
    if out == "-":
        click.echo(text, nl=False)
        return
    with whole_file(Path(out)) as stream:
        stream.write(text.encode())
