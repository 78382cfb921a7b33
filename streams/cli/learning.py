"""What the commands of the learning side share: options, tables of figures, progress of a training."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import click

from streams.cli.options import Decorator
from streams.cli.progress import Bar, progress

PREPARED: Final = 3
"""Steps of a training before its search begins."""


def table(required: bool = True) -> Decorator:
    """`--table DIR`: the training table, a Delta Lake table."""
    return click.option(
        "--table", metavar="DIR", required=required, help="The training table (Delta Lake directory or URL)."
    )


def registry() -> Decorator:
    """`--registry DIR or URL`: where models are kept."""
    return click.option(
        "--registry",
        metavar="DIR|URL",
        default="servicetime-data/models",
        show_default=True,
        help="The model registry: a directory, or the URL of an MLflow server or its database.",
    )


@contextmanager
def training_progress(trials: int) -> Iterator[Callable[[str, int, float], None]]:
    """A bar over preparation and trials; the error of the best trial is noted beside it."""
    with progress(trials + PREPARED, "Training") as bar:
        yield _Steps(bar)


class _Steps:
    """Turns 'this many of this step are done' into advances of one bar."""

    def __init__(self, bar: Bar) -> None:
        self._bar = bar
        self._done: dict[str, int] = {}

    def __call__(self, what: str, done: int, best_mae_s: float) -> None:
        self._bar.advance(done - self._done.get(what, 0))
        self._done[what] = done
        if best_mae_s == best_mae_s:  # not NaN: something has been measured
            self._bar.note(f"MAE {best_mae_s:.1f} s")


def show(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print aligned columns: the first to the left, the others to the right."""
    lines = [list(header), *(list(row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    for line in lines:
        cells = [line[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(line[1:], widths[1:], strict=True))]
        click.echo("  ".join(cells).rstrip())
