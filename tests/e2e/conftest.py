"""Topics of their own for tests that share a broker, and a day of a simulated town."""

import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from kafka.admin import KafkaAdminClient, NewTopic

from streams.broker import Broker


@pytest.fixture
def new_topic(kafka: Broker) -> Iterator[Callable[..., str]]:
    """Creates a topic with a name of its own and deletes it in the end: `new_topic(partitions=1, config)`."""
    admin = KafkaAdminClient(bootstrap_servers=kafka.get_bootstrap_server())
    made: list[str] = []

    def make(partitions: int = 1, config: dict[str, str] | None = None) -> str:
        name = f"test-{uuid.uuid4().hex[:12]}"
        admin.create_topics([NewTopic(name, partitions, 1, topic_configs=config or {})])
        made.append(name)
        return name

    yield make
    if made:
        admin.delete_topics(made)
    admin.close()


@dataclass(frozen=True)
class Town:
    """The files of a simulated town."""

    directory: Path

    @property
    def pings(self) -> Path:
        return self.directory / "pings.jsonl.gz"

    @property
    def fences(self) -> Path:
        return self.directory / "fences.geojson"

    @property
    def routes(self) -> Path:
        return self.directory / "routes.jsonl"

    @property
    def files(self) -> tuple[str, ...]:
        """What pings depend on, as options of `publish` and `replay`."""
        return "--fences", str(self.fences), "--routes", str(self.routes)


@pytest.fixture(scope="session")
def town(tmp_path_factory: pytest.TempPathFactory) -> Town:
    """A working day of ten drivers: some 33,000 pings, some 450 visits."""
    return simulated(tmp_path_factory.mktemp("town"), drivers=10)


def simulated(directory: Path, drivers: int, days: int = 1) -> Town:
    """A town with so many drivers, simulated for so many days."""
    words = ["--profile", "suburb", "--drivers", str(drivers), "--days", str(days), "--seed", "5"]
    subprocess.run(
        [sys.executable, "-m", "streams.cli.main", "simulate", "--out", str(directory), *words],
        check=True,
        capture_output=True,
    )
    return Town(directory)
