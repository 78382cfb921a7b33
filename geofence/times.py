"""Times as people and programs write them (RFC 3339, seconds since 1970) and as whole milliseconds, UTC."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from math import floor, inf
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from geofence.errors import InvalidRecord

UNREADABLE_MS: Final = np.iinfo(np.int64).min
"""What `parse_times` gives for a value that is no time."""

EARLIEST_MS: Final = 631_152_000_000
"""1990-01-01: before it no phone had GPS."""

LATEST_MS: Final = 7_258_118_400_000
"""2200-01-01."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_RFC_3339: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):?(\d\d))", re.ASCII
)
_NO_OFFSET: Final = re.compile(r"\d{4}-\d\d-\d\d([Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?)?", re.ASCII)
_MINUTES: Final = [f"T{hour:02}:{minute:02}:" for hour in range(24) for minute in range(60)]
_SECONDS: Final = [f"{second:02}." for second in range(60)]
_THOUSANDTHS: Final = [f"{ms:03}Z" for ms in range(1000)]
_FURTHEST_S: Final = 253_402_300_800
"""The year 10,000."""


def parse_time(value: object, field: str | None = None) -> int:
    """Milliseconds since 1970 of an RFC 3339 time (`Z` or an offset) or a number of seconds since 1970.

    Finer fractions are rounded to the nearest millisecond, a leap second counts as the second after it.
    Raises InvalidRecord, naming `field`, for anything else.
    """
    if isinstance(value, str):
        return _parse_text(value, field)
    if isinstance(value, int | float) and not isinstance(value, bool):
        if not abs(value) < _FURTHEST_S:  # as no comparison with NaN is true
            hint = ": milliseconds? seconds since 1970 are wanted" if abs(value) < inf else ""
            raise InvalidRecord(f"{str(value)[:40]} is not a time{hint}", field)
        return floor(value * 1000 + 0.5)
    raise InvalidRecord(f"{value!r} is not a time", field)


def parse_times(values: Sequence[object]) -> npt.NDArray[np.int64]:
    """`parse_time` of many values at once; UNREADABLE_MS where one is no time."""
    fast = _parse_alike(values)
    return np.array([_parse_or_mark(v) for v in values], dtype=np.int64) if fast is None else fast


def parse_joined(characters: npt.NDArray[np.uint8], count: int) -> npt.NDArray[np.int64] | None:
    """So many times as ASCII texts of one length, one after another; None when they are not written alike."""
    rows = characters.reshape(count, -1)
    first = rows[0].tobytes().decode("latin-1")
    return None if _RFC_3339.fullmatch(first) is None else _parse_columns(np.ascontiguousarray(rows.T), first)


def format_time(ts_ms: int) -> str:
    """RFC 3339 in UTC with milliseconds.

    >>> format_time(1_790_000_336_604)
    '2026-09-21T14:18:56.604Z'
    """
    day, ms = divmod(ts_ms, 86_400_000)
    minute, ms = divmod(ms, 60_000)
    second, ms = divmod(ms, 1000)
    return f"{_date(day)}{_MINUTES[minute]}{_SECONDS[second]}{_THOUSANDTHS[ms]}"


@lru_cache(maxsize=128)
def _date(day: int) -> str:
    return (_EPOCH + timedelta(days=day)).date().isoformat()


def require_plausible(ts_ms: int, field: str | None = None) -> int:
    """The same time; InvalidRecord when no phone can have sent it (before 1990, from 2200 on)."""
    if not EARLIEST_MS <= ts_ms < LATEST_MS:
        raise InvalidRecord(f"{format_time(ts_ms)} is not between 1990 and 2200", field)
    return ts_ms


def _parse_text(text: str, field: str | None) -> int:
    match = _RFC_3339.fullmatch(text.strip())
    if match is None:
        why = "has no time zone (Z or an offset)" if _NO_OFFSET.fullmatch(text.strip()) else "is not a time"
        raise InvalidRecord(f"{text[:40]!r} {why}", field)
    year, month, day, hour, minute, second = map(int, match.groups()[:6])
    fraction, sign, offset_h, offset_min = match.groups()[6:]
    try:
        start = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=UTC)
    except ValueError as error:
        raise InvalidRecord(f"{text!r} is not a time: {error}", field) from None
    if second > 60 or int(offset_min or 0) > 59 or int(offset_h or 0) > 23:
        raise InvalidRecord(f"{text!r} is not a time", field)
    whole_s = (start - _EPOCH) // timedelta(seconds=1) + (second == 60)
    offset_s = 60 * (60 * int(offset_h or 0) + int(offset_min or 0))
    utc_s = whole_s + offset_s if sign == "-" else whole_s - offset_s
    return utc_s * 1000 + _rounded_ms(fraction or "0")


