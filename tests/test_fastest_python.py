"""Which Python the environment is made with: the first of the PATH, or one that is clearly faster."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CHOOSE = Path(__file__).parents[1] / "requirements" / "fastest_python.py"


@pytest.fixture
def python(tmp_path):
    """Makes a Python that says of itself what it is given to say; its directory is on the PATH."""

    def make(directory, name, said):
        place = tmp_path / directory / name
        place.parent.mkdir(exist_ok=True)
        place.write_text(f"#!/bin/sh\n{said}\n")
        place.chmod(0o755)
        return str(place)

    return make


def chosen(tmp_path, *given):
    path = os.pathsep.join(str(tmp_path / d) for d in ("a", "b"))
    words = [sys.executable, str(CHOOSE), *given]
    return subprocess.run(words, env={"PATH": path}, capture_output=True, text=True, timeout=60)


def test_the_first_unless_another_of_its_version_is_clearly_faster(tmp_path, python):
    first = python("a", "python3", "echo 3 11 1.0")
    python("a", "python3.12", "echo 3 12 0.1")
    python("b", "python3", "echo 3 11 0.9")
    assert chosen(tmp_path).stdout.strip() == first
    faster = python("b", "python3.11", "echo 3 11 0.8")
    assert chosen(tmp_path).stdout.strip() == faster


def test_what_is_too_old_or_lacks_a_part_is_left_out(tmp_path, python):
    python("a", "python3", "echo 3 10 0.1")
    python("a", "python3.11", "exit 1")
    good = python("b", "python3.12", "echo 3 12 1.0")
    assert chosen(tmp_path).stdout.strip() == good


def test_one_that_is_given_is_taken_if_it_will_do(tmp_path, python):
    given, old = python("a", "own", "echo 3 11 9.0"), python("a", "old", "echo 3 10 1.0")
    python("b", "python3", "echo 3 11 1.0")
    assert chosen(tmp_path, given).stdout.strip() == given
    refused = chosen(tmp_path, old)
    assert refused.returncode == 1
    assert "Python 3.11 or newer" in refused.stderr


def test_the_probe_runs_in_a_real_python(tmp_path):
    assert chosen(tmp_path, sys.executable).stdout.strip() == sys.executable
