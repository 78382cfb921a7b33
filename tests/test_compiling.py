"""Stored machine code is not older than what it was made of."""

import subprocess
import sys

from geofence import cleaning, motion, speeds
from geofence.compiling import kernel, sources
from geofence.decoding import extend


def test_another_source_text_has_another_fingerprint():
    assert sources(cleaning, motion) == sources(cleaning, motion)
    assert len({sources(cleaning), sources(motion), sources(cleaning, motion)}) == 3


def test_a_kernel_that_calls_others_files_closes_over_their_fingerprint():
    cells = [c.cell_contents for c in extend.py_func.__closure__ or ()]
    assert cells == [sources(cleaning, motion, speeds)]


def test_a_kernel_runs_without_compiling_too():
    """As tests under a debugger do."""
    assert step(2.0) == step.py_func(2.0) == 5.0


def test_numba_is_had_ready_without_scipy_which_can_be_used_all_the_same():
    code = (
        "import sys; from geofence import compiling; compiling.load();"
        "from streams.warm_up import warm_up; warm_up(); assert 'scipy.linalg' not in sys.modules;"
        "from scipy.linalg import det; assert round(det([[2.0, 0.0], [0.0, 3.0]])) == 6"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@kernel(cleaning)
def step(x):
    return 2.0 * x + 1.0
