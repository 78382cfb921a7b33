"""Records as they lie in Kafka's batches: columns of where each is, instead of an object for each."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple, Protocol, Self, overload

import numpy as np
import numpy.typing as npt

Columns = npt.NDArray[np.int64]

OFFSET, TIMESTAMP, KEY, KEY_END, VALUE, VALUE_END = range(6)
"""Rows of `columns`; key and value are bytes begin..end of the data, -1 and -1 for None."""

COLUMNS: Final = 6
NO_COLUMNS: Final = np.empty((COLUMNS, 0), np.int64)

Latest = dict[bytes, tuple[bytes | None, int]]
"""By key, the last value there is, and its timestamp."""


class KafkaRecord(Protocol):
    """What this project reads of a record; aiokafka's ConsumerRecord has it too."""

    @property
    def offset(self) -> int: ...  # noqa: D102

    @property
    def timestamp(self) -> int: ...  # noqa: D102

    @property
    def key(self) -> bytes | None: ...  # noqa: D102

    @property
    def value(self) -> bytes | None: ...  # noqa: D102


class Record(NamedTuple):
    """One of packed records."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


class PackedRecords(Sequence[Record]):
    """Consecutive records of one partition; parts of them share the same data."""

    __slots__ = ("columns", "data")

    def __init__(self, data: bytes, columns: Columns) -> None:
        self.data = data
        self.columns = columns

    @classmethod
    def of(cls, records: Iterable[KafkaRecord]) -> Self:
        """These records, packed."""
        columns: list[tuple[int, ...]] = []
        data = bytearray()
        for record in records:
            spans: tuple[int, ...] = ()
            for part in (record.key, record.value):
                begin = len(data)
                data += part or b""
                spans += (-1, -1) if part is None else (begin, len(data))
            columns.append((record.offset, record.timestamp, *spans))
        return cls(bytes(data), np.array(columns, np.int64).reshape(-1, COLUMNS).T)

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """The records of all parts, one after the other."""
        if len(parts) == 1:
            return parts[0]
        begin, columns = 0, [NO_COLUMNS]
        for part in parts:
            moved = part.columns.copy()
            moved[KEY:] += np.where(moved[KEY:] < 0, 0, begin)
            columns.append(moved)
            begin += len(part.data)
        return cls(b"".join([part.data for part in parts]), np.concatenate(columns, axis=1))

    def since(self, offset: int) -> Self:
        """Those from that offset on."""
        first = int(np.searchsorted(self.columns[OFFSET], offset))
        return type(self)(self.data, self.columns[:, first:]) if first else self

    def latest(self) -> Latest:
        """The last record of each key; those without a key are left out."""
        data = self.data
        return {
            data[key:key_end]: (None if value < 0 else data[value:value_end], timestamp)
            for timestamp, key, key_end, value, value_end in self.columns[TIMESTAMP:].T.tolist()
            if key >= 0
        }

    def __len__(self) -> int:
        return int(self.columns.shape[1])

    def __iter__(self) -> Iterator[Record]:
        data = self.data
        for offset, timestamp, key, key_end, value, value_end in self.columns.T.tolist():
            yield Record(
                offset,
                timestamp,
                None if key < 0 else data[key:key_end],
                None if value < 0 else data[value:value_end],
            )

    @overload
    def __getitem__(self, item: int) -> Record: ...

    @overload
    def __getitem__(self, item: slice) -> Self: ...

    def __getitem__(self, item: int | slice) -> Record | Self:
        if isinstance(item, slice):
            return type(self)(self.data, self.columns[:, item])
        (record,) = type(self)(self.data, self.columns[:, item, None])
        return record
