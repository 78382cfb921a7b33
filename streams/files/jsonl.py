"""Pings from JSON Lines: one ping or an array of pings a line."""

from collections.abc import Iterator

from streams.files.opening import Advance, Block, read_blocks
from streams.files.pings import BadLine, PingsRead
from streams.records.pings import decode_lines


def read_jsonl(
    path: str,
    driver: str | None,  # noqa: ARG001 (every line names its driver)
    batch_bytes: int,
    advance: Advance | None,
) -> Iterator[PingsRead]:
    """The pings of JSON Lines; blank lines are passed over."""
    for block in read_blocks(path, batch_bytes, advance):
        yield _decoded(block)


def _decoded(block: Block) -> PingsRead:
    got = decode_lines(block.data)
    lines = block.lines() if got.bad else []
    bad = [
        BadLine(block.first + b.index, b.reason, b.field, lines[b.index])
        for b in got.bad
        if lines[b.index].strip()
    ]
    return PingsRead(got.batch, bad)
