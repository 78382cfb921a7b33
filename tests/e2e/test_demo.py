"""The demonstration as a process: asked to end, it takes its worker and its broker along."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from streams.broker import Broker
from streams.topics import _partition_counts


def test_ctrl_c_ends_the_worker_and_removes_topics_and_files(kafka: Broker, tmp_path: Path) -> None:
    data = tmp_path / "data"
    words = ["demo", "--small", "--bootstrap", kafka.bootstrap_servers, "--data-dir", str(data)]
    demo = subprocess.Popen(
        [sys.executable, "-m", "streams.cli.main", *words, "--out", str(tmp_path / "report.html")],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline_s = time.monotonic() + 120
    while not (started := list(data.glob("demo-*/worker.log"))):
        assert demo.poll() is None, demo.stderr and demo.stderr.read()
        assert time.monotonic() < deadline_s, "no worker was started"
        time.sleep(0.1)
    name = started[0].parent.name
    demo.send_signal(signal.SIGINT)
    _, said = demo.communicate(timeout=90)
    assert demo.returncode == 130
    assert said.splitlines()[-1] == "servicetime: interrupted"
    assert list(data.iterdir()) == []
    assert not (tmp_path / "report.html").exists()
    deadline_s = time.monotonic() + 10
    while topics_of(kafka, name):  # brokers learn of it a moment later
        assert time.monotonic() < deadline_s, "topics are left"
    assert processes_of(name) == []


def topics_of(kafka: Broker, name: str) -> list[str]:
    from kafka.admin import KafkaAdminClient

    admin = KafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
    try:
        return [topic for topic in _partition_counts(admin) if topic.startswith(name)]
    finally:
        admin.close()


def processes_of(name: str) -> list[str]:
    if not Path("/proc/self/cmdline").exists():
        pytest.skip("only Linux tells command lines of processes in /proc")
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = file.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if name in command:
            found.append(command)
    return found
