"""`servicetime score`: detection quality of service-time records against the truth."""

from typing import TYPE_CHECKING, Final

import click

from streams.cli.options import READABLE, as_json

if TYPE_CHECKING:
    from rich.table import Table

    from simulation.scoring import Score

ROWS: Final = (
    ("records", "records", "{:d}"),
    ("true visits", "truth", "{:d}"),
    ("hits", "hits", "{:d}"),
    ("precision", "precision", "{:.3f}"),
    ("recall", "recall", "{:.3f}"),
    ("F1", "f1", "{:.3f}"),
    ("service time: mean absolute error", "mae_s", "{:.1f} s"),
    ("service time: median absolute error", "median_ae_s", "{:.1f} s"),
    ("service time: within 30 s", "within_30s", "{:.3f}"),
    ("arrival: bias", "bias_arrive_s", "{:+.1f} s"),
    ("arrival: mean absolute error", "mae_arrive_s", "{:.1f} s"),
    ("departure: bias", "bias_depart_s", "{:+.1f} s"),
    ("departure: mean absolute error", "mae_depart_s", "{:.1f} s"),
    ("stated bounds that hold", "bounds_hold", "{:.3f}"),
    ("confidence: calibration error", "calibration_error", "{:.3f}"),
)
"""What is said, the field of Score, how it is written."""


@click.command()
@click.option("--records", type=READABLE, required=True, help="service-times records, one JSON a line.")
@click.option("--truth", type=READABLE, required=True, help="truth.jsonl as `simulate` writes it.")
@as_json()
def command(records: str, truth: str, as_json: bool) -> None:
    """Judge service-time records by the truth.

    A record hits when it names the driver, customer and stop of a true visit and overlaps it in time; each
    true visit can be hit once. Visits cut by the beginning or end of a driver's data are left out.
    """
    from simulation.scoring import final_claims, score
    from streams.files.judged import read_claims, read_truth

    result = score(final_claims(read_claims(records)), list(read_truth(truth)))
    if as_json:
        import msgspec

        click.echo(msgspec.json.encode(result.rounded()))
    else:
        from rich.console import Console

        console = Console()
        console.print(_figures(result))
        if result.calibration:
            console.print(_curve(result))


def _figures(result: "Score") -> "Table":
    from rich.table import Table

    table = Table("figure", title="Detection against the truth")
    table.add_column("value", justify="right")
    for said, name, form in ROWS:
        value = getattr(result, name)
        table.add_row(said, "-" if value is None else form.format(value))
    return table


def _curve(result: "Score") -> "Table":
    from rich.table import Table

    table = Table("confidence", title="Of records with this confidence, how many are right")
    for name in ("records", "mean confidence", "right"):
        table.add_column(name, justify="right")
    for b in result.calibration:
        cells = (str(b.claims), f"{b.mean_confidence:.3f}", f"{b.right_share:.3f}")
        table.add_row(f"{b.low:.1f} to {b.high:.1f}", *cells)
    return table
