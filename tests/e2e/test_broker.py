"""Real brokers: transactions, data that outlives stops and crashes, conflicts, and the command line."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic
from kafka.errors import KafkaError

from streams.broker import EmbeddedBroker, choose_broker
from streams.broker.config import Layout
from streams.broker.errors import DirectoryInUse, PortInUse
from streams.broker.probing import cluster_at, free_ports, listens
from streams.broker.process import is_broker
from streams.cli.main import run


@pytest.fixture(scope="module")
def broker(own_broker, tmp_path_factory):
    return own_broker(tmp_path_factory.mktemp("Daten – größer als nötig"))


def create(bootstrap: str, *topics: str) -> None:
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    admin.create_topics([NewTopic(topic, 1, 1) for topic in topics])
    admin.close()


def send(bootstrap: str, topic: str, *values: bytes) -> None:
    producer = KafkaProducer(bootstrap_servers=bootstrap, acks="all")
    for value in values:
        producer.send(topic, value).get(30)
    producer.close()


def read(bootstrap: str, topic: str, **settings: object) -> list[bytes]:
    """All that a topic with one partition holds now, up to its end."""
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest", **settings)
    partition = TopicPartition(topic, 0)
    consumer.assign([partition])
    end = consumer.end_offsets([partition])[partition]
    values: list[bytes] = []
    while consumer.position(partition) < end:
        for records in consumer.poll(500).values():
            values += [record.value for record in records]
    consumer.close()
    return values


def test_readers_of_committed_data_see_committed_transactions_and_no_aborted_one(kafka, new_topic):
    topic = new_topic()
    producer = KafkaProducer(bootstrap_servers=kafka.get_bootstrap_server(), transactional_id=topic)
    producer.init_transactions()
    for value, finish in ((b"kept", producer.commit_transaction), (b"dropped", producer.abort_transaction)):
        producer.begin_transaction()
        producer.send(topic, value).get(30)
        finish()
    producer.close()
    server = kafka.get_bootstrap_server()
    assert read(server, topic, isolation_level="read_committed") == [b"kept"]
    assert read(server, topic, isolation_level="read_uncommitted") == [b"kept", b"dropped"]


def test_a_successor_fences_the_producer_it_replaces(kafka, new_topic):
    topic = new_topic()
    former, successor = (
        KafkaProducer(bootstrap_servers=kafka.get_bootstrap_server(), transactional_id=topic)
        for _ in range(2)
    )
    former.init_transactions()
    former.begin_transaction()
    former.send(topic, b"half done").get(30)
    successor.init_transactions()
    with pytest.raises(KafkaError):
        former.commit_transaction()
    former.close(timeout=1)
    successor.close()
    assert read(kafka.get_bootstrap_server(), topic, isolation_level="read_committed") == []


def test_a_topic_is_not_made_by_sending_to_it(broker):
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap_servers, max_block_ms=1000)
    with pytest.raises(KafkaError):
        producer.send("misspelt", b"1").get(5)
    producer.close()
    admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap_servers)
    assert "misspelt" not in admin.list_topics()
    admin.close()


def test_data_outlives_a_stop_and_a_crash_at_the_same_address(broker):
    address, cluster = broker.bootstrap_servers, cluster_at(broker.bootstrap_servers)
    create(address, "kept")
    send(address, "kept", b"before the stop")
    broker.stop()
    assert not listens(address)
    broker.stop()
    broker.start()
    send(address, "kept", b"before the crash")
    broker.kill()
    assert not listens(address)
    broker.start()
    assert broker.start() is broker
    assert broker.bootstrap_servers == address
    assert cluster_at(address) == cluster
    assert read(address, "kept") == [b"before the stop", b"before the crash"]


def test_two_brokers_serve_side_by_side_and_keep_apart(kafka, new_topic, broker):
    if kafka.kind == "configured":
        pytest.skip("the session's broker is not ours to compare with")
    here = new_topic()
    create(broker.bootstrap_servers, here)
    send(kafka.get_bootstrap_server(), here, b"first broker")
    send(broker.bootstrap_servers, here, b"second broker")
    assert read(kafka.get_bootstrap_server(), here) == [b"first broker"]
    assert read(broker.bootstrap_servers, here) == [b"second broker"]


def test_a_directory_or_port_that_a_broker_uses_is_refused(broker, tmp_path):
    with pytest.raises(DirectoryInUse, match=f"runs there already, at {broker.bootstrap_servers}"):
        EmbeddedBroker(broker.data_dir).start()
    with pytest.raises(PortInUse, match=f"port {broker.port} is in use"):
        EmbeddedBroker(tmp_path, broker.port).start()


def test_data_in_use_is_kept_from_a_second_broker_even_if_the_note_of_the_first_is_lost(broker):
    note = Layout(broker.data_dir).state
    content = note.read_bytes()
    note.unlink()
    with pytest.raises(DirectoryInUse, match="another broker uses this data directory"):
        EmbeddedBroker(broker.data_dir).start()
    note.write_bytes(content)
    assert listens(broker.bootstrap_servers)


def test_the_configured_broker_is_chosen_and_left_running(broker, tmp_path):
    with choose_broker(broker.bootstrap_servers, tmp_path) as chosen:
        assert (chosen.kind, chosen.started_here) == ("configured", False)
        assert chosen.get_bootstrap_server() == broker.bootstrap_servers
    assert listens(broker.bootstrap_servers)


def test_the_broker_ends_with_the_process_that_started_it(tmp_path):
    code = (
        "import sys, time; from streams.broker import EmbeddedBroker\n"
        "print(EmbeddedBroker(sys.argv[1]).start().pid, flush=True); time.sleep(600)"
    )
    arguments = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        assert is_broker(pid, Layout(tmp_path))
        starter.kill()
    wait_until_gone(pid, Layout(tmp_path))


def wait_until_gone(pid: int, layout: Layout) -> None:
    for _ in range(600):
        if not is_broker(pid, layout):
            return
        time.sleep(0.1)
    os.kill(pid, signal.SIGKILL)
    pytest.fail("the broker outlived the process that started it")


def test_up_status_down_from_the_command_line(tmp_path, capsys):
    (port,) = free_ports(1)
    here = ["--data-dir", str(tmp_path / "data")]
    assert run(["broker", "status", *here]) == 1
    assert "No broker runs" in capsys.readouterr().out
    try:
        up_status_down(port, here, capsys, tmp_path)
    finally:
        run(["broker", "down", *here])


def up_status_down(port: int, here: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(["broker", "up", "--port", str(port), *here]) == 0
    assert f"Broker up at 127.0.0.1:{port}" in capsys.readouterr().out
    assert run(["broker", "up", *here]) == 0
    assert f"runs already at 127.0.0.1:{port}" in capsys.readouterr().out
    assert run(["broker", "up", "--port", "1", *here]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert run(["broker", "up", "--port", str(port), "--data-dir", str(tmp_path / "other")]) == 1
    assert capsys.readouterr().err.startswith(f"servicetime: port {port} is in use")

    assert run(["broker", "status", "--json", *here]) == 0
    status = json.loads(capsys.readouterr().out)
    assert (status["running"], status["answers"]) == (True, True)
    with choose_broker(None, tmp_path / "data") as chosen:
        assert (chosen.kind, chosen.started_here) == ("embedded", False)
    assert run(["doctor", "--json", "--bootstrap", f"127.0.0.1:{port}", *here]) == 0
    found = {check["what"]: check["state"] for check in json.loads(capsys.readouterr().out)["checks"]}
    assert (found["Configured Kafka"], found["Broker of this data directory"]) == ("ok", "ok")

    assert run(["broker", "down", *here]) == 0
    assert capsys.readouterr().out == "Broker stopped\n"
    assert not is_broker(status["pid"], Layout(tmp_path / "data" / "broker"))
    assert run(["broker", "down", *here]) == 0
    assert capsys.readouterr().out == "No broker runs\n"
