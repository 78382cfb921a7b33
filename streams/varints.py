"""Reads the records of a batch, message format 2 (Kafka's protocol guide, "Record"), with compiled code."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from geofence.compiling import kernel
from streams.packed import KEY, OFFSET, TIMESTAMP, VALUE

Bytes = npt.NDArray[np.uint8]
Columns = npt.NDArray[np.int64]

MOST_BITS: Final = 63
BROKEN: Final = -1


@kernel()
def read_records(data: Bytes, columns: Columns) -> bool:
    """Fill in the columns (see `packed`; offset and timestamp less the batch's own); whether all was well."""
    at = 0
    for k in range(columns.shape[1]):
        size, at = _varint(data, at)
        end = at + size
        if at == BROKEN or size < 1 or end > len(data):
            return False
        columns[TIMESTAMP, k], at = _varint(data, at + 1)  # after the attributes
        columns[OFFSET, k], at = _varint(data, at)
        for part in (KEY, VALUE):
            size, at = _varint(data, at)
            if at == BROKEN or at + size > end:
                return False
            columns[part, k] = columns[part + 1, k] = BROKEN
            if size >= 0:
                columns[part, k], columns[part + 1, k] = at, at + size
                at += size
        at = end  # headers are not used
    return at == len(data)


@kernel()
def _varint(data: Bytes, at: int) -> Any:
    """The signed number that begins there, and where it ends; BROKEN when it does not, or began nowhere."""
    number, bits = 0, 0
    while 0 <= at < len(data) and bits <= MOST_BITS:
        byte = int(data[at])
        number |= (byte & 0x7F) << bits
        at, bits = at + 1, bits + 7
        if byte < 0x80:
            return (number >> 1) ^ -(number & 1), at
    return 0, BROKEN
