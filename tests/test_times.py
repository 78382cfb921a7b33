"""Times in and out, one at a time and many at once."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geofence.errors import InvalidRecord
from geofence.times import UNREADABLE_MS, format_time, parse_time, parse_times

moments = st.datetimes(datetime(1970, 1, 1), datetime(2199, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("text", "ts_ms"),
    [
        ("2026-09-21T14:18:56.604Z", 1_790_000_336_604),
        ("2026-09-21T14:18:56Z", 1_790_000_336_000),
        ("2026-09-21T16:18:56.604+02:00", 1_790_000_336_604),
        ("2026-09-21 12:48:56.604-0130", 1_790_000_336_604),
        ("2026-09-21t14:18:56.6z", 1_790_000_336_600),
        ("2026-09-21T14:18:56.60449999Z", 1_790_000_336_604),
        ("2026-09-21T14:18:56.9996Z", 1_790_000_337_000),
        ("2016-12-31T23:59:60Z", 1_483_228_800_000),
        ("1969-12-31T23:59:59.999Z", -1),
        ("2024-02-29T00:00:00.000Z", 1_709_164_800_000),
        (1_790_000_336.604, 1_790_000_336_604),
        (1_790_000_336, 1_790_000_336_000),
        (0, 0),
    ],
)
def test_a_time_is_read_in_every_form_the_contract_names(text, ts_ms):
    assert parse_time(text) == ts_ms
    assert parse_times([text]).tolist() == [ts_ms]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("2026-09-21T14:18:56", "'2026-09-21T14:18:56' has no time zone (Z or an offset)"),
        ("2026-09-21", "'2026-09-21' has no time zone (Z or an offset)"),
        ("yesterday", "'yesterday' is not a time"),
        ("2025-02-29T00:00:00Z", "'2025-02-29T00:00:00Z' is not a time: day is out of range for month"),
        ("2026-13-01T00:00:00Z", "'2026-13-01T00:00:00Z' is not a time: month must be in 1..12"),
        ("", "'' is not a time"),
        (True, "True is not a time"),
        (None, "None is not a time"),
        (float("nan"), "nan is not a time"),
        (float("-inf"), "-inf is not a time"),
        (-(10**400), f"-1{'0' * 38} is not a time: milliseconds? seconds since 1970 are wanted"),
        (1_790_000_336_604, "1790000336604 is not a time: milliseconds? seconds since 1970 are wanted"),
    ],
)
def test_what_is_no_time_is_refused_with_a_reason(value, reason):
    with pytest.raises(InvalidRecord) as caught:
        parse_time(value, "ts")
    assert (caught.value.reason, caught.value.field) == (reason, "ts")
    assert parse_times([value]).tolist() == [UNREADABLE_MS]


@given(st.lists(moments, max_size=20), st.sampled_from(["milliseconds", "microseconds", "seconds", "auto"]))
def test_many_at_once_are_read_as_one_by_one(times, precision):
    texts = [t.isoformat(timespec=precision) for t in times]
    assert parse_times(texts).tolist() == [parse_time(t) for t in texts]


@given(st.lists(st.text("0123456789-T:.Z+ ", min_size=20, max_size=24) | moments.map(str), max_size=5))
def test_odd_texts_are_refused_alike_at_once_and_one_by_one(texts):
    def alone(text):
        try:
            return parse_time(text)
        except InvalidRecord:
            return UNREADABLE_MS

    assert parse_times(texts).tolist() == [alone(t) for t in texts]


@given(st.lists(st.integers(0, 2_000_000_000_000), max_size=5))
def test_seconds_since_1970_keep_their_milliseconds(times_ms):
    assert parse_times([t / 1000 for t in times_ms]).tolist() == times_ms


@given(st.integers(-10_000_000_000_000, 10_000_000_000_000))
def test_what_is_written_is_read_back(ts_ms):
    assert parse_time(format_time(ts_ms)) == ts_ms


def test_one_bad_day_among_good_ones_is_found():
    texts = ["2026-02-28T00:00:00.000Z", "2026-02-30T00:00:00.000Z", "2026-02-28T24:00:00.000Z"]
    assert parse_times(texts).tolist() == [1_772_236_800_000, UNREADABLE_MS, UNREADABLE_MS]
