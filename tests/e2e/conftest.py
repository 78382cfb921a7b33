"""Topics of their own for tests that share a broker."""

import uuid
from collections.abc import Callable, Iterator

import pytest
from kafka.admin import KafkaAdminClient, NewTopic

from streams.broker import Broker


@pytest.fixture
def new_topic(kafka: Broker) -> Iterator[Callable[..., str]]:
    """Creates a topic with a name of its own and deletes it in the end: `new_topic(partitions=1)`."""
    admin = KafkaAdminClient(bootstrap_servers=kafka.get_bootstrap_server())
    made: list[str] = []

    def make(partitions: int = 1) -> str:
        name = f"test-{uuid.uuid4().hex[:12]}"
        admin.create_topics([NewTopic(name, partitions, 1)])
        made.append(name)
        return name

    yield make
    if made:
        admin.delete_topics(made)
    admin.close()
