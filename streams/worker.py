"""Runs one worker process from start to a clean end: signals, logging, the loop."""

import asyncio
import logging
import signal
import sys
from contextlib import suppress
from typing import Final

from streams.app import Worker
from streams.settings import Settings

FORMAT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"
QUIET: Final = ("faust", "mode", "aiokafka", "kafka")
"""Libraries whose everyday news is not a user's."""


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


def run_worker(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT, then end with a last checkpoint. Raises what stopped it otherwise."""
    use_uvloop()
    asyncio.run(_run(settings))


async def _run(settings: Settings) -> None:
    app = Worker(settings).app
    wanted_end = asyncio.Event()
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sign, wanted_end.set)
    ended = asyncio.create_task(wanted_end.wait())
    started = asyncio.create_task(app.start())
    try:
        await asyncio.wait([started, ended], return_when=asyncio.FIRST_COMPLETED)
        if started.done():
            started.result()
            crashed = asyncio.create_task(app.wait_until_stopped())
            await asyncio.wait([crashed, ended], return_when=asyncio.FIRST_COMPLETED)
    finally:
        await app.stop()
    if app.crash_reason is not None:
        raise app.crash_reason
