"""`servicetime demo`: the main job from end to end, with a table and a report of what came out."""

import signal
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from streams.cli import options

if TYPE_CHECKING:
    from rich.table import Table

    from streams.demo.judging import Findings


@click.command()
@click.option("--small", is_flag=True, help="A smaller town and a shorter training.")
@options.bootstrap()
@click.option(
    "--data-dir",
    type=options.DIRECTORY,
    help="Where its broker and files live while it runs.  [default: a temporary directory]",
)
@click.option(
    "--out", type=options.WRITABLE, default="demo-report.html", show_default=True, help="The report."
)
@click.option("--picture", type=options.WRITABLE, help="Also draw the real driver's map there, as SVG.")
@click.option("--keep", is_flag=True, help="Keep topics, files, training table and models, and say where.")
def command(
    small: bool, bootstrap: str | None, data_dir: Path | None, out: str, picture: str | None, keep: bool
) -> None:
    """Play recorded real drivers and a simulated town through Kafka, detection, training and prediction.

    Without --bootstrap a real broker is started for the purpose. Everything that is started ends with the
    demonstration, also with Ctrl-C.
    """
    from streams.demo.inputs import FULL, SMALL
    from streams.demo.report import write_report
    from streams.demo.run import demonstrate

    signal.signal(signal.SIGTERM, _interrupt)
    found = demonstrate(SMALL if small else FULL, bootstrap, data_dir, keep)
    write_report(found, Path(out))
    if picture is not None:
        from streams.demo.picture import write_picture

        write_picture(found.judged[0], Path(picture))
    _show(found)
    click.echo(f"Report with pictures: {out}")
    if found.kept_in is not None:
        click.echo(f"Kept: {found.kept_in}")


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _show(found: "Findings") -> None:
    from rich.console import Console

    console = Console(width=None if _on_terminal() else 120)
    for table in (_of_detection(found), _of_learning(found), _of_predictions(found)):
        console.print()
        console.print(table)
    console.print(f"\nTook {found.took_s:.0f} s with {found.broker}.", highlight=False)


def _on_terminal() -> bool:
    import sys

    return sys.stdout.isatty()


def _of_detection(found: "Findings") -> "Table":
    from rich.table import Table

    from streams.demo.summary import DETECTION_COLUMNS, detection_rows

    table = Table(title="From pings to visits, against the truth")
    for number, name in enumerate(DETECTION_COLUMNS):
        table.add_column(name, justify="left" if number < 2 else "right")
    for row in detection_rows(found):
        table.add_row(*row, style="bold" if row[1] == "servicetime" else None)
    return table


def _of_learning(found: "Findings") -> "Table":
    from rich.table import Table

    from streams.demo.summary import learning_rows, proven_on

    table = Table(title=f"Predicting service times: {proven_on(found)}")
    table.add_column("predictor")
    table.add_column("mean absolute error", justify="right")
    table.add_column("model against it", justify="right")
    for row in learning_rows(found):
        table.add_row(*row, style="bold" if row[2] == "" else None)
    return table


def _of_predictions(found: "Findings") -> "Table":
    from rich.table import Table

    from streams.demo.summary import PREDICTION_COLUMNS, prediction_rows

    shown = prediction_rows(found, 5)
    title = f"First of {len(found.predictions)} predictions read from the topic stop-predictions"
    table = Table(title=title)
    for number, name in enumerate(PREDICTION_COLUMNS):
        table.add_column(name, justify="right" if 2 <= number <= 3 else "left")
    for row in shown:
        table.add_row(*row)
    return table
