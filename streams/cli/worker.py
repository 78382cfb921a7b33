"""`servicetime worker`: all agents, in one process or several of one consumer group."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from streams.cli import options
from streams.cli import rules as rules_options

if TYPE_CHECKING:
    from geofence.rules import Rules
    from streams.settings import Settings

PROCESS_OPTIONS = (
    "app_id",
    "topic_prefix",
    "idle_s",
    "session_timeout_s",
    "sink_every_s",
    "look_for_models_s",
)
"""What each process of several is told, as the one that starts them was."""


@click.command()
@options.bootstrap()
@options.data_dir()
@click.option(
    "--web-port", type=click.IntRange(0, 65_535), help="Serve /metrics and /healthz there (0: any)."
)
@click.option("--web-host", default="127.0.0.1", show_default=True, help="Address to serve them at.")
@click.option("--concurrency", type=click.IntRange(1, 256), default=1, show_default=True, help="Processes.")
@click.option("--table", metavar="DIR", help="The training table.  [default: DATA-DIR/table]")
@click.option("--no-table", is_flag=True, help="Write no training table.")
@click.option("--registry", metavar="DIR|URL", help="Where models are kept.  [default: DATA-DIR/models]")
@click.option("--app-id", default="servicetime", show_default=True, help="Consumer group and state topic.")
@click.option("--topic-prefix", default="", help="Put this before every topic's name.")
@click.option("--partitions", type=click.IntRange(1, 10_000), default=4, show_default=True)
@click.option("--replication", type=click.IntRange(-1, 10), default=-1, help="Copies of new topics.")
@click.option("--idle-s", type=float, default=30.0, show_default=True, help="Quiet so long: input has ended.")
@click.option(
    "--session-timeout-s", type=float, default=10.0, show_default=True, help="Silent so long: dead."
)
@click.option(
    "--sink-every-s", type=float, default=2.0, show_default=True, help="Between writes to the table."
)
@click.option("--look-for-models-s", type=float, default=20.0, show_default=True, help="... at the registry.")
@rules_options.detection()
@click.option("--supervised", is_flag=True, hidden=True)
def command(
    bootstrap: str | None,
    data_dir: Path,
    web_port: int | None,
    web_host: str,
    concurrency: int,
    table: str | None,
    no_table: bool,
    registry: str | None,
    app_id: str,
    topic_prefix: str,
    partitions: int,
    replication: int,
    idle_s: float,
    session_timeout_s: float,
    sink_every_s: float,
    look_for_models_s: float,
    rules: "Rules",
    supervised: bool,
) -> None:
    """Turn pings into visits, visits into training rows, routes into predictions, until stopped.

    Without --bootstrap the broker of this machine is used, or one is started below --data-dir.
    """
    from streams.broker import choose_broker
    from streams.settings import Settings
    from streams.topics import Topics, ensure_topics

    with choose_broker(bootstrap, data_dir) as broker:
        wanted = Topics(app_id, topic_prefix, partitions)
        topics = ensure_topics(broker.bootstrap_servers, wanted, replication)
        settings = Settings(
            bootstrap=broker.bootstrap_servers,
            topics=topics,
            rules=rules,
            web_host=web_host,
            web_port=web_port,
            table=None if no_table else table or str(data_dir / "table"),
            registry=registry or str(data_dir / "models"),
            data_dir=data_dir,
            idle_s=idle_s,
            session_timeout_s=session_timeout_s,
            sink_every_s=sink_every_s,
            look_for_models_s=look_for_models_s,
        )
        if concurrency == 1:
            _run_one(settings, supervised)
        else:
            _run_many(settings, concurrency)


def _run_one(settings: "Settings", supervised: bool) -> None:
    from streams.worker import run_worker, set_up_logging

    set_up_logging(_debug())
    run_worker(settings, supervised)


def _run_many(settings: "Settings", concurrency: int) -> None:
    from streams.supervision import run_processes
    from streams.warm_up import warm_up

    warm_up()  # once for all: what it compiles is kept on disk
    context = click.get_current_context()
    common = [
        *(word for name in PROCESS_OPTIONS for word in _given(context, name)),
        *("--bootstrap", settings.bootstrap, "--web-host", settings.web_host, "--supervised"),
        *("--data-dir", str(settings.data_dir), "--registry", str(settings.registry)),
        *(["--no-table"] if settings.table is None else ["--table", settings.table]),
        *rules_options.options_of(settings.rules),
    ]
    commands = []
    for n in range(concurrency):
        port = settings.web_port + n if settings.web_port else settings.web_port
        commands.append(["worker", *common, *([] if port is None else ["--web-port", str(port)])])
    run_processes(commands)


def _given(context: click.Context, name: str) -> list[str]:
    value = context.params[name]
    return [] if value is None or value == "" else [f"--{name.replace('_', '-')}", str(value)]


def _debug() -> bool:
    return "--debug" in sys.argv or os.environ.get("SERVICETIME_DEBUG", "0") not in {"", "0", "false"}
