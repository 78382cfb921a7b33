"""`servicetime broker`: an Apache Kafka for this machine, started, stopped and asked after."""

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

import click

from streams.cli import options

if TYPE_CHECKING:
    from streams.broker import EmbeddedBroker
    from streams.broker.config import Layout
    from streams.cli.progress import Bar

DEFAULT_PORT: Final = 9092


@click.group()
def command() -> None:
    """Run the embedded Apache Kafka of this machine (one JVM, no set-up)."""


@command.command()
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=DEFAULT_PORT,
    show_default=True,
    help="Where to listen, on 127.0.0.1.",
)
@options.data_dir()
@click.option("--foreground", is_flag=True, help="Stay until stopped (Ctrl-C, SIGTERM).")
def up(port: int, data_dir: Path, foreground: bool) -> None:
    """Start the broker, in the background unless told otherwise.

    The first start fetches Apache Kafka (45 MB). Does nothing when the broker of this --data-dir runs.
    """
    from streams.broker.process import find_running

    layout = _layout(data_dir)
    running = find_running(layout)
    if running is None:
        _start(layout.root, port, foreground)
        return
    if _asked_for_another(port, running.bootstrap_servers):
        raise click.ClickException(
            f"the broker of {data_dir} runs already, at {running.bootstrap_servers} and not on port {port}; "
            "end it with `servicetime broker down` first"
        )
    click.echo(f"Broker runs already at {running.bootstrap_servers} (process {running.pid})")


def _asked_for_another(port: int, bootstrap_servers: str) -> bool:
    given = click.get_current_context().get_parameter_source("port")
    explicit = given is not click.core.ParameterSource.DEFAULT
    return explicit and not bootstrap_servers.endswith(f":{port}")


def _start(directory: Path, port: int, foreground: bool) -> None:
    from streams.broker import EmbeddedBroker

    with ExitStack() as stack:
        report = stack.enter_context(_downloads())
        broker = EmbeddedBroker(directory, port, detached=not foreground, on_download=report)
        broker.start()
    click.echo(f"Broker up at {broker.bootstrap_servers} (process {broker.pid}), data in {directory}")
    if foreground:
        _stay(broker)


@contextmanager
def _downloads() -> Iterator[Callable[[int, int], None]]:
    """What to call while files are fetched; shows progress only if any are."""
    from streams.cli.progress import progress

    with ExitStack() as stack:
        bar: Bar | None = None

        def report(_done: int, total: int) -> None:
            nonlocal bar
            if bar is None:
                bar = stack.enter_context(progress(total, "Fetching Apache Kafka"))
            bar.advance()

        yield report


def _stay(broker: "EmbeddedBroker") -> None:
    """Until the broker ends, or this process is asked to end, which ends the broker too."""

    def leave(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, leave)
    try:
        status = broker.wait()
    except KeyboardInterrupt:
        broker.stop()
        click.echo("Broker stopped")
        return
    raise click.ClickException(f"the broker ended by itself, with status {status}; see {broker.log_file}")


@command.command()
@options.data_dir()
def down(data_dir: Path) -> None:
    """Stop the broker cleanly; its data stays. Does nothing when none runs."""
    from streams.broker.process import end

    click.echo("Broker stopped" if end(_layout(data_dir)) else "No broker runs")


@command.command()
@options.data_dir()
@options.as_json()
def status(data_dir: Path, as_json: bool) -> int:
    """Tell whether the broker runs and answers: exit status 0 if so, 1 if not."""
    from streams.broker.errors import NotAnswering
    from streams.broker.jars import pinned
    from streams.broker.probing import cluster_at
    from streams.broker.process import find_running

    layout = _layout(data_dir)
    running = find_running(layout)
    answers = False
    if running is not None:
        with suppress(NotAnswering):
            answers = cluster_at(running.bootstrap_servers, within_s=5) == layout.cluster_id()
    facts = {
        "running": running is not None,
        "answers": answers,
        "bootstrap_servers": running.bootstrap_servers if running else None,
        "pid": running.pid if running else None,
        "kafka_version": pinned().kafka_version,
        "data_dir": str(layout.root),
        "log_file": str(layout.log),
    }
    click.echo(json.dumps(facts) if as_json else _sentence(facts))
    return 0 if answers else 1


def _sentence(facts: dict[str, Any]) -> str:
    if not facts["running"]:
        return f"No broker runs in {facts['data_dir']}"
    how = "runs" if facts["answers"] else "has a process but does not answer"
    return (
        f"Apache Kafka {facts['kafka_version']} {how} at {facts['bootstrap_servers']} "
        f"(process {facts['pid']}), data in {facts['data_dir']}"
    )


def _layout(data_dir: Path) -> "Layout":
    from streams.broker.choice import BROKER_DIR
    from streams.broker.config import Layout

    return Layout((data_dir / BROKER_DIR).absolute())
