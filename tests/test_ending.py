"""A process that is told to end does, wherever that finds it."""

import os
import signal
import subprocess
import sys

import pytest

from streams.ending import undisturbed

SWALLOWED = """
import os, signal
from streams.ending import end_when_told, wait_for

class Dropped:
    def __del__(self):
        signal.raise_signal(signal.SIGTERM)  # an exception raised here is dropped

end_when_told()
Dropped()
print("still here", flush=True)
wait_for(os.fdopen(os.pipe()[0], "rb"))
"""


class Told(Exception):
    pass


@pytest.fixture
def raising(monkeypatch):
    def raise_told(_number, _frame):
        raise Told

    before = signal.signal(signal.SIGTERM, raise_told)
    yield raise_told
    signal.signal(signal.SIGTERM, before)


def test_who_waits_for_input_ends_though_the_exception_was_dropped():
    done = subprocess.run([sys.executable, "-c", SWALLOWED], capture_output=True, check=False, timeout=60)
    assert (done.stdout, done.returncode) == (b"still here\n", 128 + signal.SIGTERM)
    assert b"Exception ignored" in done.stderr


def test_a_signal_waits_until_the_block_has_ended(raising):
    done = []

    def work():
        with undisturbed():
            os.kill(os.getpid(), signal.SIGTERM)
            done.append("all of it")

    with pytest.raises(Told):
        work()
    assert done == ["all of it"]
    assert signal.getsignal(signal.SIGTERM) is raising


def test_without_a_signal_nothing_happens(raising):
    with undisturbed():
        pass
    assert signal.getsignal(signal.SIGTERM) is raising


LEAVE = """
import atexit, sys, threading, time
from streams.ending import leave
atexit.register(lambda: print("at exit"))
def late():
    time.sleep(0.3)
    print("thread")
if sys.argv[1] == "thread":
    threading.Thread(target=late).start()
sys.stdout.write("begun ")
leave(3)
"""


@pytest.mark.parametrize(
    ("kind", "said"), [("alone", "begun at exit\n"), ("thread", "begun thread\nat exit\n")]
)
def test_leaving_writes_what_is_left_and_waits_for_threads(kind, said):
    ended = subprocess.run(
        [sys.executable, "-c", LEAVE, kind], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.stdout, ended.stderr, ended.returncode) == (said, "", 3)
