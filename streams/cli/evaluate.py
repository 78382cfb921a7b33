"""`servicetime evaluate`: the proof of the model, as a page, JSON and a table."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from streams.cli import learning, options

if TYPE_CHECKING:
    from models.evaluation import EvaluationConfig
    from models.truth import Truth

NOT_NEGATIVE: Final = click.FloatRange(0)


EXAMPLES: Final = """\b
Examples:
  servicetime evaluate --table table --out report
  servicetime evaluate --table table --windows 8 --late-price 0.8 --idle-price 0.4 --json
  servicetime evaluate --table town/table --truth town/truth.jsonl
"""


@click.command(epilog=EXAMPLES)
@learning.table()
@learning.registry()
@click.option("--truth", type=options.READABLE, help="truth.jsonl of a simulated town, for the noise floor.")
@click.option(
    "--out",
    type=options.DIRECTORY,
    default="servicetime-data/evaluation",
    show_default=True,
    help="Directory for evaluation.html and evaluation.json.",
)
@click.option("--windows", type=click.IntRange(1, 52), default=4, show_default=True, help="Backtests.")
@click.option("--days", type=click.IntRange(1, 90), default=7, show_default=True, help="Days of each.")
@click.option("--late-price", type=NOT_NEGATIVE, default=1.0, show_default=True, help="Of a late minute.")
@click.option("--idle-price", type=NOT_NEGATIVE, default=0.5, show_default=True, help="Of an idle minute.")
@options.as_json()
def command(
    table: str,
    registry: str,
    truth: str | None,
    out: Path,
    windows: int,
    days: int,
    late_price: float,
    idle_price: float,
    as_json: bool,
) -> None:
    """Backtest the champion's settings over and over on days that were never learned from.

    Without a champion, the settings that a search begins with are used.
    """
    from models.costs import Prices
    from models.dataset import read
    from models.evaluation import STEPS, evaluate
    from models.reports import write
    from streams.cli.progress import progress

    if late_price + idle_price == 0:
        raise click.BadParameter("one of --late-price and --idle-price must be above 0")
    visits = read(table)
    known = None if truth is None else _truth(truth, visits)
    config = _config(registry, windows, days, Prices(late_price, idle_price))
    with progress(STEPS, "Evaluating") as bar:
        report = evaluate(visits, config, known, lambda what, _done: _step(bar, what))
    page, _ = write(report, out)
    click.echo(f"Report: {page}", err=True)
    if as_json:
        click.echo(json.dumps(report, indent=1, sort_keys=True))
    else:
        _print(report)


def _step(bar: Any, what: str) -> None:
    bar.note(what)
    bar.advance()


def _truth(path: str, visits: Any) -> "Truth":
    """The truth about the visits that are right; those that are not have none."""
    from models.truth import Truth
    from simulation.scoring import judge
    from streams.files.judged import claims_of, read_truth

    right = judge(claims_of(visits), list(read_truth(path))).right
    return Truth(
        law_s={claim.visit_id: row.law_s for claim, row in right if row.law_s is not None},
        true_s={claim.visit_id: row.departed_s - row.arrived_s for claim, row in right},
    )


def _config(address: str, windows: int, days: int, prices: Any) -> "EvaluationConfig":
    """The champion's settings; the default ones while there is none."""
    from models.assembly import Recipe
    from models.evaluation import EvaluationConfig, default_recipe
    from models.features import FeatureSpec
    from models.registry import CHAMPION, Registry, is_made

    if not is_made(address) or not (found := Registry(address)).has(CHAMPION):
        return EvaluationConfig(default_recipe(), windows=windows, days=days, prices=prices)
    kept = found.passport(CHAMPION)["config"]
    common = {"seed": kept["seed"], "num_threads": kept["threads"]}
    recipe = Recipe(kept["tuned"], kept["rounds"], common)
    return EvaluationConfig(recipe, FeatureSpec(**kept["spec"]), windows, days, prices)


def _print(report: dict[str, Any]) -> None:
    from models.reports import NAMES

    first, last = report["windows"][0]["from"], report["windows"][-1]["until"]
    click.echo(f"{len(report['windows'])} backtests from {first} to {last} on {report['visits']:,} visits.\n")
    rows = [
        (NAMES[row["predictor"]], *(f"{row[key]:.1f} s" for key in ("mae_s", "median_s", "bias_s")))
        for row in report["errors"]
    ]
    learning.show(("predictor", "MAE", "median", "bias"), rows)
    labels = report["labels"]
    if labels["visits"]:
        true = {row["predictor"]: row["true_mae_s"] for row in report["errors"]}
        click.echo(
            f"\nDetected times are off by {labels['mae_s']:.1f} s. Against true times: model "
            f"{true['model']:.1f} s, a predictor that knows the law {true['law']:.1f} s."
        )
    p90 = next(row["found"] for row in report["coverage"] if row["what"] == "P90")
    click.echo(f"\nP90 covers {100 * p90:.1f} % of visits.")
    routes = report["routes"]
    if routes["routes"]:
        click.echo(
            f"Errors cancel along routes: {100 * routes['relative_stop_error']:.1f} % of a stop, "
            f"{100 * routes['relative_route_error']:.1f} % of a route."
        )
    for warning in report["warnings"]:
        click.echo(f"Warning: {warning}.")
