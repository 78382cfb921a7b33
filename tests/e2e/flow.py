"""Pings that flow while a test goes on, and the comparison that follows: with a replay, record for record."""

import json
import subprocess
import sys
from pathlib import Path

from streams.records import parse_time
from tests.e2e.deployment import Deployment, as_decided, lines_of, replayed


class Flow:
    """Publishes pings in the background, in the order of their time, within so many seconds."""

    def __init__(self, deployment: Deployment, pings: Path, lasts_s: float) -> None:
        lines = lines_of(pings)
        times = [parse_time(json.loads(line)["ts"]) / 1000 for line in lines]
        self.messages = len(lines)
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "streams.cli.main", "publish", *deployment.named),
                *("--pings", str(pings), "--speed", str(max(1.0, (max(times) - min(times)) / lasts_s))),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    @property
    def goes_on(self) -> bool:
        return self._process.poll() is None

    def wait(self) -> None:
        assert self._process.wait(180) == 0


def nothing_differs(deployment: Deployment, pings: Path, tmp_path: Path, *files: str) -> None:
    """The workers' final records are those of a replay of the same files, and no ping is missing."""
    messages = deployment.sent()
    assert messages >= len(lines_of(pings))
    deployment.wait_until_quiet(messages)
    expected = replayed(tmp_path, *files, "--pings", str(pings))
    assert len(expected) > 100
    found = as_decided(deployment.visits())
    assert sorted(found) == sorted(expected)
    differing = {key for key, visit in as_decided(expected).items() if found[key] != visit}
    assert not differing, [(found[key], expected[key]) for key in sorted(differing)][:3]
    counts = deployment.counts()
    assert (counts.used + counts.duplicate, counts.too_late, counts.dead) == (messages, 0, 0)
