"""Pings from Parquet with the contract's names as columns; times may be timestamps too."""

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from streams.errors import UnreadableInput
from streams.files.columns import OPTIONAL, REQUIRED, pings_of, require_columns
from streams.files.opening import COMPRESSIONS, Advance, complaints, file_name, read_whole, size_of
from streams.files.pings import PingsRead

BYTES_A_PING: Final = 128
"""What a ping takes as text: so batches are as many pings as of other files."""


def read_parquet(
    path: str, driver: str | None, batch_bytes: int, advance: Advance | None
) -> Iterator[PingsRead]:
    """The pings of a Parquet file; `driver` is whose they are when there is no column `driver_id`."""
    name = file_name(path)
    with complaints(path):
        try:
            yield from _batches(name, _opened(path), driver, batch_bytes // BYTES_A_PING, advance)
        except pa.ArrowException as error:
            raise UnreadableInput(name, f"is no readable Parquet: {_first_line(error)}") from error


def _opened(path: str) -> pq.ParquetFile:
    size_of(path)
    if path.lower().endswith(COMPRESSIONS):
        return pq.ParquetFile(pa.BufferReader(read_whole(path)))
    return pq.ParquetFile(path, memory_map=True)


def _batches(
    name: str, file: pq.ParquetFile, driver: str | None, rows: int, advance: Advance | None
) -> Iterator[PingsRead]:
    there = file.schema_arrow.names
    require_columns(name, there, driver)
    wanted = [c for c in (*REQUIRED, *OPTIONAL) if c in there]
    first, in_file = 1, sum(file.metadata.row_group(i).total_byte_size for i in range(file.num_row_groups))
    for batch in file.iter_batches(batch_size=max(1, rows), columns=wanted):
        columns = {c: column_of(name, batch, c, first) for c in wanted}
        yield pings_of(columns, driver, first, lambda row, b=batch: as_json(b, row))  # type: ignore[misc]
        first += batch.num_rows
        if advance is not None:
            advance(in_file * batch.num_rows / file.metadata.num_rows)


def column_of(name: str, batch: pa.RecordBatch, column: str, first: int) -> pa.Array:
    """The column as text, a time or numbers; UnreadableInput when it holds something else altogether."""
    array = batch.column(column)
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    try:
        if column == "driver_id":
            return array.cast(pa.string())
        if column != "ts":
            return array.cast(pa.float64())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise UnreadableInput(name, _first_line(error), line=first, field=column, what="row") from error
    return array


def as_json(batch: pa.RecordBatch, row: int) -> bytes:
    """A row as one object of JSON."""
    fields: dict[str, Any] = batch.slice(row, 1).to_pylist()[0]
    return json.dumps(fields, default=str).encode()


def _first_line(error: Exception) -> str:
    lines: Sequence[str] = str(error).splitlines() or [type(error).__name__]
    return lines[0]
