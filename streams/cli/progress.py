"""Progress on stderr: a bar on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Protocol

import click

PLAIN_EVERY_S: Final = 10.0
"""Seconds between two plain lines of one piece of work."""


class Bar(Protocol):
    """What a piece of work reports to."""

    def advance(self, amount: float = 1) -> None:
        """So much more is done."""
        ...

    def note(self, text: str) -> None:
        """Say something in a few words beside the bar."""
        ...


@contextmanager
def progress(total: float | None, what: str) -> Iterator[Bar]:
    """Report on work of a known (`total` in any unit) or unknown size while the block runs.

    >>> with progress(3, "Counting") as bar:
    ...     for _ in range(3):
    ...         bar.advance()
    """
    if sys.stderr.isatty():
        with _rich_bar(total, what) as bar:
            yield bar
    else:
        plain = _Lines(total, what)
        yield plain
        plain.close()


@contextmanager
def _rich_bar(total: float | None, what: str) -> Iterator[Bar]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        SpinnerColumn,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[said]}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=False) as display:
        task = display.add_task(what, total=total, said="")

        class OnTerminal:
            def advance(self, amount: float = 1) -> None:
                display.advance(task, amount)

            def note(self, text: str) -> None:
                display.update(task, said=text)

        yield OnTerminal()
        display.update(task, total=total or 1, completed=total or 1)


class _Lines:
    """A line now and then, and one at the end."""

    def __init__(self, total: float | None, what: str) -> None:
        self._total = total
        self._what = what
        self._done = 0.0
        self._said = ""
        self._started = self._last = time.monotonic()

    def advance(self, amount: float = 1) -> None:
        self._done += amount
        now = time.monotonic()
        if now - self._last >= PLAIN_EVERY_S:
            self._last = now
            share = f"{100 * self._done / self._total:.0f} % " if self._total else ""
            click.echo(f"{self._what}: {share}{self._said}".rstrip(), err=True)

    def note(self, text: str) -> None:
        self._said = text

    def close(self) -> None:
        took_s = time.monotonic() - self._started
        click.echo(f"{self._what}: done in {took_s:.1f} s {self._said}".rstrip(), err=True)
