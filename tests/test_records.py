"""The wire: every field that can be wrong is named, and what is written is read back."""

import json
from base64 import b64decode
from math import isnan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geofence.errors import InvalidFence, InvalidRecord, InvalidRoute
from geofence.events import (
    DeviceFenceEvent,
    FenceEvent,
    FenceEventType,
    Ping,
    Rejection,
    RunnerUp,
    ServiceTime,
    VisitStatus,
)
from geofence.fences import Fence
from geofence.routes import Order, Route, Stop
from models.weather import Weather
from streams.records import (
    BadMessage,
    DeadLetter,
    ManualRecord,
    ModelRef,
    StopPrediction,
    TopFactor,
    decode_device_event,
    decode_fence,
    decode_manual,
    decode_pings,
    decode_route,
    decode_service_time,
    decode_weather,
    encode,
    engine_version,
)
from streams.records.outputs import MOST_OF_VALUE, rooms

NOON = "2026-09-21T12:00:00.000Z"
NOON_MS = 1_789_992_000_000


def ping(**changes):
    return {"driver_id": "d1", "ts": NOON, "lat": 47.0, "lon": 8.0, **changes}


def message(*pings):
    return json.dumps(list(pings) if len(pings) != 1 else pings[0]).encode()


def visit(**changes):
    fields = {
        "visit_id": "v1",
        "revision": 1,
        "status": VisitStatus.COMPLETED,
        "driver_id": "d1",
        "customer_id": "c1",
        "fence_id": "f1",
        "route_id": None,
        "stop_id": None,
        "arrived_ms": NOON_MS,
        "departed_ms": NOON_MS + 90_500,
        "service_time_s": 90.5,
        "entered_ms": NOON_MS - 1000,
        "exited_ms": None,
        "parking_search_s": 0.0,
        "arrived_between_ms": (NOON_MS - 2500, NOON_MS + 2500),
        "departed_between_ms": (NOON_MS + 88_000, NOON_MS + 93_000),
        "confidence": 0.93,
        "runner_up": RunnerUp("c2", 0.05),
        "shared_with": ("v2",),
        "share_method": "equal",
        "pings": 20,
        "max_gap_s": 5.0,
        "median_accuracy_m": None,
        "flags": ("merged",),
        "config_hash": "abc",
    }
    return ServiceTime(**{**fields, **changes})


def test_a_ping_becomes_a_row():
    got = decode_pings([message(ping(accuracy_m=4.5, speed_mps=0, heading_deg=12))])
    assert got.bad == []
    assert got.batch.driver_ids == ["d1"]
    assert got.batch.ts_ms.tolist() == [NOON_MS]
    assert (got.batch.lat.tolist(), got.batch.lon.tolist()) == ([47.0], [8.0])
    assert (got.batch.accuracy_m.tolist(), got.batch.speed_mps.tolist()) == ([4.5], [0.0])


def test_nothing_in_nothing_out():
    got = decode_pings([])
    assert (len(got.batch), got.message_index.tolist(), got.bad) == (0, [], [])


def test_single_pings_and_arrays_may_be_mixed():
    got = decode_pings([message(ping(lat=1)), message(ping(lat=2), ping(lat=3)), message(ping(lat=4))])
    assert got.batch.lat.tolist() == [1, 2, 3, 4]
    assert got.message_index.tolist() == [0, 1, 1, 2]


def test_unknown_fields_and_nulls_are_ignored():
    got = decode_pings([message(ping(battery=0.8, accuracy_m=None, app={"v": [1]}))])
    assert got.bad == []
    assert isnan(got.batch.accuracy_m[0])


def test_a_negative_accuracy_speed_or_heading_means_unknown():
    got = decode_pings([message(ping(accuracy_m=-1, speed_mps=-1.0, heading_deg=-1))])
    assert got.bad == []
    assert isnan(got.batch.accuracy_m[0])
    assert isnan(got.batch.speed_mps[0])


def test_the_null_island_is_a_place():
    assert len(decode_pings([message(ping(lat=0, lon=0))]).batch) == 1


