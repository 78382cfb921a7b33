"""Asking the network: which ports are free, what listens, which Kafka answers."""

import logging
import socket

from streams.broker.config import HOST
from streams.broker.errors import NotAnswering


def port_is_free(port: int) -> bool:
    """Whether a server could listen on that port of this machine now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def free_ports(count: int) -> list[int]:
    """Different ports that nobody listens on now."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind((HOST, 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def listens(address: str) -> bool:
    """Whether something accepts connections at host:port."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=2).close()
    except (OSError, ValueError):
        return False
    return True


def cluster_at(bootstrap_servers: str, within_s: float = 10.0) -> str:
    """The id of the Kafka cluster that answers there. Raises NotAnswering."""
    from kafka.admin import KafkaAdminClient
    from kafka.errors import KafkaError

    logging.getLogger("kafka").addHandler(logging.NullHandler())
    try:
        client = KafkaAdminClient(
            bootstrap_servers=bootstrap_servers.split(","),
            bootstrap_timeout_ms=int(within_s * 1000),
            request_timeout_ms=int(within_s * 1000),
        )
        try:
            return str(client.describe_cluster()["cluster_id"])
        finally:
            client.close()
    except (KafkaError, OSError, ValueError, TimeoutError) as error:
        raise NotAnswering(f"no Kafka answers at {bootstrap_servers}: {error}") from error