def _rounded_ms(digits: str) -> int:
    return (int(digits[:4].ljust(4, "0")) + 5) // 10


def _parse_or_mark(value: object) -> int:
    try:
        return parse_time(value)
    except InvalidRecord:
        return UNREADABLE_MS


def _parse_alike(values: Sequence[Any]) -> npt.NDArray[np.int64] | None:
    """All at once when they are written alike: numbers, or texts of one length and offset. None when not."""
    kinds = set(map(type, values))
    if kinds == {str}:
        return _parse_texts(values)
    return _parse_numbers(values) if kinds and kinds <= {int, float} else None


def _parse_numbers(values: Sequence[float]) -> npt.NDArray[np.int64] | None:
    try:
        seconds = np.array(values, dtype=np.float64)
    except OverflowError:  # JSON has whole numbers that no float holds
        return None
    return np.floor(seconds * 1000 + 0.5).astype(np.int64) if (abs(seconds) < _FURTHEST_S).all() else None


def _parse_texts(texts: Sequence[str]) -> npt.NDArray[np.int64] | None:
    joined = "".join(texts)
    if len(set(map(len, texts))) != 1 or not joined.isascii():
        return None
    return parse_joined(np.frombuffer(joined.encode(), dtype=np.uint8), len(texts))


_DIGITS: Final = [0, 1, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15, 17, 18]
_MARKS: Final = [4, 7, 10, 13, 16]


def _parse_columns(columns: npt.NDArray[np.uint8], first: str) -> npt.NDArray[np.int64] | None:
    """Times from the n-th characters of texts as long as the well-formed `first`; None if one differs."""
    fraction_at = 20 if first[19] == "." else 19
    zone_at = next(i for i in range(19, len(first)) if first[i] in "Zz+-")
    fixed = [*_MARKS, *range(19, fraction_at), *range(zone_at, len(first))]
    digits = columns[[*_DIGITS, *range(fraction_at, zone_at)]] - np.uint8(ord("0"))
    if (columns[fixed] != columns[fixed, :1]).any() or (digits > 9).any():
        return None
    d = digits.astype(np.int32)
    year, month, day = d[0] * 1000 + d[1] * 100 + d[2] * 10 + d[3], d[4] * 10 + d[5], d[6] * 10 + d[7]
    hour, minute, second = d[8] * 10 + d[9], d[10] * 10 + d[11], d[12] * 10 + d[13]
    days = _days(year, month, day)
    if days is None or (hour > 23).any() or (minute > 59).any() or (second > 59).any():
        return None
    ten_thousandths = sum(d[14 + i] * 10 ** (3 - i) for i in range(min(4, len(d) - 14)))
    ms = (hour * 3600 + minute * 60 + second) * 1000 + (ten_thousandths + 5) // 10
    at_offset: npt.NDArray[np.int64] = days * 86_400_000 + ms
    return at_offset - _offset_ms(first[zone_at:])


def _days(
    year: npt.NDArray[np.int32], month: npt.NDArray[np.int32], day: npt.NDArray[np.int32]
) -> npt.NDArray[np.int64] | None:
    """Days since 1970; None when one is not in the calendar."""
    months = ((year.astype(np.int64) - 1970) * 12 + month - 1).astype("datetime64[M]")
    days = months.astype("datetime64[D]").astype(np.int64) + day - 1
    stays = days.astype("datetime64[D]").astype("datetime64[M]") == months
    if (month < 1).any() or (month > 12).any() or (day < 1).any() or (year < 1).any() or not stays.all():
        return None
    return days


def _offset_ms(zone: str) -> int:
    if zone in "Zz":
        return 0
    hours, minutes = int(zone[1:3]), int(zone[-2:])
    sign = -1 if zone[0] == "-" else 1
    return sign * (hours * 60 + minutes) * 60_000
