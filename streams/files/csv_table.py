"""Pings from CSV with the contract's names as columns; a row is one line, an empty cell a missing value."""

import csv
from collections.abc import Iterator, Sequence
from typing import Final

import pyarrow as pa
import pyarrow.csv as pa_csv

from geofence.errors import InvalidPing, InvalidRecord
from geofence.events import Ping, PingBatch
from streams.errors import UnreadableInput
from streams.files.columns import OPTIONAL, REQUIRED, is_number, pings_of, require_columns
from streams.files.opening import Advance, Block, file_name, read_blocks
from streams.files.pings import BadLine, PingsRead
from streams.records.pings import require_ping

TYPES: Final = {
    "driver_id": pa.string(),
    "ts": pa.string(),
    "lat": pa.float64(),
    "lon": pa.float64(),
    "accuracy_m": pa.float64(),
    "speed_mps": pa.float64(),
}


def read_csv(path: str, driver: str | None, batch_bytes: int, advance: Advance | None) -> Iterator[PingsRead]:
    """The pings of a CSV file; `driver` is whose they are when there is no column `driver_id`."""
    header: list[str] | None = None
    for block in read_blocks(path, batch_bytes, advance):
        if header is None:
            header = _header(file_name(path), block, driver)
            block = Block(block.first + 1, block.data.partition(b"\n")[2])
        if block.data:
            yield _fast(block, header, driver) or _line_by_line(block, header, driver)


def _header(name: str, block: Block, driver: str | None) -> list[str]:
    try:
        cells = [c.strip() for c in _cells(block.lines()[0])]
    except InvalidRecord as error:
        raise UnreadableInput(name, error.reason, line=1) from error
    require_columns(name, cells, driver)
    return cells


def _fast(block: Block, header: Sequence[str], driver: str | None) -> PingsRead | None:
    """All rows at once; None when one of them is not in order."""
    try:
        table = pa_csv.read_csv(
            pa.py_buffer(block.data),
            pa_csv.ReadOptions(use_threads=False, column_names=header, block_size=len(block.data) + 1),
            pa_csv.ParseOptions(newlines_in_values=False),
            pa_csv.ConvertOptions(
                column_types=TYPES,
                include_columns=[c for c in (*REQUIRED, *OPTIONAL) if c in header],
                strings_can_be_null=True,
                null_values=[""],
            ),
        )
        columns = {name: table[name].combine_chunks() for name in table.column_names}
        read = pings_of(columns, driver, block.first, lambda _row: b"")
    except (pa.ArrowInvalid, pa.ArrowKeyError):
        return None
    return None if read.bad else read


def _line_by_line(block: Block, header: Sequence[str], driver: str | None) -> PingsRead:
    pings: list[Ping] = []
    bad: list[BadLine] = []
    for number, line in enumerate(block.lines(), start=block.first):
        if not line.strip():
            continue
        try:
            pings.append(_ping(_cells(line), header, driver))
        except InvalidRecord as error:
            bad.append(BadLine(number, error.reason, error.field, line))
    return PingsRead(PingBatch.of(pings), bad)


def _cells(line: bytes) -> list[str]:
    try:
        return next(csv.reader([line.decode().rstrip("\r")], strict=True))
    except UnicodeDecodeError:
        raise InvalidPing("is not UTF-8") from None
    except csv.Error as error:
        raise InvalidPing(f"is not CSV: {error}") from None


def _ping(cells: Sequence[str], header: Sequence[str], driver: str | None) -> Ping:
    if len(cells) > len(header):
        raise InvalidPing(f"has {len(cells)} cells, the header {len(header)}")
    row = {name: cell for name, cell in zip(header, cells, strict=False) if cell}
    if driver is not None and "driver_id" not in header:
        row["driver_id"] = driver
    for name in REQUIRED:
        if name not in row:
            raise InvalidPing("is missing", name)
    lat, lon = _number(row, "lat"), _number(row, "lon")
    assert lat is not None
    assert lon is not None
    ts = float(row["ts"]) if is_number(row["ts"]) else row["ts"]
    ts_ms = require_ping(row["driver_id"], ts, lat, lon)
    return Ping(row["driver_id"], ts_ms, lat, lon, _known(row, "accuracy_m"), _known(row, "speed_mps"))


def _known(row: dict[str, str], name: str) -> float | None:
    number = _number(row, name)
    return None if number is None or number < 0 else number


def _number(row: dict[str, str], name: str) -> float | None:
    if name not in row:
        return None
    try:
        return float(row[name])
    except ValueError:
        raise InvalidPing(f"{row[name]!r} is not a number", name) from None
