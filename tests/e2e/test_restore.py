"""A worker's successor has the state of all drivers back."""

import json
import os
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from streams.broker import Broker
from tests.e2e.deployment import Deployment

DRIVERS: Final = int(os.environ.get("STORED_DRIVERS", "2000"))
PINGS: Final = 12
BACK: Final = re.compile(r"Holds partition \d+: (\d+) drivers back in (\S+) s")


def written(path: Path) -> Path:
    """Some minutes of that many drivers, each of whom drives a way of its own."""
    chance = random.Random(7)
    places = [(chance.uniform(46.0, 48.0), chance.uniform(7.0, 10.0)) for _ in range(DRIVERS)]
    with path.open("w") as stream:
        for n in range(PINGS):
            for number, (lat, lon) in enumerate(places):
                where = {"lat": round(lat + 0.001 * n, 6), "lon": round(lon + chance.gauss(0, 2e-5), 6)}
                ping = {"driver_id": f"d{number:06d}", "ts": 1_790_000_000 + 10 * n, **where, "accuracy_m": 5}
                stream.write(json.dumps(ping) + "\n")
    return path


@pytest.mark.timeout(300 + DRIVERS / 100)
def test_the_state_of_every_driver_is_back_after_a_kill(
    kafka: Broker, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    with Deployment(kafka.get_bootstrap_server(), tmp_path, partitions=4) as deployment:
        deployment.publish("--pings", str(written(tmp_path / "pings.jsonl")))
        worker = deployment.start_worker("--idle-s", "3600")
        everything = DRIVERS * PINGS
        deployment.wait_for(lambda: deployment.used() == everything, "reading pings", 90 + DRIVERS / 500)
        worker.kill()
        worker.wait()
        deployment.start_worker("--idle-s", "3600")
        deployment.wait_for(lambda: len(BACK.findall(deployment.log())) == 4, "taking over")
        back = [(int(drivers), float(took_s)) for drivers, took_s in BACK.findall(deployment.log())]
        record_property("drivers and seconds", back)
        assert sum(drivers for drivers, _ in back) == DRIVERS
        assert deployment.counts().used == everything
