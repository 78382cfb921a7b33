"""Runs one worker process from start to a clean end: signals, logging, the loop."""

import asyncio
import logging
import signal
import sys
from contextlib import suppress
from typing import Final

import faust

from streams import scoring
from streams.app import Worker
from streams.compression import keep_contexts
from streams.memory import collect_rarely
from streams.metrics import WebServer
from streams.settings import Settings
from streams.supervision import Parent
from streams.warm_up import warm_up

FORMAT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"
QUIET: Final = ("faust", "mode", "aiokafka", "kafka")
"""Libraries whose everyday news is not a user's."""

log = logging.getLogger(__name__)


class OneLine(logging.Formatter):
    """Log records without their tracebacks."""

    def format(self, record: logging.LogRecord) -> str:
        """The message alone, on one line."""
        record.exc_info, record.exc_text, record.stack_info = None, None, None
        return " ".join(super().format(record).split())


def set_up_logging(debug: bool = False) -> None:
    """Log to stderr; tracebacks and the libraries' everyday news only with `debug`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter(FORMAT) if debug else OneLine(FORMAT))
    logging.basicConfig(level=logging.DEBUG if debug else logging.INFO, handlers=[handler], force=True)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.INFO if debug else logging.CRITICAL)


def use_uvloop() -> None:
    """Faster event loops for this process and its threads, where there are any."""
    with suppress(ImportError):
        import uvloop

        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())


def run_worker(settings: Settings, supervised: bool = False) -> None:
    """Run until SIGTERM or SIGINT, then end with a last checkpoint. Raises what stopped it otherwise.

    A `supervised` worker also ends when the process that started it is gone.
    """
    use_uvloop()
    keep_contexts()
    asyncio.run(_run(settings, supervised))


async def _run(settings: Settings, supervised: bool) -> None:
    stop = asyncio.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(sign, stop.set)
    log.info("Gets detection ready, which takes a while the first time")
    await asyncio.to_thread(warm_up)
    await asyncio.to_thread(scoring.load, settings)
    collect_rarely()
    worker = Worker(settings)
    web = None
    if settings.web_port is not None:
        web = WebServer(settings.web_host, settings.web_port, worker.instruments.registry, worker.health)
        log.info("Metrics at http://%s:%d/metrics", settings.web_host, web.port)
    following = asyncio.create_task(_follow_parent()) if supervised else None
    try:
        await _until(stop, worker.app)
    finally:
        if following is not None:
            following.cancel()
        if web is not None:
            web.stop()
    if worker.app.crash_reason is not None:
        raise worker.app.crash_reason


async def _until(stop: asyncio.Event, app: faust.App) -> None:
    """Run the app until it is told to stop, or crashes."""
    stopped = asyncio.create_task(stop.wait())
    started = asyncio.create_task(app.start())
    try:
        await asyncio.wait([started, stopped], return_when=asyncio.FIRST_COMPLETED)
        if started.done():
            started.result()
            crashed = asyncio.create_task(app.wait_until_stopped())
            await asyncio.wait([crashed, stopped], return_when=asyncio.FIRST_COMPLETED)
    finally:
        await app.stop()


async def _follow_parent() -> None:
    parent = Parent()
    while True:
        parent.follow()
        await asyncio.sleep(1.0)
