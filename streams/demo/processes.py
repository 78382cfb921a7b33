"""The demonstration's worker: `servicetime worker` as a process of its own, asked by its metrics."""

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.error import URLError
from urllib.request import urlopen

from streams.broker.probing import free_ports
from streams.errors import Unavailable

POLL_S: Final = 0.25
PATIENCE_S: Final = 240.0
"""So long nothing may happen before the demonstration gives up."""

END_WITHIN_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class State:
    """What a worker has told: pings taken (used, duplicate or late), records it could not use, lag, rest."""

    taken: int = 0
    dead: int = 0
    lag: int = 0
    ready: bool = False
    settled: bool = False

    @property
    def messages(self) -> int:
        """Messages that have ended somewhere."""
        return self.taken + self.dead


class WorkerProcess:
    """Runs `servicetime worker` with these arguments until the block ends; its log goes to a file."""

    def __init__(self, arguments: Sequence[str], log: Path) -> None:
        self._arguments = arguments
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._url = ""

    def __enter__(self) -> Self:
        """Start it; it is at work when `state` tells so."""
        (port,) = free_ports(1)
        self._url = f"http://127.0.0.1:{port}/metrics"
        words = ["worker", *self._arguments, "--web-port", str(port), "--supervised"]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "streams.cli.main", *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches it through us, in the right order
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Have it commit and end; by force when it does not."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.wait(END_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def state(self) -> State:
        """What it tells right now. Raises Unavailable when it has ended."""
        self.check()
        with suppress(URLError, OSError), urlopen(self._url, timeout=5) as answer:
            return read_state(answer.read().decode())
        return State()

    def check(self) -> None:
        """Raises Unavailable, with what it said last, when it has ended."""
        assert self._process is not None
        status = self._process.poll()
        if status is not None:
            raise Unavailable(f"the worker ended with status {status}: {self._last_words()}")

    def wait_for(self, ready: Callable[[], bool], progress: Callable[[], object], what: str) -> None:
        """Return when `ready`. Raises Unavailable when it ends, or `progress` stays the same for too long."""
        seen, since_s = progress(), time.monotonic()
        while not ready():
            self.check()
            now = progress()
            if now != seen:
                seen, since_s = now, time.monotonic()
            elif time.monotonic() - since_s > PATIENCE_S:
                raise Unavailable(
                    f"{what}: nothing has happened for {PATIENCE_S:.0f} s; the worker said last: "
                    f"{self._last_words()}"
                )
            time.sleep(POLL_S)

    def _last_words(self) -> str:
        lines = self._log.read_text("utf-8", errors="replace").splitlines()
        return next((line for line in reversed(lines) if line.strip()), "nothing")


def read_state(metrics: str) -> State:
    """The state that a page of `/metrics` tells."""
    from prometheus_client.parser import text_string_to_metric_families

    sums: dict[str, float] = {}
    ready: list[bool] = []
    settled: list[bool] = []
    for family in text_string_to_metric_families(metrics):
        for sample in family.samples:
            sums[sample.name] = sums.get(sample.name, 0.0) + sample.value
            if sample.name == "servicetime_partition_ready":
                ready.append(sample.value == 1)
            if sample.name == "servicetime_partition_settled":
                settled.append(sample.value == 1)
    return State(
        taken=round(sums.get("servicetime_pings_total", 0)),
        dead=round(sums.get("servicetime_dead_letters_total", 0)),
        lag=round(sums.get("servicetime_lag_messages", 0)),
        ready=bool(ready) and all(ready),
        settled=bool(settled) and all(settled),
    )