MILLISECONDS = ": milliseconds? seconds since 1970 are wanted"
BAD_PINGS = [
    (b"", "is not JSON: input data was truncated", None),
    (b"hello", "is not JSON: invalid character (byte 0)", None),
    (b'{"driver_id": "d1"', "is not JSON: input data was truncated", None),
    (b"3", "expected object, got int", None),
    (None, "holds no ping", None),
    (b"[]", "holds no ping", None),
    (b'{"driver_id": "\xff"}', "is not UTF-8", None),
    (b'{"x":' + b"[" * 100_000, "is nested too deeply", None),
    (message({"driver_id": "d1"}), "is missing", "ts"),
    (message(ping(driver_id="")), "is empty", "driver_id"),
    (message(ping(driver_id=7)), "expected str, got int", "driver_id"),
    (message(ping(lat="47")), "expected float, got str", "lat"),
    (message(ping(lat=90.01)), "90.01 is not between -90 and 90", "lat"),
    (message(ping(lon=-180.5)), "-180.5 is not between -180 and 180", "lon"),
    (message(ping()).replace(b"47.0", b"1e999"), "number out of range", "lat"),
    (message(ping()).replace(b"47.0", b"NaN"), "is not JSON: invalid character (byte 61)", None),
    (message(ping(ts="noon")), "'noon' is not a time", "ts"),
    (message(ping(ts=None)), "expected int | float | str, got null", "ts"),
    (message(ping(ts=0)), "1970-01-01T00:00:00.000Z is not between 1990 and 2200", "ts"),
    (message(ping(heading_deg=361)), "expected float <= 360.0", "heading_deg"),
    (message(ping(ts=10**400)), f"1{'0' * 39} is not a time{MILLISECONDS}", "ts"),
    (message(ping(driver_id="x" * 1001)), "is longer than 1,000 characters", "driver_id"),
]


@pytest.mark.parametrize(("value", "reason", "field"), BAD_PINGS)
def test_a_bad_ping_is_told_with_its_field_and_the_others_are_used(value, reason, field):
    good = message(ping())
    got = decode_pings([good, value, good])
    assert len(got.batch) == 2
    assert got.message_index.tolist() == [0, 2]
    assert got.bad == [BadMessage(1, reason, field)]


def test_a_bad_ping_in_an_array_costs_only_itself():
    value = message(ping(lat=1), ping(lat=91), ping(lat="x"), {}, ping(lat=2))
    got = decode_pings([message(ping()), value])
    assert got.batch.lat.tolist() == [47.0, 1.0, 2.0]
    assert got.message_index.tolist() == [0, 1, 1]
    assert [(b.index, b.field) for b in got.bad] == [(1, "[2].lat"), (1, "[3].driver_id"), (1, "[1].lat")]


def test_a_row_out_of_range_in_an_array_is_told_by_its_place():
    got = decode_pings([message(ping(), ping(lat=91))])
    assert got.bad == [BadMessage(0, "91.0 is not between -90 and 90", "[1].lat")]


good_pings = st.builds(ping, lat=st.floats(-90, 90), ts=st.just(NOON) | st.just(1_790_000_000.25))
some_messages = st.lists(
    good_pings.map(message)
    | st.lists(good_pings, min_size=2, max_size=3).map(lambda p: message(*p))
    | st.sampled_from([value for value, _, _ in BAD_PINGS if value is None or len(value) < 1000]),
    max_size=8,
)


@given(some_messages)
def test_a_message_is_read_alike_alone_and_among_others(values):
    together = decode_pings(values)
    alone = [decode_pings([v]) for v in values]
    assert together.batch.lat.tolist() == [lat for a in alone for lat in a.batch.lat.tolist()]
    assert together.batch.ts_ms.tolist() == [t for a in alone for t in a.batch.ts_ms.tolist()]
    assert together.message_index.tolist() == [i for i, a in enumerate(alone) for _ in range(len(a.batch))]
    assert together.bad == [BadMessage(i, b.reason, b.field) for i, a in enumerate(alone) for b in a.bad]


@given(st.binary(max_size=40))
def test_no_bytes_whatever_make_decoding_raise(value):
    got = decode_pings([value])
    assert len(got.batch) + len(got.bad) >= 1


ROUTE = {
    "route_id": "r1",
    "driver_id": "d1",
    "starts_at": NOON,
    "ends_at": "2026-09-21T20:00:00+02:00",
    "region": "west",
    "stops": [
        {"stop_id": "s2", "customer_id": "c2", "sequence": 2.0},
        {
            "stop_id": "s1",
            "customer_id": "c1",
            "sequence": 1,
            "planned_arrival": 1_789_992_060,
            "order": {"weight_kg": 3.5, "items": 2},
        },
    ],
}


