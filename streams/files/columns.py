"""Arrow columns, however typed, made into the columns of a ping batch; rows that cannot be used are told."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from geofence.errors import InvalidRecord
from geofence.events import PingBatch
from geofence.times import UNREADABLE_MS, parse_joined, parse_times
from streams.errors import UnreadableInput
from streams.files.pings import BadLine, PingsRead
from streams.records.pings import require_ping, usable_rows

REQUIRED: Final = ("driver_id", "ts", "lat", "lon")
OPTIONAL: Final = ("accuracy_m", "speed_mps")

Floats = npt.NDArray[np.float64]
RowValue = Callable[[int], bytes]


def require_columns(name: str, there: Sequence[str], driver: str | None) -> None:
    """UnreadableInput when a column that pings must have is missing."""
    missing = [c for c in REQUIRED if c not in there and not (c == "driver_id" and driver is not None)]
    if missing:
        raise UnreadableInput(name, f"there is no such column, only {', '.join(there)}", field=missing[0])


def pings_of(
    columns: Mapping[str, pa.Array], driver: str | None, first_line: int, value_of: RowValue
) -> PingsRead:
    """A batch of the usable rows; the others by their line, counted from `first_line`, with their bytes.

    Raises pyarrow.ArrowInvalid (or TypeError) when a column holds something else than its kind of value.
    """
    rows = len(columns["ts"])
    names, codes = _drivers(columns.get("driver_id"), driver, rows)
    batch = PingBatch(
        names=names,
        codes=codes,
        ts_ms=times_of(columns["ts"]),
        lat=numbers_of(columns["lat"]),
        lon=numbers_of(columns["lon"]),
        accuracy_m=_known(columns.get("accuracy_m"), rows),
        speed_mps=_known(columns.get("speed_mps"), rows),
    )
    usable = usable_rows(batch)
    if usable.all():
        return PingsRead(batch, [])
    bad = [
        BadLine(first_line + row, *_why(batch, columns["ts"], row), value_of(row))
        for row in np.flatnonzero(~usable).tolist()
    ]
    return PingsRead(batch.select(usable), bad)


def numbers_of(column: pa.Array) -> Floats:
    """Numbers, NaN where there are none."""
    numbers: Floats = _values(pc.cast(column, pa.float64()))
    return numbers


def times_of(column: pa.Array) -> npt.NDArray[np.int64]:
    """Milliseconds since 1970 of timestamps (without a zone: UTC), RFC 3339 texts or seconds since 1970."""
    if pa.types.is_timestamp(column.type):
        in_ms = pc.cast(pc.cast(column, pa.timestamp("ms", column.type.tz), safe=False), pa.int64())
        return np.asarray(_values(_filled(in_ms, UNREADABLE_MS)), dtype=np.int64)
    alike = _parsed_alike(column) if pa.types.is_string(column.type) and not column.null_count else None
    if alike is not None:
        return alike
    values = column.to_pylist()
    if pa.types.is_string(column.type) and any(v and is_number(v) for v in values[:1]):
        values = [float(v) if v and is_number(v) else v for v in values]
    return parse_times(values)


def _parsed_alike(texts: pa.StringArray) -> npt.NDArray[np.int64] | None:
    """Times that are all written alike, straight from the column's characters; None when they are not."""
    _, offsets, characters = texts.buffers()
    bounds = np.frombuffer(offsets, dtype=np.int32)[texts.offset : texts.offset + len(texts) + 1]
    lengths = np.diff(bounds)
    if not len(lengths) or lengths[0] == 0 or (lengths != lengths[0]).any():
        return None
    return parse_joined(np.frombuffer(characters, dtype=np.uint8)[bounds[0] : bounds[-1]], len(texts))


def is_number(text: str) -> bool:
    """Whether a text is a plain decimal number."""
    return text.replace(".", "", 1).lstrip("-").isdecimal()


def _drivers(
    column: pa.Array | None, driver: str | None, rows: int
) -> tuple[list[str], npt.NDArray[np.int32]]:
    """Drivers' ids, each once, and the place of each row's among them; an empty one where there is none."""
    if column is None:
        return [driver or ""], np.zeros(rows, dtype=np.int32)
    coded = _filled(pc.cast(column, pa.string()), "").dictionary_encode()
    return coded.dictionary.to_pylist(), _values(coded.indices).astype(np.int32)


# Making an Arrow value, or `to_numpy`, loads pandas, which takes longer than reading half a million pings.


def _filled(column: pa.Array, value: str | int) -> pa.Array:
    """The column with that value where it has none."""
    return pc.fill_null(column, value) if column.null_count else column


def _values(numbers: pa.Array) -> npt.NDArray[Any]:
    """The numbers of a column, NaN where there are none."""
    if not numbers.null_count:
        return np.from_dlpack(numbers)
    buffers = [None, numbers.buffers()[1]]
    values = np.from_dlpack(pa.Array.from_buffers(numbers.type, len(numbers), buffers, offset=numbers.offset))
    missing = np.from_dlpack(pc.cast(pc.is_null(numbers), pa.uint8()))
    return np.where(missing == 1, np.nan, values)


def _known(column: pa.Array | None, rows: int) -> Floats:
    if column is None or column.null_count == rows:
        return np.full(rows, np.nan)
    numbers = numbers_of(column).copy()
    numbers[numbers < 0] = np.nan
    return numbers


def _why(batch: PingBatch, times: pa.Array, row: int) -> tuple[str, str | None]:
    """What is wrong with a row: asked of the original values where they say more."""
    given: Any = times[row].as_py()
    for field, value in (("ts", given), ("lat", batch.lat[row]), ("lon", batch.lon[row])):
        if value is None or value != value:
            return "is missing", field
    ts: object = int(batch.ts_ms[row]) / 1000 if batch.ts_ms[row] != UNREADABLE_MS else given
    try:
        require_ping(batch.names[batch.codes[row]], ts, float(batch.lat[row]), float(batch.lon[row]))
    except InvalidRecord as error:
        return error.reason, error.field
    raise AssertionError(f"row {row} is usable")
