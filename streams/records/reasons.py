"""Turns what msgspec says about a record into a reason and the name of the field."""

import re
from collections.abc import Callable
from typing import Any, Final, TypeVar

import msgspec

from geofence.errors import InvalidRecord

Wire = TypeVar("Wire")

_MISSING: Final = re.compile(r"Object missing required field `([^`]+)`(?: - at `\$\.?([^`]*)`)?")
_AT_FIELD: Final = re.compile(r"(.*) - at `\$\.?([^`]*)`", re.DOTALL)

LARGEST_WHOLE: Final = 1 << 53
"""Beyond it, numbers that JSON readers take for floats run into each other."""

UNREADABLE: Final = (ValueError, TypeError, RecursionError)
"""What msgspec raises on bad input: its own errors and bad UTF-8 are ValueErrors; deep nesting recurses."""


def reason_of(error: Exception) -> tuple[str, str | None]:
    """Why a record could not be decoded, and the field it is about (None: the record as a whole).

    >>> reason_of(ValueError("Expected `float`, got `str` - at `$.lat`"))
    ('expected float, got str', 'lat')
    """
    if isinstance(error, InvalidRecord):
        return error.reason, error.field
    if isinstance(error, UnicodeDecodeError):
        return "is not UTF-8", None
    if isinstance(error, RecursionError):
        return "is nested too deeply", None
    message = str(error)
    if missing := _MISSING.fullmatch(message):
        return "is missing", _join(missing[2], missing[1])
    if at := _AT_FIELD.fullmatch(message):
        return _lower(at[1]), at[2]
    if isinstance(error, msgspec.DecodeError) and not isinstance(error, msgspec.ValidationError):
        return f"is not JSON: {_lower(message.removeprefix('JSON is malformed: '))}", None
    return _lower(message), None


def read(decode: Callable[[bytes], Wire], value: bytes, error_type: type[InvalidRecord]) -> Wire:
    """The decoded value; `error_type` with reason and field when it cannot be decoded."""
    try:
        return decode(value)
    except UNREADABLE as error:
        raise error_type(*reason_of(error)) from None


def whole(value: float, field: str, error_type: type[InvalidRecord]) -> int:
    """A whole number, also when written as 3.0, that states and tables have room for."""
    if not abs(value) <= LARGEST_WHOLE:
        raise error_type(f"{str(value)[:40]} is not between -2^53 and 2^53", field)
    if value != int(value):
        raise error_type(f"{value} is not a whole number", field)
    return int(value)


def _join(path: str | None, name: str) -> str:
    return f"{path}.{name}" if path else name


def _lower(message: str) -> str:
    text: Any = message.replace("`", "")
    return f"{text[:1].lower()}{text[1:]}"