def test_a_route_has_its_stops_in_sequence():
    assert decode_route(json.dumps(ROUTE).encode()) == Route(
        route_id="r1",
        driver_id="d1",
        starts_ms=NOON_MS,
        ends_ms=NOON_MS + 6 * 3_600_000,
        region="west",
        stops=(
            Stop("s1", "c1", 1, NOON_MS + 60_000, Order(3.5, 2, None)),
            Stop("s2", "c2", 2),
        ),
    )


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [
        ({"starts_at": "today"}, "starts_at", "'today' is not a time"),
        ({"ends_at": "2026-09-21T00:00:00Z"}, "ends_at", "is before starts_at"),
        ({"driver_id": ""}, "driver_id", "is empty"),
        ({"stops": [{"stop_id": "s", "customer_id": "c"}]}, "stops[0].sequence", "is missing"),
        (
            {"stops": [{**ROUTE["stops"][0], "sequence": 1.5}]},
            "stops[0].sequence",
            "1.5 is not a whole number",
        ),
        *(
            (
                {"stops": [{**ROUTE["stops"][0], "sequence": number}]},
                "stops[0].sequence",
                f"{str(number)[:40]} is not between -2^53 and 2^53",
            )
            for number in (2**53 + 1, -(2**63), 2**64, 10**400, -1e300)
        ),
        (
            {"stops": [{**ROUTE["stops"][0], "order": {"items": 1e300}}]},
            "stops[0].order.items",
            "1e+300 is not between -2^53 and 2^53",
        ),
        ({"ends_at": 10**400}, "ends_at", f"1{'0' * 39} is not a time{MILLISECONDS}"),
        ({"route_id": "x" * 1001}, "route_id", "is longer than 1,000 characters"),
        (
            {"stops": [{**ROUTE["stops"][0], "stop_id": "x" * 1001}]},
            "stops[0].stop_id",
            "is longer than 1,000 characters",
        ),
        ({"stops": [{**ROUTE["stops"][0], "customer_id": ""}]}, "stops[0].customer_id", "is empty"),
        ({"stops": [ROUTE["stops"][0]] * 2}, "stops.stop_id", "'s2' appears twice"),
        (
            {"stops": [{**ROUTE["stops"][0], "order": {"boxes": -1}}]},
            "stops[0].order.boxes",
            "-1.0 is negative",
        ),
    ],
)
def test_a_bad_route_names_its_field(change, field, reason):
    with pytest.raises(InvalidRecord) as caught:
        decode_route(json.dumps({**ROUTE, **change}).encode())
    assert (caught.value.field, caught.value.reason) == (field, reason)


def test_a_route_that_is_no_json_is_an_invalid_route():
    with pytest.raises(InvalidRoute):
        decode_route(b"nope")


def test_a_fence_that_is_no_object_is_an_invalid_fence():
    with pytest.raises(InvalidFence):
        decode_fence(b"[1]")


@pytest.mark.parametrize(
    ("decode", "record", "change", "field"),
    [
        (
            decode_device_event,
            {"driver_id": "d", "fence_id": "f", "type": "entered", "ts": NOON},
            {"type": "dwelled"},
            "type",
        ),
        (
            decode_manual,
            {"stop_id": "s", "driver_id": "d", "customer_id": "c", "arrived_at": NOON, "departed_at": NOON},
            {"departed_at": "2026-09-21T11:00:00Z"},
            "departed_at",
        ),
        (
            decode_weather,
            {"region": "w", "ts": NOON, "temperature_c": -3.5, "precipitation_mm": 0},
            {"precipitation_mm": -1},
            "precipitation_mm",
        ),
    ],
)
def test_smaller_records_are_read_and_name_their_bad_field(decode, record, change, field):
    decode(json.dumps(record).encode())
    with pytest.raises(InvalidRecord) as caught:
        decode(json.dumps({**record, **change}).encode())
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("record", "decode"),
    [
        (visit(), decode_service_time),
        (visit(runner_up=None, entered_ms=None, status=VisitStatus.RETRACTED), decode_service_time),
        (decode_route(json.dumps(ROUTE).encode()), decode_route),
        (Fence("f", "c", 47.0, 8.0, 50.0, facts={"floor": 3}), decode_fence),
        (DeviceFenceEvent("d", "f", FenceEventType.EXITED, NOON_MS), decode_device_event),
        (ManualRecord("s", "d", "c", NOON_MS, NOON_MS + 1000), decode_manual),
        (Weather("w", NOON_MS, -3.5, 0.2, None, 4.0), decode_weather),
    ],
)
def test_what_is_written_is_read_back(record, decode):
    assert decode(encode(record)) == record


