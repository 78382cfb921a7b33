"""An ordinary Faust agent that keeps each driver's last position in a table: pings a second.

python -m benchmarks.peers.faust_table HOST:PORT TOPIC COUNT
"""

import os
import sys
import tempfile
import time
from typing import Any
from uuid import uuid4

import faust


def main(bootstrap: str, topic: str, count: int) -> None:
    """Print the rate and end."""
    with tempfile.TemporaryDirectory() as directory:
        app = faust.App(
            f"faust{uuid4().hex[:8]}",
            broker=f"kafka://{bootstrap}",
            store="memory://",
            datadir=directory,
            topic_partitions=4,
            topic_replication_factor=1,
            consumer_auto_offset_reset="earliest",
            web_enabled=False,
        )
        last = app.Table("last", default=list, partitions=4)
        seen = 0
        began_s = 0.0

        async def agent(stream: Any) -> None:
            nonlocal seen, began_s
            async for ping in stream:
                began_s = began_s or time.monotonic()
                last[ping["driver_id"]] = [ping["lat"], ping["lon"], ping["ts"]]
                seen += 1
                if seen == count:
                    os.write(1, f"\n{count / (time.monotonic() - began_s)}\n".encode())  # print goes to a log
                    os._exit(0)

        app.agent(app.topic(topic, value_serializer="json"))(agent)
        worker = faust.Worker(app, loglevel="CRITICAL")
        worker.execute_from_commandline()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
