"""`servicetime publish`: recorded files to the topics."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from streams.cli import options

if TYPE_CHECKING:
    from streams.publish import Sent
    from streams.topics import Topics

ALL_AT_ONCE = "max"


def _speed(_context: click.Context, _option: click.Parameter, given: str) -> float | None:
    """None for `max`, else the factor."""
    if given == ALL_AT_ONCE:
        return None
    try:
        factor = float(given)
    except ValueError:
        factor = 0.0
    if not 0 < factor < float("inf"):
        raise click.BadParameter(f"{given!r} is neither 'max' nor a factor of real time above 0")
    return factor


@click.command()
@options.pings()
@options.fences()
@options.routes()
@click.option("--manual", type=options.READABLE, help="Manual records, one JSON a line.")
@click.option("--weather", type=options.READABLE, help="Weather by region, one JSON a line.")
@click.option("--device-events", type=options.READABLE, help="Entries and exits found on phones.")
@click.option(
    "--speed", default=ALL_AT_ONCE, show_default=True, callback=_speed, help="max, or times real time (60)."
)
@options.bootstrap()
@options.data_dir()
@click.option("--app-id", default="servicetime", show_default=True, help="Consumer group of the workers.")
@click.option("--topic-prefix", default="", help="Put this before every topic's name.")
@click.option("--partitions", type=click.IntRange(1, 10_000), default=4, show_default=True)
def command(
    pings: tuple[str, ...],
    fences: str | None,
    routes: str | None,
    manual: str | None,
    weather: str | None,
    device_events: str | None,
    speed: float | None,
    bootstrap: str | None,
    data_dir: Path,
    app_id: str,
    topic_prefix: str,
    partitions: int,
) -> None:
    """Send recorded files to the topics: fences, routes and the like first, then pings.

    Without --bootstrap the broker of this machine (`servicetime broker up`) is used.
    """
    given = {
        "fences": fences,
        "routes": routes,
        "weather": weather,
        "manual": manual,
        "device_events": device_events,
    }
    files = {name: path for name, path in given.items() if path is not None}
    if not files and not pings:
        raise click.UsageError("nothing to send: give --pings, --fences, --routes or another file")
    from streams.broker import choose_broker
    from streams.topics import Topics, ensure_topics

    with choose_broker(bootstrap, data_dir) as broker:
        topics = ensure_topics(broker.bootstrap_servers, Topics(app_id, topic_prefix, partitions))
        sent = asyncio.run(_publish(broker.bootstrap_servers, topics, files, pings, speed))
    for topic, count in sent.messages.items():
        click.echo(f"{topic}: {count:,} messages")
    if sent.bad:
        click.echo(f"{sent.bad:,} lines could not be read as pings; they were sent as they are", err=True)


async def _publish(
    bootstrap: str, topics: "Topics", files: dict[str, str], pings: tuple[str, ...], speed: float | None
) -> "Sent":
    from streams.cli.progress import progress
    from streams.files import size_of
    from streams.publish import KINDS, Publisher, Sent, publish_pings, publish_records

    sent = Sent()
    sizes = [size_of(path) for path in pings]
    async with Publisher(bootstrap, topics) as publisher:
        for name, kind in KINDS.items():
            if name in files:
                await publish_records(publisher, kind, files[name], sent)
        if pings:
            known = [size for size in sizes if size is not None]
            with progress(sum(known) if len(known) == len(sizes) else None, "Publishing pings") as bar:
                await publish_pings(publisher, pings, speed, bar.advance, sent)
    return sent
