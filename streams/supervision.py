"""Several worker processes as one: they start together, and none goes on when one has died."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any, Final

from streams.errors import Unavailable

POLL_S: Final = 0.1
END_WITHIN_S: Final = 30.0


def run_processes(commands: Sequence[Sequence[str]]) -> None:
    """Run `servicetime` with each list of arguments until SIGTERM or SIGINT ends them all.

    Raises Unavailable when one ends by itself; the others are stopped first, with their last checkpoints.
    """
    stopping: list[int] = []
    for sign in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, lambda number, _frame: stopping.append(number))
    processes = [_start(arguments) for arguments in commands]
    try:
        while not stopping:
            for number, process in enumerate(processes, 1):
                if process.poll() is not None:
                    raise Unavailable(
                        f"worker process {number} of {len(processes)} ended with status "
                        f"{process.returncode}; the others were stopped"
                    )
            time.sleep(POLL_S)
    finally:
        _end(processes)


class Parent:
    """The process that started this one."""

    def __init__(self) -> None:
        self._id = os.getppid()

    def follow(self) -> None:
        """End this process, cleanly, if its parent is gone; to be called now and then."""
        if os.getppid() != self._id:
            os.kill(os.getpid(), signal.SIGTERM)


def _start(arguments: Sequence[str]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "streams.cli.main", *arguments],
        stdin=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C reaches them through us, once
    )


def _end(processes: Sequence["subprocess.Popen[Any]"]) -> None:
    for process in processes:
        if process.poll() is None:
            process.terminate()
    deadline_s = time.monotonic() + END_WITHIN_S
    for process in processes:
        try:
            process.wait(max(0.1, deadline_s - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
