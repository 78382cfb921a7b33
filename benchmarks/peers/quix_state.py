"""Quix Streams keeping each driver's last position in its state: pings a second.

python -m benchmarks.peers.quix_state HOST:PORT TOPIC COUNT
"""

import sys
import tempfile
import time
from typing import Any
from uuid import uuid4

from quixstreams import Application


def main(bootstrap: str, topic: str, count: int) -> None:
    """Print the rate."""
    began_s = 0.0

    def keep(ping: dict[str, Any], state: Any) -> None:
        nonlocal began_s
        began_s = began_s or time.monotonic()
        state.set("last", [ping["lat"], ping["lon"], ping["ts"]])

    with tempfile.TemporaryDirectory() as directory:
        app = Application(
            broker_address=bootstrap,
            consumer_group=f"quix{uuid4().hex[:8]}",
            auto_offset_reset="earliest",
            state_dir=directory,
            loglevel=None,
        )
        pings = app.dataframe(app.topic(topic, value_deserializer="json"))
        pings.update(keep, stateful=True)
        app.run(count=count, timeout=60)
        print(count / (time.monotonic() - began_s))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
