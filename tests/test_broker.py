"""Kafka's archives, the files of a broker, and what is told apart before any JVM is started."""

import hashlib
import json
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from streams.broker import BrokerError, EmbeddedBroker, choose_broker, jars
from streams.broker.config import Layout
from streams.broker.embedded import new_cluster_id
from streams.broker.errors import DirectoryInUse, DownloadFailed, NotAnswering, PortInUse
from streams.broker.process import Running, end, find_running, locked, note_running

ONE = "org.example:one:1.0"
TWO = "org.example:two:2.0"
PINS = jars.Pins("4.0.0", {name: hashlib.sha256(name.encode()).hexdigest() for name in (ONE, TWO)})


class Repository:
    """A Maven repository on this machine; a file holds its own coordinates."""

    def __init__(self, root: Path) -> None:
        handler = partial(QuietHandler, directory=str(root))
        self.root = root
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.urls = {"here": f"http://127.0.0.1:{self.server.server_port}"}
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        for name in (ONE, TWO):
            self.put(name, name.encode())

    def put(self, name: str, content: bytes) -> None:
        group, artifact, version = name.split(":")
        directory = self.root / group.replace(".", "/") / artifact / version
        directory.mkdir(parents=True, exist_ok=True)
        (directory / f"{artifact}-{version}.jar").write_bytes(content)

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    opened = Repository(tmp_path / "repository")
    yield opened
    opened.close()


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_every_archive_is_pinned_and_the_clients_have_the_brokers_version():
    pins = jars.pinned()
    assert len(pins.sha256) > 40
    assert all(len(digest) == 64 for digest in pins.sha256.values())
    of_kafka = {n.rsplit(":", 1)[1] for n in pins.sha256 if n.startswith("org.apache.kafka:")}
    assert of_kafka == {pins.kafka_version}
    assert f"org.apache.kafka:kafka-clients:{pins.kafka_version}" in pins.sha256


def test_archives_are_fetched_once(tmp_path, repository):
    told: list[tuple[int, int]] = []
    fetch = partial(jars.class_path, pins=PINS, directory=tmp_path / "cache", repositories=repository.urls)
    first = fetch(on_progress=lambda done, total: told.append((done, total)))
    assert [path.name for path in first] == ["one-1.0.jar", "two-2.0.jar"]
    assert [path.read_bytes() for path in first] == [ONE.encode(), TWO.encode()]
    assert told == [(1, 2), (2, 2)]
    repository.close()
    assert fetch(on_progress=lambda *_: pytest.fail("fetched again")) == first


def test_a_damaged_archive_is_fetched_again(tmp_path, repository):
    fetch = partial(jars.class_path, pins=PINS, directory=tmp_path / "cache", repositories=repository.urls)
    one, _ = fetch()
    one.write_bytes(b"half of i")
    assert jars.missing(PINS, tmp_path / "cache") == [ONE]
    fetch()
    assert one.read_bytes() == ONE.encode()


def test_an_archive_that_is_not_the_pinned_one_is_refused_by_name(tmp_path, repository):
    repository.put(TWO, b"something else")
    cache = tmp_path / "cache"
    with pytest.raises(DownloadFailed, match=r"two-2\.0\.jar of Apache Kafka 4\.0\.0: .*SHA-256"):
        jars.class_path(pins=PINS, directory=cache, repositories=repository.urls)
    assert [path.name for path in cache.iterdir()] == ["one-1.0.jar"]


def test_a_repository_that_does_not_answer_is_one_clear_error(tmp_path, repository):
    repository.close()
    with pytest.raises(DownloadFailed, match=r"cannot fetch \w+-\d\.0\.jar .*servicetime doctor"):
        jars.class_path(pins=PINS, directory=tmp_path / "cache", repositories=repository.urls)


def test_archives_lie_below_the_users_cache_directory(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert jars.cache_dir() == Path(f"/somewhere/servicetime/kafka-{jars.pinned().kafka_version}")


def test_a_port_in_use_is_told_before_anything_is_fetched(tmp_path, monkeypatch, taken_port):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(PortInUse, match=f"port {taken_port} is in use"):
        EmbeddedBroker(tmp_path / "broker", taken_port).start()
    assert not (tmp_path / "cache").exists()


def test_a_directory_that_cannot_be_made_is_told_by_name(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BrokerError, match=r"file/broker: cannot keep data there"):
        EmbeddedBroker(tmp_path / "file" / "broker").start()


def test_a_comma_in_the_directory_is_refused_since_kafka_would_split_there(tmp_path):
    with pytest.raises(BrokerError, match="comma"):
        EmbeddedBroker(tmp_path / "a,b").start()


def test_there_is_no_address_before_a_port_is_known(tmp_path):
    with pytest.raises(BrokerError, match="before it is started"):
        _ = EmbeddedBroker(tmp_path).bootstrap_servers
    assert EmbeddedBroker(tmp_path, 19092).bootstrap_servers == "127.0.0.1:19092"


def test_the_settings_are_plain_ascii_with_one_value_a_key(tmp_path):
    layout = Layout(tmp_path / "Zustände 1\\x")
    layout.write(19092, 19093)
    lines = layout.settings.read_text("ascii").splitlines()
    settings = dict(line.split("=", 1) for line in lines)
    assert len(settings) == len(lines)
    assert settings["auto.create.topics.enable"] == "false"
    assert settings["listeners"] == "PLAINTEXT://127.0.0.1:19092,CONTROLLER://127.0.0.1:19093"
    assert settings["log.dirs"].endswith("/Zust\\u00e4nde\\u00201\\u005cx/kafka")


@pytest.mark.parametrize("content", [None, "", "{", "[]", '{"pid": 1}', '{"pid": 1, "other": 2}'])
def test_no_broker_is_found_where_nothing_usable_is_written_down(tmp_path, content):
    if content is not None:
        (tmp_path / "broker.json").write_text(content)
    assert find_running(Layout(tmp_path)) is None


def test_another_program_with_the_brokers_former_process_id_is_left_alone(tmp_path):
    layout = Layout(tmp_path)
    note_running(layout, Running(os.getpid(), "127.0.0.1:19092"))
    assert json.loads(layout.state.read_text())["pid"] == os.getpid()
    assert find_running(layout) is None
    assert end(layout) is False
    assert not layout.state.exists()


def test_a_directory_is_locked_while_a_process_that_inherited_the_lock_lives(tmp_path):
    layout = Layout(tmp_path)
    with locked(layout) as lock:
        heir = subprocess.Popen(["sleep", "60"], pass_fds=(lock,))
    with pytest.raises(DirectoryInUse, match=f"{tmp_path}: another broker"), locked(layout):
        pass
    heir.kill()
    heir.wait()
    with locked(layout):
        pass


def test_configured_servers_that_do_not_answer_are_named(tmp_path, repository):
    repository.close()
    address = repository.urls["here"].removeprefix("http://")
    with pytest.raises(NotAnswering, match=f"no Kafka answers at {address}.*unset"):
        choose_broker(address, tmp_path, answer_within_s=0.5)


def test_no_cluster_id_looks_like_an_option_of_kafka_s_tools() -> None:
    assert not any(new_cluster_id().startswith("-") for _ in range(2_000))
