"""The compiled scanner of pings beside msgspec: what it reads it reads alike, the rest it leaves."""

import json
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.records import pings as records
from streams.records.pings import decode_lines, decode_pings, load_scanner
from streams.records.scanning import scan

PLAIN = b'{"driver_id": "d1", "ts": "2026-09-21T12:00:00.250Z", "lat": 47.5, "lon": -8.25, "accuracy_m": 4.5}'


@pytest.fixture(scope="module", autouse=True)
def loaded():
    load_scanner()


def is_plain(message):
    data = np.frombuffer(message, dtype=np.uint8)
    plain, *_ = scan(data, np.array([0]), np.array([len(message)]))
    return bool(plain[0])


def rows(got):
    b = got.batch
    numbers = np.column_stack([b.ts_ms, b.lat, b.lon, b.accuracy_m, b.speed_mps])
    return b.driver_ids, numbers.tobytes(), got.message_index.tolist(), got.bad


def alone(values):
    return records._decode_all(values)


def test_a_plain_ping_is_read():
    plain, ts_ms, numbers, codes, names = scan(
        np.frombuffer(PLAIN, dtype=np.uint8), np.array([0]), np.array([len(PLAIN)])
    )
    assert (plain.tolist(), ts_ms.tolist(), codes.tolist()) == ([True], [1_789_992_000_250], [0])
    assert numbers[:3, 0].tolist() == [47.5, -8.25, 4.5]
    assert np.isnan(numbers[3, 0])
    assert PLAIN[names[0, 0] : names[0, 1]] == b"d1"


@pytest.mark.parametrize(
    "message",
    [
        PLAIN.replace(b" ", b""),
        b" \t\r\n" + PLAIN.replace(b",", b"\n , ").replace(b":", b": ", 1) + b" \r",
        PLAIN.replace(b"}", b', "battery": 0.8, "app": "x y", "on": true, "off": false, "n": null}'),
        PLAIN.replace(b"4.5}", b"null}"),
        PLAIN.replace(b'"2026-09-21T12:00:00.250Z"', b"1789992000.25"),
        PLAIN.replace(b".250Z", b"Z"),
        PLAIN.replace(b".250Z", b".2504999999Z"),
        PLAIN.replace(b"-8.25", b"-0"),
        PLAIN.replace(b"-8.25", b"-0.0"),
    ],
)
def test_other_plain_ways_to_write_it_are_read_too(message):
    assert is_plain(message)
    assert rows(decode_pings([message] * 50)) == rows(alone([message] * 50))


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"{}",
        b"[]",
        b"[" + PLAIN + b"]",
        PLAIN + PLAIN,
        PLAIN + b"x",
        PLAIN[:-1],
        PLAIN.replace(b"d1", b""),
        PLAIN.replace(b"d1", "dé".encode()),
        PLAIN.replace(b"d1", b"d\\u0031"),
        PLAIN.replace(b"d1", b"d\n1"),
        PLAIN.replace(b'"driver_id"', b'"driver_ix"'),
        PLAIN.replace(b"12:00:00", b"12:00:60"),
        PLAIN.replace(b"12:00:00", b"24:00:00"),
        PLAIN.replace(b"09-21", b"02-29"),
        PLAIN.replace(b"09-21", b"13-21"),
        PLAIN.replace(b"09-21", b"00-21"),
        PLAIN.replace(b"09-21", b"09-31"),
        PLAIN.replace(b".250Z", b".Z"),
        PLAIN.replace(b".250Z", b".250+02:00"),
        PLAIN.replace(b".250Z", b".250"),
        PLAIN.replace(b"47.5", b"47."),
        PLAIN.replace(b"47.5", b".5"),
        PLAIN.replace(b"47.5", b"047.5"),
        PLAIN.replace(b"47.5", b"+47.5"),
        PLAIN.replace(b"47.5", b"47.5.5"),
        PLAIN.replace(b"47.5", b"4.75e1"),
        PLAIN.replace(b"47.5", b"-"),
        PLAIN.replace(b"47.5", b"null"),
        PLAIN.replace(b"47.5", b"47.12345678901234567"),
        PLAIN.replace(b"4.5}", b'4.5, "lat": 1}'),
        PLAIN.replace(b"4.5}", b'4.5, "heading_deg": 361}'),
        PLAIN.replace(b"4.5}", b'4.5, "more": {}}'),
        PLAIN.replace(b"4.5}", b'4.5, "more": 01}'),
        PLAIN.replace(b"4.5}", b'4.5, "more": nul}'),
        PLAIN.replace(b"4.5}", b"4.5,}"),
        PLAIN.replace(b"4.5}", b"4.5 5}"),
    ],
)
def test_what_is_not_plain_is_left_to_msgspec(message):
    assert not is_plain(message)
    values = [PLAIN] * 30 + [message] + [PLAIN] * 30
    assert rows(decode_pings(values)) == rows(alone(values))


numbers = st.one_of(
    st.floats(-200, 200).map(repr),
    st.decimals(-180, 180, places=7).map(str),
    st.integers(-400, 400).map(str),
    st.sampled_from(
        ["0", "-0", "0.0", "-0.0", "00", "1e2", "9007199254740993", "0.1", "1.", "null", "-1", "true"]
    ),
)
times = st.one_of(
    st.datetimes().map(lambda t: json.dumps(t.isoformat(timespec="milliseconds") + "Z")),
    st.datetimes().map(lambda t: json.dumps(t.isoformat() + "Z")),
    st.floats(-1e3, 2e10).map(repr),
    st.sampled_from(['"noon"', '""', "null", "1789992000", '"2026-09-21T12:00:00+00:00"']),
)
names = st.sampled_from(['"d1"', '"d2"', '"driver-000123"', '""', "7", '"d\\"q"', '"é"'])
members = st.fixed_dictionaries(
    {"driver_id": names, "ts": times, "lat": numbers, "lon": numbers},
    optional={"accuracy_m": numbers, "speed_mps": numbers, "heading_deg": numbers, "extra": numbers},
)
objects = members.map(lambda m: "{" + ", ".join(f'"{k}": {v}' for k, v in m.items()) + "}").map(str.encode)


@given(st.lists(objects, min_size=1, max_size=20))
@settings(max_examples=200)
def test_any_pings_are_read_as_msgspec_reads_them(messages):
    values = messages + [PLAIN] * 50
    assert rows(decode_pings(values)) == rows(alone(values))


@given(st.integers(0, 2**32))
@settings(max_examples=200)
def test_damaged_pings_are_read_as_msgspec_reads_them(seed):
    rng = random.Random(seed)
    values = []
    for _ in range(60):
        message = bytearray(PLAIN)
        for _ in range(rng.randrange(3)):
            message[rng.randrange(len(message))] = rng.choice(b' "{}[],:.-+0123456789eEnulltrue\\\n\xc3')
        values.append(bytes(message[: rng.choice([len(message), rng.randrange(len(message))])]))
    assert rows(decode_pings(values)) == rows(alone(values))


def test_lines_are_read_as_messages_are():
    messages = [
        PLAIN,
        b"",
        PLAIN.replace(b"47.5", b"95"),
        b"[" + PLAIN + b"," + PLAIN + b"]",
        PLAIN + b"\r",
    ] * 20
    for end in (b"", b"\n"):
        got = decode_lines(b"\n".join(messages) + end)
        assert rows(got) == rows(alone(messages))


def test_many_drivers_keep_their_names():
    ids = [f"driver-{i * 7919 % 500}" for i in range(2000)]
    got = decode_pings([PLAIN.replace(b"d1", i.encode()) for i in ids])
    assert got.batch.driver_ids == ids