def test_a_written_ping_is_read_back():
    got = decode_pings([encode(Ping("d", NOON_MS, 47.5, 8.5, 5.0))])
    assert (got.batch.driver_ids, got.batch.ts_ms.tolist(), got.bad) == (["d"], [NOON_MS], [])


def test_a_service_time_has_exactly_the_contract_s_fields():
    assert json.loads(encode(visit())) == {
        "visit_id": "v1",
        "revision": 1,
        "status": "completed",
        "driver_id": "d1",
        "customer_id": "c1",
        "fence_id": "f1",
        "route_id": None,
        "stop_id": None,
        "arrived_at": "2026-09-21T12:00:00.000Z",
        "departed_at": "2026-09-21T12:01:30.500Z",
        "service_time_s": 90.5,
        "entered_at": "2026-09-21T11:59:59.000Z",
        "exited_at": None,
        "parking_search_s": 0.0,
        "arrived_between": ["2026-09-21T11:59:57.500Z", "2026-09-21T12:00:02.500Z"],
        "departed_between": ["2026-09-21T12:01:28.000Z", "2026-09-21T12:01:33.000Z"],
        "confidence": 0.93,
        "runner_up": {"customer_id": "c2", "confidence": 0.05},
        "shared_with": ["v2"],
        "share_method": "equal",
        "pings": 20,
        "max_gap_s": 5.0,
        "median_accuracy_m": None,
        "flags": ["merged"],
        "schema_version": 1,
        "engine_version": engine_version(),
        "config_hash": "abc",
    }


def test_optional_fields_of_an_event_are_left_out():
    event = FenceEvent(FenceEventType.ENTERED, "d", "c", "f", NOON_MS)
    assert json.loads(encode(event)) == {
        "type": "entered",
        "driver_id": "d",
        "customer_id": "c",
        "fence_id": "f",
        "ts": NOON,
    }
    rejected = FenceEvent(FenceEventType.REJECTED, "d", "c", "f", NOON_MS, "v", Rejection.PASS_BY)
    assert json.loads(encode(rejected))["reason"] == "pass_by"


def test_a_dead_letter_carries_the_message():
    letter = DeadLetter.of("gps-pings", 3, 17, NOON_MS, "is missing", "lat", b"\x00{")
    assert json.loads(encode(letter)) == {
        "topic": "gps-pings",
        "partition": 3,
        "offset": 17,
        "received_at": NOON,
        "reason": "is missing",
        "value_base64": "AHs=",
        "field": "lat",
    }


def test_a_dead_letter_of_a_long_message_has_its_beginning_and_its_length():
    whole = bytes(MOST_OF_VALUE + 1)
    letter = DeadLetter.of("gps-pings", 3, 17, NOON_MS, "is odd: " + "x" * 10_000, None, whole)
    assert b64decode(letter.value_base64) == whole[:-1]
    assert letter.value_bytes == len(whole)
    assert len(letter.reason) == 500
    assert DeadLetter.of("gps-pings", 3, 17, NOON_MS, "is odd", None, whole[:-1]).value_bytes is None


@pytest.mark.parametrize(
    ("received_ms", "received_at"),
    [(-1, "1970-01-01T00:00:00.000Z"), (1000 * NOON_MS, "2200-01-01T00:00:00.000Z")],  # none, microseconds
)
def test_a_dead_letter_takes_whatever_time_a_producer_has_given(received_ms, received_at):
    assert DeadLetter.of("gps-pings", 3, 17, received_ms, "is odd", None, b"").received_at == received_at


def test_letters_of_one_message_share_what_a_single_one_may_keep():
    half, long = bytes(MOST_OF_VALUE // 2 + 1), bytes(MOST_OF_VALUE + 1)
    messages = [
        (4, b"short"),
        (4, b"short"),
        (7, half),
        (7, half),
        (7, half),
        (8, long),
        (8, long),
        (9, None),
    ]
    most = MOST_OF_VALUE
    assert list(rooms(messages)) == [most, most - 5, most, most - len(half), 0, most, 0, most]


def test_a_prediction_says_when_it_is_a_fallback():
    prediction = StopPrediction(
        "s", "r", "d", "c", NOON, 400.0, 600.0, 420.0, ModelRef("m", "1"), "rule", (TopFactor("floor", 12.0),)
    )
    got = json.loads(encode(prediction))
    assert (got["fallback"], got["top_factors"]) == ("rule", [{"feature": "floor", "effect_s": 12.0}])
    assert "arm" not in got
