"""Nothing is left to compile once a process is warm: a first visit is as quick as any other."""

import subprocess
import sys

FEEDS_AFTER_WARMING_UP = """
import sys
import numba.core.registry
import numpy as np
from benchmarks.cases import recorded, simulated
from geofence.engine import Engine
from geofence.fences import FenceSet
from streams.warm_up import warm_up

def compiled():
    modules = [m for n, m in list(sys.modules.items()) if n.startswith(("geofence.", "streams."))]
    found = {f"{m.__name__}.{n}": k for m in modules for n, k in vars(m).items()}
    kernels = {n: k for n, k in found.items() if isinstance(k, numba.core.registry.CPUDispatcher)}
    return {(n, str(s)) for n, k in kernels.items() for s in k.signatures}

warm_up()
before = compiled()
for case in (recorded(), *(simulated(p, 3, 2, 1) for p in ("dense", "hostile", "no-route"))):
    engine = Engine(None, FenceSet(case.fences))
    for route in case.routes:
        engine.put_route(route)
    number = np.arange(len(case.pings))
    for begin in range(0, min(len(number), 6_000), 1_000):
        engine.feed(case.pings.select((number >= begin) & (number < begin + 1_000)))
    engine.settle()
assert len(before) > 20
print(*sorted(compiled() - before), sep="\\n", end="")
"""


def test_real_days_find_everything_compiled():
    done = subprocess.run([sys.executable, "-c", FEEDS_AFTER_WARMING_UP], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
