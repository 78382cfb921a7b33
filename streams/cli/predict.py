"""`servicetime predict`: `stop-predictions` records for the stops of routes to come."""

import time
from typing import TYPE_CHECKING

import click

from streams.cli import learning, options

if TYPE_CHECKING:
    from models.scoring import Scorer


EXAMPLES = """\b
Examples:
  servicetime predict --table table --routes tomorrow.jsonl --fences customers.geojson --out predictions.jsonl
  servicetime predict --table table --routes r.jsonl --fences f.geojson --weather w.jsonl --out - | jq .p90_s
"""


@click.command(epilog=EXAMPLES)
@learning.table()
@options.routes(required=True)
@options.fences(required=True)
@click.option("--out", type=options.WRITABLE, required=True, help="Where predictions go, one JSON a line.")
@learning.registry()
@click.option("--weather", type=options.READABLE, help="Weather or forecast by region, one JSON a line.")
@click.option("--explain/--no-explain", default=True, show_default=True, help="Name each stop's top factors.")
def command(
    table: str, routes: str, fences: str, out: str, registry: str, weather: str | None, explain: bool
) -> None:
    """Predict how long each stop of these routes will take, with the champion of the registry.

    While there is no champion, predictions fall back on the customer's mean or the seven-minute rule, and
    say so in `fallback`.
    """
    from geofence.fences import FenceSet
    from models.rows import Facts
    from models.weather import WeatherBook
    from streams.cli.progress import progress
    from streams.files import read_fences, read_routes, read_weather
    from streams.files.writing import writing

    known = FenceSet(list(read_fences(fences)))
    planned = list(read_routes(routes))
    book = WeatherBook(() if weather is None else read_weather(weather))
    scorer = _scorer(table, registry)
    facts = Facts(known, book)
    now_ms = int(time.time() * 1000)  # noqa: TID251 (the edge knows what time it is)
    with progress(sum(len(r.stops) for r in planned), "Predicting") as bar, writing(out) as sink:
        for start in range(0, len(planned), 200):
            stops = facts.of_routes(planned[start : start + 200])
            sink.write(scorer.predictions(stops, now_ms, explain))
            bar.advance(len(stops))
    if scorer.model is None:
        click.echo(
            "No model is in charge yet: predictions fall back on means and the seven-minute rule.", err=True
        )


def _scorer(table: str, address: str) -> "Scorer":
    """The champion with the history of the table; none while the registry has no champion."""
    from models.dataset import read
    from models.registry import CHAMPION, Registry, is_made
    from models.scoring import Scorer

    visits = read(table)
    if not is_made(address) or not (found := Registry(address)).has(CHAMPION):
        return Scorer(visits)
    model, entry = found.load(CHAMPION)
    return Scorer(visits, model, str(entry.version))
