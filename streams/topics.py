"""Every Kafka topic of the project: name, partitions, cleanup; created when missing, verified otherwise."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final

from geofence.errors import InvalidSetting
from streams.errors import Unavailable

DAY_MS: Final = 86_400_000
HOUR_MS: Final = 3_600_000

HISTORY_MS: Final = 14 * DAY_MS
"""How long every version of a geofence and of a driver's route stays readable, though the topics are
compacted: a restarted worker has to see the versions that held on the days it keeps."""

COMPACT: Final = {"cleanup.policy": "compact"}
WITH_HISTORY: Final = {
    **COMPACT,
    "min.compaction.lag.ms": str(HISTORY_MS),
    "delete.retention.ms": str(HISTORY_MS),
}
STATE: Final = {
    **COMPACT,
    "min.cleanable.dirty.ratio": "0.2",
    "segment.bytes": str(64 * 2**20),
    "segment.ms": str(HOUR_MS),
    "delete.retention.ms": str(6 * HOUR_MS),
    "max.message.bytes": str(8 * 2**20),
}
KEPT: Final = {"cleanup.policy": "delete"}


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic as it has to be."""

    name: str
    partitions: int
    config: dict[str, str] = field(default_factory=lambda: dict(KEPT))


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one deployment; `prefix` keeps several on one cluster apart.

    `app_id` names the consumer group and the state topic.
    """

    app_id: str = "servicetime"
    prefix: str = ""
    partitions: int = 4
    counts: Mapping[str, int] = field(default_factory=dict)
    """Partitions of the topics (by their names on the cluster) as they are; see `ensure_topics`."""

    def name(self, topic: str) -> str:
        """The contract's topic as it is called on the cluster."""
        return f"{self.prefix}{topic}"

    def bare(self, name: str) -> str:
        """The contract's name of a topic of the cluster."""
        return name.removeprefix(self.prefix)

    def count(self, topic: str) -> int:
        """How many partitions one of the contract's topics has."""
        return self.counts[self.name(topic)]

    @property
    def state(self) -> str:
        """Where the drivers' states and the positions they stand for are kept, by input partition."""
        return f"{self.app_id}-state"

    def all(self) -> list[Topic]:
        """Every topic, inputs first."""
        many = self.partitions
        wanted = [
            ("gps-pings", many, KEPT),
            ("device-fence-events", many, KEPT),
            ("routes", many, WITH_HISTORY),
            ("geofences", 1, WITH_HISTORY),
            ("weather", 1, KEPT),
            ("manual-records", 1, KEPT),
            ("service-times", many, COMPACT),
            ("geofence-events", many, KEPT),
            ("stop-predictions", many, COMPACT),
            ("route-predictions", many, COMPACT),
            ("anomalies", 1, COMPACT),
            ("model-events", 1, KEPT),
            ("dead-letters", 1, KEPT),
        ]
        topics = [Topic(self.name(name), count, dict(config)) for name, count, config in wanted]
        return [*topics, Topic(self.state, many, dict(STATE))]

    def together(self) -> list[str]:
        """The topics whose partitions of one number belong to one driver, so that their counts must agree."""
        return [*(self.name(t) for t in ("gps-pings", "device-fence-events", "routes")), self.state]


def ensure_topics(bootstrap: str, topics: Topics, replication: int = -1) -> Topics:
    """Create what is missing, verify the rest; the topics with the partition counts they have on the broker.

    `replication` -1 leaves it to the broker. Raises InvalidSetting when partition counts that must agree do
    not, and Unavailable when the broker refuses.
    """
    from kafka.errors import KafkaError, TopicAlreadyExistsError

    with _admin(bootstrap) as admin:
        there = _partition_counts(admin)
        pings = there.get(topics.name("gps-pings"))
        wanted = replace(topics, partitions=pings or topics.partitions).all()
        missing = {
            t.name: {"num_partitions": t.partitions, "replication_factor": replication, "configs": t.config}
            for t in wanted
            if t.name not in there
        }
        if missing:
            try:
                admin.create_topics(missing, wait_for_metadata=True)
            except TopicAlreadyExistsError:
                logging.getLogger(__name__).debug("another worker created topics at the same time")
                admin.wait_for_topics(list(missing))
            except KafkaError as error:
                raise Unavailable(f"the broker at {bootstrap} does not create topics: {error}") from error
        return _verified(_partition_counts(admin), topics)


def delete_topics(bootstrap: str, topics: Topics) -> None:
    """Remove every topic of a deployment that is there. Raises Unavailable."""
    from kafka.errors import KafkaError

    with _admin(bootstrap) as admin:
        there = _partition_counts(admin)
        try:
            admin.delete_topics([t.name for t in topics.all() if t.name in there])
        except KafkaError as error:
            raise Unavailable(f"the broker at {bootstrap} does not delete topics: {error}") from error


def _verified(there: dict[str, int], topics: Topics) -> Topics:
    pings = topics.name("gps-pings")
    for name in topics.together():
        if there.get(name) != there[pings]:
            raise InvalidSetting(
                f"topic {name} has {there.get(name, 0)} partitions and {pings} has {there[pings]}; "
                "they have to agree, as one driver's records meet in partitions of one number"
            )
    return replace(topics, partitions=there[pings], counts={t.name: there[t.name] for t in topics.all()})


def _partition_counts(admin: Any) -> dict[str, int]:
    return {t["name"]: len(t["partitions"]) for t in admin.describe_topics() if t.get("error_code", 0) == 0}


@contextmanager
def _admin(bootstrap: str) -> Iterator[Any]:
    from kafka.admin import KafkaAdminClient
    from kafka.errors import KafkaError

    try:
        client = KafkaAdminClient(
            bootstrap_servers=bootstrap.split(","), bootstrap_timeout_ms=15_000, request_timeout_ms=30_000
        )
    except (KafkaError, OSError, ValueError, TimeoutError) as error:
        raise Unavailable(f"no Kafka answers at {bootstrap}: {error}") from error
    try:
        yield client
    finally:
        client.close()
