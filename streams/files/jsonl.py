"""Pings from JSON Lines: one ping or an array of pings a line."""

from collections.abc import Iterator
from typing import Final

from streams.files.opening import Advance, Block, read_blocks
from streams.files.pings import BadLine, PingsRead
from streams.records.pings import decode_pings, joined

BLOCK_BYTES: Final = 1 << 17
"""Text decoded at once: some 1,000 pings, which stay in the processor's cache."""


def read_jsonl(
    path: str,
    driver: str | None,  # noqa: ARG001 (every line names its driver)
    batch_bytes: int,
    advance: Advance | None,
) -> Iterator[PingsRead]:
    """The pings of JSON Lines; blank lines are passed over."""
    reads: list[PingsRead] = []
    held = 0
    for block in read_blocks(path, min(BLOCK_BYTES, batch_bytes), advance):
        reads.append(_decoded(block))
        held += len(block.data)
        if held >= batch_bytes:
            yield _together(reads)
            reads, held = [], 0
    if reads:
        yield _together(reads)


def _together(reads: list[PingsRead]) -> PingsRead:
    return PingsRead(joined([r.batch for r in reads]), [bad for r in reads for bad in r.bad])


def _decoded(block: Block) -> PingsRead:
    lines = block.lines()
    got = decode_pings(lines)
    bad = [
        BadLine(block.first + b.index, b.reason, b.field, lines[b.index])
        for b in got.bad
        if lines[b.index].strip()
    ]
    return PingsRead(got.batch, bad)
