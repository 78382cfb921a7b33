"""The files that an embedded broker reads: its settings and its (quiet) logging."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

HOST: Final = "127.0.0.1"

SETTINGS: Final = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    # Topics are created by who knows their partitions; a typing error must not create one.
    "auto.create.topics.enable": "false",
    "default.replication.factor": "1",
    # Internal topics: one copy, few partitions, since there is one machine.
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    # A group starts at once, and may notice a dead member quickly.
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    # Started again after a crash, the broker waits until its former self has timed out.
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    # Transactions left behind by a killed process end soon after their own timeout.
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
    # A small machine: few threads, and a cleaner that does not take a quarter of the heap.
    "num.network.threads": "2",
    "num.io.threads": "4",
    "background.threads": "2",
    "log.cleaner.dedupe.buffer.size": str(32 * 1024 * 1024),
    "log.cleaner.backoff.ms": "5000",
}
"""What every embedded broker has in common."""

LOGGING: Final = """\
status = ERROR
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{ISO8601} %p %m (%c)%n
rootLogger.level = WARN
rootLogger.appenderRef.out.ref = out
"""
"""Log4j: warnings and worse, to standard output, which goes to the log file."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the files of the broker in `root` lie."""

    root: Path

    @property
    def settings(self) -> Path:
        """Kafka's settings; their path in a command line tells which process is this broker."""
        return self.root / "server.properties"

    @property
    def logging(self) -> Path:
        """Log4j's settings."""
        return self.root / "log4j2.properties"

    @property
    def log(self) -> Path:
        """What the broker has to say, from its last start on."""
        return self.root / "broker.log"

    @property
    def former_log(self) -> Path:
        """The log of the start before."""
        return self.root / "broker.log.1"

    @property
    def state(self) -> Path:
        """Process id and address of the broker that runs, or ran."""
        return self.root / "broker.json"

    @property
    def lock(self) -> Path:
        """Locked as long as a broker runs here: two would ruin each other's data."""
        return self.root / "lock"

    @property
    def data(self) -> Path:
        """Kafka's own files: topics, offsets, metadata."""
        return self.root / "kafka"

    @property
    def identity(self) -> Path:
        """What Kafka writes when the data directory is formatted."""
        return self.data / "meta.properties"

    def cluster_id(self) -> str | None:
        """The id given when the data directory was formatted; None before that."""
        try:
            lines = self.identity.read_text("utf-8").splitlines()
        except FileNotFoundError:
            return None
        return next((line.split("=", 1)[1] for line in lines if line.startswith("cluster.id=")), None)

    def write(self, port: int, controller_port: int) -> None:
        """Write settings and logging for a broker on those ports of this machine."""
        self.data.mkdir(parents=True, exist_ok=True)
        settings = {
            **SETTINGS,
            "listeners": f"PLAINTEXT://{HOST}:{port},CONTROLLER://{HOST}:{controller_port}",
            "advertised.listeners": f"PLAINTEXT://{HOST}:{port}",
            "controller.quorum.voters": f"1@{HOST}:{controller_port}",
            "log.dirs": _escaped(self.data),
        }
        self.settings.write_text("".join(f"{key}={value}\n" for key, value in settings.items()), "utf-8")
        self.logging.write_text(LOGGING, "utf-8")


def _escaped(path: Path) -> str:
    """The path as a Java properties file wants it: ASCII, backslashes doubled."""
    units = str(path).encode("utf-16-be")
    codes = [int.from_bytes(units[i : i + 2]) for i in range(0, len(units), 2)]
    return "".join(chr(code) if 32 < code < 127 and code != ord("\\") else f"\\u{code:04x}" for code in codes)
