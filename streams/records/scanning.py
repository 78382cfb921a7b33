"""Reads plainly written pings out of JSON bytes with compiled code; whatever is not plain is left to msgspec.

Plain is: one object of known or simple members, ASCII without escapes, `ts` in UTC or a number, and numbers
whose digits a double holds exactly (Clinger 1990), so that they come out as any other reader's would.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt
from numba import njit

Bytes = npt.NDArray[np.uint8]
Places = npt.NDArray[np.int64]

KEYS: Final = ("driver_id", "ts", "lat", "lon", "accuracy_m", "speed_mps", "heading_deg")
DRIVER, TS, LAT, LON, ACCURACY, SPEED, HEADING, OTHER = range(8)
REQUIRED: Final = 0b1111  # driver_id, ts, lat, lon

_KEY_BYTES: Final = np.zeros((len(KEYS), 16), dtype=np.uint8)
_KEY_LENGTHS: Final = np.array([len(k) for k in KEYS])
for _i, _key in enumerate(KEYS):
    _KEY_BYTES[_i, : len(_key)] = list(_key.encode())

_POWERS: Final = 10.0 ** np.arange(23)
_MOST_EXACT: Final = 1 << 53
_MONTH_DAYS: Final = np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])

_QUOTE, _BACKSLASH, _COMMA, _COLON, _OPEN, _CLOSE = 34, 92, 44, 58, 123, 125
_MINUS, _DOT, _ZERO, _NINE = 45, 46, 48, 57
_E, _SMALL_E, _T, _Z = 69, 101, 84, 90
_TRUE, _FALSE, _NULL = (np.frombuffer(word, dtype=np.uint8) for word in (b"true", b"false", b"null"))


_part = njit(forceinline=True)
"""Compiled into `scan` alone."""


@njit(cache=True, nogil=True)
def scan(data: Bytes, begins: Places, ends: Places) -> Any:
    """The pings in data[begins[i]:ends[i]]: which are plain, their ts_ms, the four numbers, and the drivers.

    Drivers are codes; the name of code c is data[names[c, 0]:names[c, 1]].
    """
    n = len(begins)
    plain = np.zeros(n, dtype=np.bool_)
    ts_ms = np.zeros(n, dtype=np.int64)
    numbers = np.full((4, n), np.nan)
    codes = np.zeros(n, dtype=np.int32)
    names = np.zeros((n, 2), dtype=np.int64)
    table = np.full(_table_size(n), -1, dtype=np.int64)
    known = 0
    driver = np.zeros(2, dtype=np.int64)
    row = np.zeros(4)
    for i in range(n):
        ok, ms = _object(data, begins[i], ends[i], driver, row)
        if not ok:
            continue
        code, known = _code(data, driver[0], driver[1], table, names, known)
        plain[i], ts_ms[i], codes[i] = True, ms, code
        for k in range(4):
            numbers[k, i] = row[k]
    return plain, ts_ms, numbers, codes, names[:known]


@_part
def _object(data: Bytes, at: int, end: int, driver: Places, row: Any) -> Any:
    """Whether a whole ping stands there, and its ts_ms; its driver's place and its numbers are filled in."""
    row[:] = np.nan
    seen, ms = 0, 0
    at = _skip_space(data, at, end)
    if at >= end or data[at] != _OPEN:
        return False, 0
    while True:
        at = _skip_space(data, at + 1, end)
        key_at = at + 1
        at = _string_end(data, at, end)
        if at < 0:
            return False, 0
        key = _which_key(data, key_at, at - key_at)
        at = _skip_space(data, at + 1, end)
        if at >= end or data[at] != _COLON or (key != OTHER and seen >> key & 1):
            return False, 0
        at = _skip_space(data, at + 1, end)
        seen |= 1 << key
        if at >= end:
            return False, 0
        if key == DRIVER:
            driver[0] = at + 1
            at = _string_end(data, at, end)
            driver[1] = at
        elif key == TS and data[at] == _QUOTE:
            at, ms = _time(data, at + 1, end)
        elif key == OTHER:
            at = _skip_value(data, at, end)
        elif key >= ACCURACY and data[at] == _NULL[0]:
            at = _skip_word(data, at, end, _NULL)
        else:
            at, number = _number(data, at, end)
            if key == TS:
                ms = int(np.floor(number * 1000 + 0.5)) if 0 < number < 1e10 else 0
            elif key == HEADING:
                at = at if number <= 360 else -1
            else:
                row[key - LAT] = number
        if at < 0:
            return False, 0
        at = _skip_space(data, at + 1, end)
        if at >= end:
            return False, 0
        if data[at] == _CLOSE:
            whole = _skip_space(data, at + 1, end) == end
            return whole and seen & REQUIRED == REQUIRED and driver[1] > driver[0], ms
        if data[at] != _COMMA:
            return False, 0


@_part
def _skip_space(data: Bytes, at: int, end: int) -> int:
    while at < end and data[at] <= 32 and (data[at] == 32 or 9 <= data[at] <= 10 or data[at] == 13):
        at += 1
    return at


# Each of the following takes the place where something begins and gives the place of its last byte, -1 if it
# is not plain.


@_part
def _string_end(data: Bytes, at: int, end: int) -> int:
    if at >= end or data[at] != _QUOTE:
        return -1
    for place in range(at + 1, end):
        byte = data[place]
        if byte == _QUOTE:
            return place
        if byte < 32 or byte > 126 or byte == _BACKSLASH:
            return -1
    return -1


