"""Which process is the broker of a directory, whether it lives, and how it is ended."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from streams.broker.config import Layout
from streams.broker.errors import DirectoryInUse

STOP_WITHIN_S: Final = 20.0
"""A broker that has not stopped by itself in that time is killed."""

POLL_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class Running:
    """A broker process that lives: its id and the address it serves."""

    pid: int
    bootstrap_servers: str


def note_running(layout: Layout, running: Running) -> None:
    """Write down which process serves this directory."""
    scratch = layout.state.with_suffix(".tmp")
    scratch.write_text(json.dumps(asdict(running)) + "\n", "utf-8")
    scratch.replace(layout.state)


def find_running(layout: Layout) -> Running | None:
    """The broker of this directory; None when none was started, or when what was written down is stale."""
    try:
        running = Running(**json.loads(layout.state.read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return running if is_broker(running.pid, layout) else None


def is_broker(pid: int, layout: Layout) -> bool:
    """Whether that process is alive and the broker of this directory, not another that got its number."""
    return str(layout.settings) in _command_line(pid)


def _command_line(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        pass
    if Path("/proc/self").exists() or shutil.which("ps") is None:
        return []
    shown = subprocess.run(
        ["ps", "-ww", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return shown.stdout.split()


@contextmanager
def locked(layout: Layout) -> Iterator[int]:
    """The directory's lock, as a file descriptor; a process that inherits it holds on to the lock.

    Raises DirectoryInUse when another holds it.
    """
    lock = os.open(layout.lock, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _take(lock, layout)
        yield lock
    finally:
        os.close(lock)


def _take(lock: int, layout: Layout) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise DirectoryInUse(f"{layout.root}: another broker uses this data directory") from error


def end(layout: Layout) -> bool:
    """Stop the broker of this directory, cleanly when it lets itself; False when none ran."""
    running = find_running(layout)
    if running is not None:
        os.kill(running.pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_WITHIN_S
        while is_broker(running.pid, layout) and time.monotonic() < deadline:
            time.sleep(POLL_S)
        if is_broker(running.pid, layout):
            os.kill(running.pid, signal.SIGKILL)
    layout.state.unlink(missing_ok=True)
    return running is not None


def watch_over(pid: int) -> "subprocess.Popen[bytes]":
    """A guard that ends process `pid` when this one is gone, however it went."""
    return subprocess.Popen(
        ["sh", "-c", 'cat >/dev/null; kill "$0"', str(pid)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def dismiss(guard: "subprocess.Popen[bytes]") -> None:
    """Let the guard go without its ending anything."""
    guard.kill()
    if guard.stdin is not None:
        guard.stdin.close()
    guard.wait()
