"""Tile38: circle fences, then pipelined SETs of pings; the server binary is given by path."""

import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import msgspec

from streams.broker.probing import free_ports
from streams.files import read_fences
from streams.records.pings import PingRecord

PIPELINED: Final = 1_000
DETECTED: Final = ("DETECT", "enter,exit")
"""By default "outside" is told too: at every ping, of every fence."""


def rate(binary: str, pings: list[bytes], fences: str, most_fences: int = 10_000) -> float:
    """Pings a second that one connection sets."""
    decode = msgspec.json.Decoder(PingRecord).decode
    decoded = [decode(line) for line in pings]
    hooks = []
    for fence in list(read_fences(fences))[:most_fences]:
        circle = ("POINT", str(fence.lat), str(fence.lon), str(fence.radius_m or 50.0))
        hooks.append(command("SETCHAN", fence.fence_id, "NEARBY", "fleet", "FENCE", *DETECTED, *circle))
    sets = [command("SET", "fleet", p.driver_id, "POINT", str(p.lat), str(p.lon)) for p in decoded]
    with _server(binary) as (connection, replies):
        send(connection, replies, hooks)
        began_s = time.monotonic()
        send(connection, replies, sets)
        return len(sets) / (time.monotonic() - began_s)


def command(*words: str) -> bytes:
    """One command in the Redis protocol."""
    parts = [b"$%d\r\n%s\r\n" % (len(w.encode()), w.encode()) for w in words]
    return b"*%d\r\n%s" % (len(parts), b"".join(parts))


def send(connection: socket.socket, replies: Any, commands: list[bytes]) -> None:
    """Send commands, a thousand at a time. Raises RuntimeError when the server refuses one."""
    for first in range(0, len(commands), PIPELINED):
        part = commands[first : first + PIPELINED]
        connection.sendall(b"".join(part))
        for _ in part:
            reply = replies.readline()
            if reply[:1] in (b"-", b""):
                raise RuntimeError(f"Tile38 said: {reply.decode().strip()}")


@contextmanager
def _server(binary: str) -> Iterator[tuple[socket.socket, Any]]:
    (port,) = free_ports(1)
    with tempfile.TemporaryDirectory() as directory:
        words = [binary, "-h", "127.0.0.1", "-p", str(port), "-d", directory, "--appendonly", "no"]
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            with _connected(port) as connection, connection.makefile("rb") as replies:
                yield connection, replies
        finally:
            process.terminate()
            process.wait(20)


def _connected(port: int) -> socket.socket:
    for _ in range(100):
        try:
            return socket.create_connection(("127.0.0.1", port), 60)
        except OSError:
            time.sleep(0.1)
    raise RuntimeError("Tile38 did not start")
