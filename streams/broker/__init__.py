"""A Kafka broker for every machine: the configured one, one in Docker, or one embedded JVM."""

from streams.broker.choice import Broker, choose_broker
from streams.broker.embedded import EmbeddedBroker
from streams.broker.errors import BrokerError

__all__ = ["Broker", "BrokerError", "EmbeddedBroker", "choose_broker"]
