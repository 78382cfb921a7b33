"""`servicetime train`: tune, fit, prove, register, and promote when the gate allows."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import click

from streams.cli import learning, options

if TYPE_CHECKING:
    from models.boosting import Prepare
    from models.promotion import Outcome

LOCAL: Final = "local"

PREDICTORS = {
    "model": "this model",
    "champion": "the champion so far",
    "rule": "seven-minute rule",
    "rule_adjusted": "… with manual adjustments",
    "historical_mean": "historical mean per customer",
    "linear": "linear model",
}


EXAMPLES = """\b
Examples:
  servicetime replay --pings p.jsonl.gz --fences f.geojson --routes r.jsonl --out visits.jsonl --table table
  servicetime train --table table --trials 50 --country DE-BY --time-zone Europe/Berlin
  servicetime train --table table --table-version 12 --registry http://mlflow:5000 --json
  servicetime train --table table --scheduler tcp://10.0.0.5:8786
"""


@click.command(epilog=EXAMPLES)
@learning.table()
@click.option(
    "--table-version", type=click.IntRange(0), help="Learn from the table as it was then.  [default: newest]"
)
@learning.registry()
@click.option(
    "--trials", type=click.IntRange(1, 10_000), default=30, show_default=True, help="Settings to try."
)
@click.option(
    "--seed", type=click.IntRange(0), default=7, show_default=True, help="Equal seeds, equal models."
)
@click.option(
    "--newest-days", type=click.IntRange(1, 365), default=14, show_default=True, help="Days for proof."
)
@click.option("--country", default="CH", show_default=True, help="Whose holidays: ISO 3166, also as DE-BY.")
@click.option(
    "--region-country",
    "regions",
    metavar="REGION=COUNTRY",
    multiple=True,
    help="A region whose holidays are another country's; repeatable.",
)
@click.option("--time-zone", default="UTC", show_default=True, help="Of hours and dates, as Europe/Zurich.")
@click.option("--threads", type=click.IntRange(1, 256), default=2, show_default=True)
@click.option(
    "--scheduler",
    metavar="ADDRESS",
    help="Fit the final model over this Dask cluster; local: over processes of this machine.",
)
@options.as_json()
def command(
    table: str,
    table_version: int | None,
    registry: str,
    trials: int,
    seed: int,
    newest_days: int,
    country: str,
    regions: tuple[str, ...],
    time_zone: str,
    threads: int,
    scheduler: str | None,
    as_json: bool,
) -> None:
    """Train on a table: search settings, fit, prove on the newest days, register, promote if better.

    The newest days are never learned from; every figure printed is of them.
    """
    from models.dataset import quarantine_reasons, require
    from models.features import FeatureSpec
    from models.promotion import train_on_table
    from models.registry import Registry
    from models.training import TrainingConfig

    countries = _countries(regions)
    _check([country, *countries.values()], time_zone)
    require(table, table_version)  # before anything is made
    spec = FeatureSpec(country=country, countries=countries, time_zone=time_zone)
    config = TrainingConfig(spec, trials=trials, seed=seed, threads=threads, newest_days=newest_days)
    with _fitting(scheduler) as prepare, learning.training_progress(trials) as tell:
        outcome = train_on_table(
            table, Registry(registry), config, tell, version=table_version, prepare=prepare
        )
    refused = quarantine_reasons(table)
    if as_json:
        import json

        click.echo(json.dumps({**summary(outcome), "quarantined": refused}, indent=2))
    else:
        _print(outcome)
        for reason, count in refused.items():
            click.echo(f"In quarantine: {count:,} × {reason}.")


@contextmanager
def _fitting(scheduler: str | None) -> "Iterator[Prepare | None]":
    """Where the final boosters are fitted. Raises Unavailable when that cluster does not answer."""
    if scheduler is None:
        yield None
        return
    from models.spreading import Spread
    from streams.spread import cluster

    with cluster(None if scheduler == LOCAL else scheduler, None) as client:
        yield Spread(client)


def _countries(pairs: tuple[str, ...]) -> dict[str, str]:
    """Countries by region."""
    found = dict(pair.rpartition("=")[::2] for pair in pairs)
    if "" in found or "" in found.values():
        raise click.BadParameter("is not REGION=COUNTRY, as in north=DE-BY", param_hint="--region-country")
    return found


def _check(countries: list[str], time_zone: str) -> None:
    """Complain about settings that would fail only later."""
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    from models.days import holidays_of

    try:
        for country in countries:
            holidays_of(country, 2026)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--country") from error
    try:
        ZoneInfo(time_zone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise click.BadParameter(f"{time_zone!r} is no time zone", param_hint="--time-zone") from error


def errors_s(outcome: "Outcome") -> dict[str, float]:
    """Mean absolute errors on the newest days, in seconds, by predictor."""
    found = dict(outcome.trained.proof.mae_s)
    if outcome.champion_mae_s is not None:
        found["champion"] = outcome.champion_mae_s
    return {name: found[name] for name in PREDICTORS if name in found}


def summary(outcome: "Outcome") -> dict[str, Any]:
    """What is printed, for machines."""
    proof = outcome.trained.proof
    return {
        "version": outcome.entry.version,
        "fingerprint": outcome.entry.fingerprint,
        "promoted": outcome.promoted,
        "reasons": list(outcome.verdict.reasons),
        "mae_s": errors_s(outcome),
        "p90_coverage": proof.p90_coverage,
        "visits_learned": outcome.trained.model.notes["visits"],
        "visits_proven": len(proof.actual_s),
        "data_version": outcome.data_version,
        "trials": outcome.trained.tuned.trials,
        "pruned": outcome.trained.tuned.pruned,
    }


def _print(outcome: "Outcome") -> None:
    from geofence.times import format_time

    proof, found = outcome.trained.proof, errors_s(outcome)
    first, last = (format_time(ts_ms)[:10] for ts_ms in proof.days)
    learned, tuned = outcome.trained.model.notes["visits"], outcome.trained.tuned
    click.echo(
        f"Learned from {learned:,} visits, proven on {len(proof.actual_s):,} from {first} to {last}; "
        f"{tuned.trials} settings tried, {tuned.pruned} of them cut short.\n"
    )
    rows = [
        (
            PREDICTORS[name],
            f"{value:.1f} s",
            "" if name == "model" else f"{100 * (found['model'] / value - 1):+.1f} %",
        )
        for name, value in found.items()
    ]
    learning.show(("predictor", "MAE", "model against it"), rows)
    click.echo(f"\nP90 covers {100 * proof.p90_coverage:.1f} % of these visits.")
    click.echo(f"Registered as version {outcome.entry.version} ({outcome.entry.fingerprint[:12]}).")
    if outcome.promoted:
        click.echo("Promoted: it is the champion now.")
    for reason in outcome.verdict.reasons:
        click.echo(f"Not promoted: {reason}.")
