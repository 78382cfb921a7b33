"""Compiled code never reads or writes beside an array: with every index checked it tells the same."""

import os
import subprocess
import sys

from geofence.engine import Engine
from geofence.fences import FenceSet
from simulation.recording import simulate

TOWNS = ("dense", "hostile", "no-route")


def told(profile: str) -> str:
    """Everything that is told of a small town's day."""
    made = simulate(profile, 3, 1, 5)
    engine = Engine(fences=FenceSet(made.fences))
    outputs = [o for route in made.routes for o in engine.put_route(route)]
    return repr([*outputs, *engine.feed(made.pings), *engine.settle()])


def test_towns_are_the_same_with_every_index_checked(tmp_path):
    code = "import sys; from tests.test_bounds import told; [print(told(p)) for p in sys.argv[1:]]"
    checked = subprocess.run(
        [sys.executable, "-c", code, *TOWNS],
        env={**os.environ, "NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr
    assert checked.stdout.splitlines() == [told(profile) for profile in TOWNS]
