"""Writes records a line each: whole files or none, compressed by name, `-` for stdout."""

import errno
import gzip
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final, Protocol, cast

from streams.files.opening import STDIN
from streams.records.encoding import encode

NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""What writing fails with when a disk is full, or one's share of it."""


class Sink(Protocol):
    """What records are written to."""

    def write(self, records: Iterable[Any]) -> None:
        """Write each as one line of JSON."""
        ...

    def put(self, lines: bytes) -> None:
        """Write lines of JSON as they are."""
        ...


def lines_of(records: Iterable[Any]) -> Iterator[bytes]:
    """Each record as one line of JSON."""
    return (encode(record) + b"\n" for record in records)


class _Lines:
    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def write(self, records: Iterable[Any]) -> None:
        for line in lines_of(records):  # zstandard's writer knows no writelines
            self._stream.write(line)

    def put(self, lines: bytes) -> None:
        self._stream.write(lines)


class Nowhere:
    """A sink that drops what it is given, where no file was asked for."""

    def write(self, records: Iterable[Any]) -> None:
        """Nothing happens."""

    def put(self, lines: bytes) -> None:
        """Nothing happens."""


@contextmanager
def writing(path: str | None) -> Iterator[Sink]:
    """A sink for a .jsonl file (also .gz and .zst) that appears, whole, when the block ends without an error.

    `-` writes to stdout at once; None writes nowhere. The same records give the same bytes. Raises OSError.
    """
    if path is None:
        yield Nowhere()
    elif path == STDIN:
        yield _Lines(sys.stdout.buffer)
        sys.stdout.buffer.flush()
    else:
        with whole_file(Path(path)) as raw, _packed(path, raw) as stream:
            yield _Lines(stream)


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """A file beside `path` that takes its place when the block ends without an error, else is gone."""
    if path.exists() and not path.is_file():  # a pipe or a device: it cannot be replaced
        with path.open("wb") as stream:
            yield stream
        return
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        stream = beside.open("wb")
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    try:
        with stream:
            yield stream
    except BaseException as error:
        beside.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise
    beside.replace(path)


@contextmanager
def _packed(path: str, raw: IO[bytes]) -> Iterator[IO[bytes]]:
    if path.endswith(".gz"):
        with gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0, compresslevel=6) as stream:
            yield cast("IO[bytes]", stream)
    elif path.endswith(".zst"):
        import zstandard

        with zstandard.ZstdCompressor().stream_writer(raw, closefd=False) as stream:
            yield stream
    else:
        yield raw