@_part
def _skip_word(data: Bytes, at: int, end: int, word: Bytes) -> int:
    if end - at < len(word):
        return -1
    for k in range(len(word)):
        if data[at + k] != word[k]:
            return -1
    return at + len(word) - 1


@_part
def _skip_value(data: Bytes, at: int, end: int) -> int:
    first = data[at]
    if first == _QUOTE:
        return _string_end(data, at, end)
    if first == _TRUE[0]:
        return _skip_word(data, at, end, _TRUE)
    if first == _FALSE[0]:
        return _skip_word(data, at, end, _FALSE)
    if first == _NULL[0]:
        return _skip_word(data, at, end, _NULL)
    return _number(data, at, end)[0]


@_part
def _is_digit(byte: int) -> bool:
    return _ZERO <= byte <= _NINE


@_part
def _number(data: Bytes, at: int, end: int) -> Any:
    """The place of its last byte, and the number."""
    negative = data[at] == _MINUS
    if negative:
        at += 1
    begin, dot, digits = at, -1, 0
    while at < end:
        byte = data[at]
        if _ZERO <= byte <= _NINE:
            digits = digits * 10 + (byte - _ZERO)
        elif byte == _DOT and dot < 0:
            dot = at
        else:
            break
        at += 1
    whole = (at if dot < 0 else dot) - begin
    decimals = 0 if dot < 0 else at - dot - 1
    padded = whole > 1 and data[begin] == _ZERO
    cut_off = at >= end or data[at] == _E or data[at] == _SMALL_E
    if whole < 1 or whole + decimals > 18 or digits > _MOST_EXACT or padded or dot == at - 1 or cut_off:
        return -1, 0.0
    number = digits / _POWERS[decimals]
    signed = negative and (digits > 0 or dot >= 0)  # msgspec takes -0 for a whole number, which has no sign
    return at - 1, -number if signed else number


@_part
def _two(data: Bytes, at: int) -> int:
    """Two digits as a number, far below zero when they are none."""
    if _is_digit(data[at]) and _is_digit(data[at + 1]):
        return (data[at] - _ZERO) * 10 + data[at + 1] - _ZERO
    return -100_000


@_part
def _time(data: Bytes, at: int, end: int) -> Any:
    """The place of the closing quote and the ts_ms of `YYYY-MM-DDThh:mm:ss[.fff]Z`."""
    if end - at < 21:
        return -1, 0
    year = _two(data, at) * 100 + _two(data, at + 2)
    month, day = _two(data, at + 5), _two(data, at + 8)
    hour, minute, second = _two(data, at + 11), _two(data, at + 14), _two(data, at + 17)
    dashed = data[at + 4] == _MINUS and data[at + 7] == _MINUS and data[at + 10] == _T
    if not dashed or data[at + 13] != _COLON or data[at + 16] != _COLON:
        return -1, 0
    if year < 1970 or not 1 <= month <= 12 or hour < 0 or minute < 0 or second < 0:
        return -1, 0
    leap = month == 2 and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if not 1 <= day <= _MONTH_DAYS[month - 1] + leap or hour > 23 or minute > 59 or second > 59:
        return -1, 0
    at, ms = _fraction(data, at + 19, end)
    if end - at < 2 or data[at] != _Z or data[at + 1] != _QUOTE:
        return -1, 0
    return at + 1, (_days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second) * 1000 + ms


@_part
def _fraction(data: Bytes, at: int, end: int) -> Any:
    """The place after a fraction of a second, and its milliseconds, rounded; `end` when it has no digits."""
    if data[at] != _DOT:
        return at, 0
    at += 1
    begin, ten_thousandths, unit = at, 0, 1000
    while at < end and _is_digit(data[at]):
        ten_thousandths += (data[at] - _ZERO) * unit
        unit //= 10
        at += 1
    return (at if at > begin else end), (ten_thousandths + 5) // 10


@_part
def _days(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01 in the Gregorian calendar (Fliegel and Van Flandern 1968)."""
    a = (14 - month) // 12
    y, m = year + 4800 - a, month + 12 * a - 3
    return day + (153 * m + 2) // 5 + 365 * y + y // 4 - y // 100 + y // 400 - 32045 - 2440588


@_part
def _which_key(data: Bytes, at: int, length: int) -> int:
    for key in range(len(_KEY_LENGTHS)):
        if _KEY_LENGTHS[key] == length:
            k = 0
            while k < length and data[at + k] == _KEY_BYTES[key, k]:
                k += 1
            if k == length:
                return key
    return OTHER


@_part
def _table_size(n: int) -> int:
    size = 16
    while size < 2 * n:
        size *= 2
    return size


@_part
def _code(data: Bytes, begin: int, end: int, table: Places, names: Places, known: int) -> Any:
    """The code of a driver by its name, a new one when it is new; and how many are known then."""
    mixed = 0
    for at in range(begin, end):
        mixed = (mixed ^ int(data[at])) * 1_099_511_628_211  # FNV-1, wraps around
    slot = (mixed ^ (mixed >> 32)) & (len(table) - 1)
    while table[slot] >= 0:
        code = table[slot]
        if names[code, 1] - names[code, 0] == end - begin:
            k = 0
            while k < end - begin and data[names[code, 0] + k] == data[begin + k]:
                k += 1
            if k == end - begin:
                return code, known
        slot = (slot + 1) & (len(table) - 1)
    table[slot] = known
    names[known, 0], names[known, 1] = begin, end
    return known, known + 1
