"""Pings of a data set: a directory of Parquet files, partitioned or not, or a Delta table."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds

from streams.errors import UnreadableInput
from streams.files.columns import OPTIONAL, REQUIRED, pings_of, require_columns
from streams.files.parquet_table import as_json, column_of
from streams.files.pings import PingsRead


def parts_of(path: str) -> list[Any]:
    """The row groups of a data set, in the order of its files' names; each can be sent to another process.

    Raises UnreadableInput.
    """
    try:
        found = _opened(path)
        require_columns(path, found.schema.names, None)
        fragments = sorted(found.get_fragments(), key=lambda f: f.path)
        groups = [group for f in fragments for group in f.split_by_row_group()]
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UnreadableInput(path, f"is no readable data set of Parquet files: {error}") from error
    if not groups:
        raise UnreadableInput(path, "holds no Parquet file with pings")
    return [(path, found.schema, group) for group in groups]


def read_part(part: Any) -> PingsRead:
    """The pings of one row group; `line` counts the rows of the group. Raises UnreadableInput."""
    path, schema, fragment = part
    wanted = [c for c in (*REQUIRED, *OPTIONAL) if c in schema.names]
    try:
        table = fragment.to_table(schema=schema, columns=wanted).combine_chunks()
    except (pa.ArrowException, OSError) as error:
        raise UnreadableInput(fragment.path, f"is no readable Parquet: {error}") from error
    batches: Sequence[pa.RecordBatch] = table.to_batches()
    if not batches:
        return pings_of({c: pa.array([], pa.string()) for c in wanted}, None, 1, lambda _: b"")
    batch = batches[0]
    columns = {c: column_of(path, batch, c, 1) for c in wanted}
    return pings_of(columns, None, 1, lambda row: as_json(batch, row))


def _opened(path: str) -> ds.Dataset:
    """A Delta table as it is now, else all Parquet files below a directory with `name=value` folders."""
    from deltalake import DeltaTable

    if DeltaTable.is_deltatable(path):
        return DeltaTable(path).to_pyarrow_dataset()
    return ds.dataset(path, format="parquet", partitioning="hive")
