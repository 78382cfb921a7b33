"""The JSON Schemas say what the contract says."""

import json

from streams.cli.main import run
from streams.cli.schema import TOPICS
from streams.records.schemas import RECORDS, schema_of


def test_the_command_offers_every_schema(capsys):
    assert list(RECORDS) == list(TOPICS)
    for topic in TOPICS:
        assert run(["schema", topic]) == 0
        assert json.loads(capsys.readouterr().out)["title"] == topic


def test_a_ping_needs_a_driver_a_time_and_a_place():
    (ping,) = schema_of("gps-pings")["$defs"].values()
    assert ping["required"] == ["driver_id", "ts", "lat", "lon"]
    assert sorted(ping["properties"]) == [
        "accuracy_m",
        "driver_id",
        "heading_deg",
        "lat",
        "lon",
        "speed_mps",
        "ts",
    ]


def test_every_field_of_a_service_time_is_always_there():
    record = schema_of("service-times")["$defs"]["ServiceTimeRecord"]
    assert record["required"] == list(record["properties"])
    assert record["properties"]["stop_id"] == {"anyOf": [{"type": "string"}, {"type": "null"}]}


def test_a_dead_letter_may_do_without_a_field_and_without_a_length():
    record = schema_of("dead-letters")["$defs"]["DeadLetter"]
    assert set(record["properties"]) - set(record["required"]) == {"field", "value_bytes"}
