"""Opens files by name for reading: plain, .gz, .zst, or `-` for stdin; what goes wrong names the file."""

import gzip
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path, PurePath
from typing import IO, Any, Final, Protocol, cast

from streams.ending import wait_for
from streams.errors import UnreadableInput

STDIN: Final = "-"
COMPRESSIONS: Final = (".gz", ".zst")
LONGEST_LINE: Final = 64 << 20
"""Bytes; a longer line is no line of ours."""


class Readable(Protocol):
    """What bytes are read from."""

    def read(self, size: int, /) -> bytes:
        """That many bytes, fewer only at the end."""
        ...


class _Stdin:
    """What comes on stdin; whoever waits for it can be told to end."""

    def read(self, size: int, /) -> bytes:
        """That many bytes, fewer only at the end."""
        stdin, parts = cast(BufferedReader, sys.stdin.buffer), []
        while size > 0:
            wait_for(stdin)
            part = stdin.read1(size)
            if not part:
                break
            parts.append(part)
            size -= len(part)
        return b"".join(parts)


Advance = Callable[[float], None]
"""Is told how many more bytes of a file, as it lies on disk, have been read."""


def file_name(path: str) -> str:
    """The name by which messages and dead letters call a file."""
    return "stdin" if path == STDIN else path


def kind_of(path: str) -> str:
    """The extension that tells the format, in small letters: `.jsonl` for `x.jsonl.gz`."""
    if path == STDIN:
        return ".jsonl"
    name = PurePath(path)
    return PurePath(name.stem).suffix.lower() if name.suffix.lower() in COMPRESSIONS else name.suffix.lower()


def is_dataset(path: str) -> bool:
    """Whether what lies there is a data set of many files."""
    return "://" in path or Path(path).is_dir()


def size_of(path: str) -> int | None:
    """Bytes on disk, None for stdin. Raises UnreadableInput when there is no such file."""
    if path == STDIN:
        return None
    with complaints(path):
        return Path(path).stat().st_size


@dataclass
class Source:
    """An open file: bytes unpacked, and how far along the file itself is."""

    name: str
    stream: Readable
    _raw: IO[bytes] | None
    _told: int = field(default=0)

    def progress(self) -> int:
        """Bytes of the file read since the last call."""
        if self._raw is None:
            return 0
        at = self._raw.tell()
        self._told, before = at, self._told
        return at - before


@contextmanager
def opened(path: str) -> Iterator[Source]:
    """The unpacked bytes of a file. Raises UnreadableInput, also for what goes wrong in the block."""
    with complaints(path):
        if path == STDIN:
            yield Source(file_name(path), _Stdin(), None)
            return
        with Path(path).open("rb") as raw:
            yield Source(file_name(path), _unpacked(path, raw), raw)


@contextmanager
def complaints(path: str) -> Iterator[None]:
    """Turns what the system says about a file into UnreadableInput."""
    try:
        yield
    except (EOFError, zlib.error) as error:
        raise UnreadableInput(file_name(path), f"cannot be unpacked: {_lower(error)}") from error
    except OSError as error:
        if error.filename not in (None, path):
            raise
        raise UnreadableInput(file_name(path), _lower(error.strerror or error)) from error


def read_whole(path: str) -> bytes:
    """All bytes of a file, unpacked."""
    with opened(path) as source:
        parts = []
        while part := source.stream.read(1 << 22):
            parts.append(part)
        return b"".join(parts)


@dataclass(frozen=True, slots=True)
class Block:
    """Some whole lines as they stand in a file; `first` is the number of the first, from 1."""

    first: int
    data: bytes

    def lines(self) -> list[bytes]:
        """The lines without their ends."""
        return self.data.removesuffix(b"\n").split(b"\n")


def read_blocks(path: str, block_bytes: int = 1 << 20, advance: Advance | None = None) -> Iterator[Block]:
    """The text of a file in blocks of whole lines, each about `block_bytes` long.

    Raises UnreadableInput, with the line reached when what is wrong comes later than at the start.
    """
    first, rest = 1, b""
    try:
        with opened(path) as source:
            while part := source.stream.read(block_bytes):
                whole, rest = _cut(source.name, first, rest + part if rest else _without_mark(part, first))
                if whole:
                    yield Block(first, whole)
                    first += whole.count(b"\n")
                if advance is not None:
                    advance(source.progress())
    except UnreadableInput as error:
        if error.line is not None or first == 1:
            raise
        raise UnreadableInput(error.file, error.reason, line=first) from error
    if rest:
        yield Block(first, rest)


def read_lines(path: str) -> Iterator[tuple[int, bytes]]:
    """The lines of a file that are not blank, with their numbers from 1. Raises UnreadableInput."""
    for block in read_blocks(path):
        for number, line in enumerate(block.lines(), start=block.first):
            if line.strip():
                yield number, line


def _cut(name: str, first: int, text: bytes) -> tuple[bytes, bytes]:
    """The whole lines of a text, and what has begun after them."""
    end = text.rfind(b"\n") + 1
    if len(text) - end > LONGEST_LINE:
        number = first + text.count(b"\n")
        raise UnreadableInput(name, f"is longer than {LONGEST_LINE >> 20} MB", line=number)
    return text[:end], text[end:]


def _without_mark(text: bytes, first: int) -> bytes:
    """The text without the byte order mark that a file may begin with."""
    return text.removeprefix(b"\xef\xbb\xbf") if first == 1 else text


def _unpacked(path: str, raw: IO[bytes]) -> Readable:
    suffix = PurePath(path).suffix.lower()
    if suffix == ".gz":
        return gzip.GzipFile(fileobj=raw, mode="rb")
    if suffix == ".zst":
        import pyarrow as pa

        stream: Any = pa.CompressedInputStream(pa.PythonFile(raw, mode="r"), "zstd")
        return stream  # type: ignore[no-any-return]
    return raw


def _lower(error: object) -> str:
    text = " ".join(str(error).split())
    return f"{text[:1].lower()}{text[1:]}"
