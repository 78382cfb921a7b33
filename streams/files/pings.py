"""Reads pings of any supported file into columns, batch by batch, with what was wrong line by line."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from geofence.events import PingBatch
from streams.errors import UnreadableInput
from streams.files.opening import Advance, file_name, kind_of

BATCH_BYTES: Final = 24 << 20
"""Text read at once: some 200,000 pings. The more there are of a driver, the less each costs."""


@dataclass(frozen=True, slots=True)
class BadLine:
    """Why a line (from 1; a row or point in other formats) or one ping of its array is not used."""

    line: int
    reason: str
    field: str | None
    value: bytes


@dataclass(frozen=True, slots=True)
class PingsRead:
    """Good pings in the order of the file, and the bad lines."""

    batch: PingBatch
    bad: list[BadLine]


Reader = Callable[[str, str | None, int, Advance | None], Iterator[PingsRead]]


def read_pings(
    path: str,
    driver: str | None = None,
    batch_bytes: int = BATCH_BYTES,
    advance: Advance | None = None,
) -> Iterator[PingsRead]:
    """The pings of a .jsonl, .csv, .parquet or .gpx file, also .gz and .zst, or of JSON Lines on stdin (`-`).

    `driver` names the driver where the file does not. A bad line is told and does not stop the rest; raises
    UnreadableInput when the file is missing, damaged, of an unknown kind or holds no usable ping at all.
    """
    usable = False
    for read in _reader(path)(path, driver, batch_bytes, advance):
        if not usable and read.bad and len(read.batch) == 0:
            bad = read.bad[0]
            raise UnreadableInput(
                file_name(path), f"{bad.reason} (and no ping is usable)", line=bad.line, field=bad.field
            )
        usable = usable or len(read.batch) > 0
        yield read


def _reader(path: str) -> Reader:
    kind = kind_of(path)
    if kind in (".jsonl", ".ndjson", ".json"):
        from streams.files.jsonl import read_jsonl

        return read_jsonl
    if kind == ".csv":
        from streams.files.csv_table import read_csv

        return read_csv
    if kind == ".parquet":
        from streams.files.parquet_table import read_parquet

        return read_parquet
    if kind == ".gpx":
        from streams.files.gpx import read_gpx

        return read_gpx
    raise UnreadableInput(file_name(path), "is not a .jsonl, .csv, .parquet or .gpx file")
