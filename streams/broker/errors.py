"""What can go wrong while a broker is fetched, started, found or stopped."""

from streams.errors import Unavailable


class BrokerError(Unavailable):
    """Base: no broker, for a reason that the message states together with what to do."""


class DownloadFailed(BrokerError):
    """A file of Apache Kafka could not be fetched, or is not the file that was pinned."""


class PortInUse(BrokerError):
    """Another program listens on the port that was asked for."""


class DirectoryInUse(BrokerError):
    """Another broker runs on the same data directory."""


class NotAnswering(BrokerError):
    """A broker does not answer at its address."""
