"""Stored machine code is not older than what it was made of."""

import subprocess
import sys

import pytest

from geofence.compiling import fingerprint, kernel
from geofence.decoding import extend

ENTRY = """
from kernels.middle import twice
from geofence.compiling import kernel

@kernel()
def entry(x):
    return twice(x) + 1.0
"""

MIDDLE = """
from geofence.compiling import kernel, lean
{imports}

@{decorator}()
def twice(x):
    return 2.0 * x + {constant}
"""

BY_NAME = "from kernels.constants import LEAST", "LEAST"
BY_MODULE = "from kernels import (\n    constants,\n)", "constants.LEAST"


@pytest.fixture(params=["kernel", "lean"])
def decorator(request):
    return request.param


@pytest.fixture(params=[BY_NAME, BY_MODULE])
def run(tmp_path, decorator, request):
    """A kernel that calls another file's, which uses a third's constant: run in a process of its own.

    Returns what it gives for 1.0, and how much of its code was stored. Of the files only the third is ever
    written anew, and Python keeps no bytecode of it.
    """
    imports, constant = request.param
    package = tmp_path / "kernels"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "entry.py").write_text(ENTRY)
    (package / "middle.py").write_text(MIDDLE.format(decorator=decorator, imports=imports, constant=constant))
    code = "from kernels.entry import entry; print(entry(1.0), sum(entry.stats.cache_hits.values()))"
    env = {"PYTHONPATH": f"{tmp_path}:{':'.join(sys.path)}", "PYTHONDONTWRITEBYTECODE": "1"}

    def entry_of_one(least):
        (package / "constants.py").write_text(f"LEAST = {least}\n")
        ran = subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, text=True, env=env
        )
        value, stored = ran.stdout.split()
        return float(value), int(stored)

    return entry_of_one


def test_code_is_made_anew_when_a_file_that_it_uses_by_way_of_another_has_changed(run):
    assert run(0.0) == (3.0, 0)
    assert run(0.0) == (3.0, 1)
    assert run(7.0) == (10.0, 0)
    assert run(7.0) == (10.0, 1)


def test_another_source_text_has_another_fingerprint():
    modules = ["geofence.cleaning", "geofence.motion", "geofence.decoding"]
    assert [fingerprint(m) for m in modules] == [fingerprint(m) for m in modules]
    assert len({fingerprint(m) for m in modules}) == 3


def test_a_kernel_closes_over_the_fingerprint_of_all_that_its_file_uses():
    cells = [c.cell_contents for c in extend.py_func.__closure__ or ()]
    assert cells == [fingerprint("geofence.decoding")]


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


@kernel()
def step(x):
    return 2.0 * x + 1.0
