"""Which broker to use: the configured one, else one in Docker, else the embedded one."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Self

from streams.broker.config import Layout
from streams.broker.embedded import EmbeddedBroker
from streams.broker.errors import BrokerError, NotAnswering
from streams.broker.probing import cluster_at
from streams.broker.process import find_running

BROKER_DIR: Final = "broker"
"""Where, below --data-dir, the embedded broker lives."""

DOCKER_IMAGE: Final = "confluentinc/cp-kafka:7.9.2"
"""What testcontainers' KafkaContainer starts."""

DOCKER_ENVIRONMENT: Final = {
    "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
    "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
    "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
    "KAFKA_GROUP_MIN_SESSION_TIMEOUT_MS": "1000",
    "KAFKA_TRANSACTION_ABORT_TIMED_OUT_TRANSACTION_CLEANUP_INTERVAL_MS": "1000",
}


@dataclass(frozen=True)
class Broker:
    """A broker that answers; `stop` ends it if it was started for this purpose, and leaves it otherwise."""

    kind: Literal["configured", "docker", "embedded"]
    bootstrap_servers: str
    _stop: Callable[[], object] | None = None

    @property
    def started_here(self) -> bool:
        """Whether `stop` will end it."""
        return self._stop is not None

    def get_bootstrap_server(self) -> str:
        """The address, under the name that testcontainers' KafkaContainer has for it."""
        return self.bootstrap_servers

    def stop(self) -> None:
        """End what was started here."""
        if self._stop is not None:
            self._stop()

    def __enter__(self) -> Self:
        """It is started already."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End what was started here."""
        self.stop()


def choose_broker(
    bootstrap: str | None,
    data_dir: Path | str,
    *,
    docker: bool = True,
    answer_within_s: float = 10.0,
    on_download: Callable[[int, int], None] | None = None,
) -> Broker:
    """A broker that answers.

    In this order: `bootstrap` (HOST:PORT, comma-separated) if given; the embedded broker below `data_dir` if
    it runs already (`servicetime broker up`); one in Docker where an engine answers and testcontainers is
    installed (not if `docker` is False); an embedded one, started on any free port. Raises BrokerError with
    what to do.
    """
    if bootstrap:
        return _configured(bootstrap, answer_within_s)
    directory = Path(data_dir) / BROKER_DIR
    running = find_running(Layout(directory.absolute()))
    if running is not None:
        cluster_at(running.bootstrap_servers, answer_within_s)
        return Broker("embedded", running.bootstrap_servers)
    if docker and docker_answers():
        return _in_docker()
    return _embedded(directory, on_download)


def docker_answers() -> bool:
    """Whether testcontainers is installed and reaches a Docker engine."""
    try:
        from testcontainers.core.docker_client import DockerClient

        return bool(DockerClient().client.ping())
    except Exception:  # absent package, no engine, no permission: all mean that there is none for us
        return False


def _configured(bootstrap: str, within_s: float) -> Broker:
    try:
        cluster_at(bootstrap, within_s)
    except NotAnswering as error:
        raise NotAnswering(
            f"{error}; start it, or leave the bootstrap servers unset to get a broker"
        ) from error
    return Broker("configured", bootstrap)


def _in_docker() -> Broker:
    from testcontainers.community.kafka import KafkaContainer

    container = KafkaContainer(DOCKER_IMAGE).with_kraft()
    for name, value in DOCKER_ENVIRONMENT.items():
        container.with_env(name, value)
    try:
        container.start(timeout=120)
    except Exception as error:  # whatever Docker's client raises
        raise BrokerError(f"Docker cannot start {DOCKER_IMAGE}: {error}; see `servicetime doctor`") from error
    return Broker("docker", container.get_bootstrap_server(), container.stop)


def _embedded(directory: Path, on_download: Callable[[int, int], None] | None) -> Broker:
    broker = EmbeddedBroker(directory, on_download=on_download)
    try:
        broker.start()
    except BrokerError as error:
        raise type(error)(f"no broker: {error} (`servicetime doctor` tells what is missing)") from error
    return Broker("embedded", broker.bootstrap_servers, broker.stop)
