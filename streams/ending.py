"""Being told to end by a signal, in a way that neither forking nor waiting for input can swallow.

A signal's handler ends the process by an exception. Python drops one that is raised in a hook of fork or in a
finalizer, compiled code turns it into another, and no handler runs while a system call goes on waiting: who
could be caught there asks here.
"""

import atexit
import gc
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from select import select
from typing import IO, Final, NoReturn

SIGNALS: Final[tuple[int, ...]] = (signal.SIGTERM, signal.SIGINT)
LOOK_S: Final = 0.2
"""So often a wait for input is left to see whether a signal came."""

_told: list[int] = []


def end_when_told() -> None:
    """Let SIGTERM end this process as an error does, so that what it began is cleared away."""
    signal.signal(signal.SIGTERM, _end)


def _end(number: int, _frame: object) -> NoReturn:
    _told.append(number)
    sys.exit(128 + number)


def end_if_told() -> None:
    """End this process if it has been told to and is still there."""
    if _told:
        sys.exit(128 + _told[0])


def leave(status: int) -> NoReturn:
    """End this process, which has done everything, without first taking apart what it holds.

    Modules, compiled code and columns are many: giving them back piece by piece takes a tenth of a second.
    """
    with suppress(OSError, ValueError):  # whoever read us has gone: Python says so as it ends
        if threading.active_count() == 1:
            atexit._run_exitfuncs()
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    gc.freeze()  # else all there is is looked through for cycles before the process ends
    sys.exit(status)


def wait_for(stream: IO[bytes]) -> None:
    """Return when the stream can be read from without waiting; ends the process when it is told to."""
    while not select([stream], [], [], LOOK_S)[0]:
        end_if_told()


@contextmanager
def undisturbed() -> Iterator[None]:
    """Signals that tell to end wait until the block has ended; only the main thread ever sees them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    handlers = {number: signal.signal(number, lambda n, _: came.append(n)) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for number in dict.fromkeys(came):
            signal.raise_signal(number)


def end_at_once() -> None:
    """A process that another one started ends with it, and when told by it, without more ado."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
