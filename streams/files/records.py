"""Reads files of fences, routes, manual records and weather; the first thing wrong ends it."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Final, TypeVar

import msgspec

from geofence.errors import InvalidFence, InvalidRecord
from geofence.events import DeviceFenceEvent
from geofence.fences import Fence
from geofence.routes import Route
from models.weather import Weather
from streams.errors import UnreadableInput
from streams.files.opening import STDIN, file_name, read_lines, read_whole
from streams.records.inputs import (
    ManualRecord,
    decode_device_event,
    decode_fence,
    decode_manual,
    decode_route,
    decode_weather,
)
from streams.records.reasons import UNREADABLE, reason_of

Record = TypeVar("Record")


class Collection(msgspec.Struct):
    """A FeatureCollection whose features are still bytes."""

    type: str
    features: list[msgspec.Raw] | msgspec.UnsetType = msgspec.UNSET


_collection: Final = msgspec.json.Decoder(Collection).decode


def read_fences(path: str) -> Iterator[Fence]:
    """The fences of a FeatureCollection, a single Feature or GeoJSON Lines.

    Raises UnreadableInput naming the file, the feature or line, and the field.
    """
    data = read_whole(path) if path == STDIN or not _is_lines(path) else None
    if data is None or _begins_with_feature(data):
        lines = read_lines(path) if data is None else enumerate(data.split(b"\n"), start=1)
        yield from _each(path, lines, lambda line: decode_fence(line.lstrip(b"\x1e")))
    else:
        yield from _features(file_name(path), data)


def read_routes(path: str) -> Iterator[Route]:
    """The routes of JSON Lines. Raises UnreadableInput naming the file, line and field."""
    return each_line(path, decode_route)


def read_manual(path: str) -> Iterator[ManualRecord]:
    """The manual records of JSON Lines. Raises UnreadableInput naming the file, line and field."""
    return each_line(path, decode_manual)


def read_weather(path: str) -> Iterator[Weather]:
    """The weather of JSON Lines. Raises UnreadableInput naming the file, line and field."""
    return each_line(path, decode_weather)


def read_device_events(path: str) -> Iterator[DeviceFenceEvent]:
    """The device events of JSON Lines. Raises UnreadableInput naming the file, line and field."""
    return each_line(path, decode_device_event)


def each_line(path: str, decode: Callable[[bytes], Record]) -> Iterator[Record]:
    """What each line that is not blank decodes to. Raises UnreadableInput naming the file, line and field."""
    return _each(path, read_lines(path), decode)


def _each(
    path: str, lines: Iterable[tuple[int, bytes]], decode: Callable[[bytes], Record]
) -> Iterator[Record]:
    for number, line in lines:
        if not line.strip():
            continue
        try:
            record = decode(line)
        except InvalidRecord as error:
            raise UnreadableInput(file_name(path), error.reason, line=number, field=error.field) from error
        yield record


def _is_lines(path: str) -> bool:
    """Whether this is GeoJSON Lines: the first line is a Feature by itself, and more follow."""
    lines = [line for _, line in islice(read_lines(path), 2)]
    return len(lines) == 2 and _begins_with_feature(lines[0])


def _begins_with_feature(data: bytes) -> bool:
    """Whether the first line is a whole Feature."""
    first = data.lstrip().partition(b"\n")[0]
    try:
        feature: object = msgspec.json.decode(first.lstrip(b"\x1e"))
    except UNREADABLE:
        return False
    return isinstance(feature, dict) and feature.get("type") == "Feature"


def _features(name: str, data: bytes) -> Iterator[Fence]:
    if not data.strip():
        return
    try:
        collection = _collection(data)
    except UNREADABLE as error:
        reason, field = reason_of(error)
        raise UnreadableInput(name, reason, line=_line_of(data, error), field=field) from error
    features: list[msgspec.Raw] = []
    if collection.type == "Feature":
        features = [msgspec.Raw(data)]
    elif collection.type == "FeatureCollection" and collection.features is not msgspec.UNSET:
        features = collection.features
    else:
        raise UnreadableInput(name, f"a {collection.type!r} holds no features", field="type")
    for number, feature in enumerate(features, start=1):
        try:
            fence = decode_fence(bytes(feature))
        except InvalidFence as error:
            place = {"line": number, "field": error.field, "what": "feature"}
            raise UnreadableInput(name, error.reason, **place) from error  # type: ignore[arg-type]
        yield fence


def _line_of(data: bytes, error: Exception) -> int:
    """The line at which JSON is broken; the last one when it just ends."""
    _, _, after = str(error).partition("(byte ")
    at = int(after.rstrip(")")) if after.rstrip(")").isdecimal() else len(data.rstrip())
    return data.count(b"\n", 0, at) + 1
