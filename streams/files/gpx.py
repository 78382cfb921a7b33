"""Pings from GPX tracks; the driver is the track's name unless one is given."""

from collections.abc import Iterator
from typing import Any

import gpxpy
from gpxpy.gpx import GPXException

from geofence.errors import InvalidPing, InvalidRecord
from geofence.events import Ping, PingBatch
from streams.errors import UnreadableInput
from streams.files.opening import Advance, file_name, read_whole, size_of
from streams.files.pings import BadLine, PingsRead
from streams.records.pings import require_ping


def read_gpx(
    path: str,
    driver: str | None,
    batch_bytes: int,  # noqa: ARG001 (GPX is read whole)
    advance: Advance | None,
) -> Iterator[PingsRead]:
    """The points of all tracks, a batch a track; `driver` goes before the tracks' names.

    Accuracy and speed are taken from extensions of these names, as logging apps write them. A bad point's
    line is its number in the file.
    """
    size = size_of(path)
    number = 0
    for track in _tracks(path):
        pings: list[Ping] = []
        bad: list[BadLine] = []
        for point in (p for segment in track.segments for p in segment.points):
            number += 1
            try:
                pings.append(_ping(driver or track.name or "", point))
            except InvalidRecord as error:
                bad.append(BadLine(number, error.reason, error.field, str(point).encode()))
        yield PingsRead(PingBatch.of(pings), bad)
    if advance is not None and size is not None:
        advance(size)


def _tracks(path: str) -> list[Any]:
    try:
        tracks: list[Any] = gpxpy.parse(read_whole(path)).tracks
    except (GPXException, UnicodeDecodeError, ValueError) as error:
        why = " ".join(str(error).removeprefix("Error parsing XML: ").split())
        raise UnreadableInput(file_name(path), f"is no readable GPX: {why}") from error
    return tracks


def _ping(driver_id: str, point: Any) -> Ping:
    if not driver_id:
        raise InvalidPing("is missing: name the track or give --driver", "driver_id")
    if point.time is None:
        raise InvalidPing("is missing", "ts")
    ts_ms = require_ping(driver_id, point.time.timestamp(), point.latitude, point.longitude)
    return Ping(
        driver_id,
        ts_ms,
        point.latitude,
        point.longitude,
        _extension(point, "accuracy"),
        point.speed if point.speed is not None else _extension(point, "speed"),
    )


def _extension(point: Any, name: str) -> float | None:
    """The number in an extension of that name, whatever its namespace; None for none or a negative one."""
    for element in (e for extension in point.extensions for e in extension.iter()):
        if str(element.tag).rpartition("}")[2] == name:
            try:
                number = float(element.text or "")
            except ValueError:
                return None
            return number if number >= 0 else None
    return None
