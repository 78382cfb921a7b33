"""Zstandard with contexts that are kept: to make one takes ten times as long as the work on a few pings."""

from threading import local
from typing import Final

import zstandard
from zstandard import ZstdError

__all__ = ["ZstdError", "compress", "decompress"]

LEVEL: Final = 1


class _Contexts(local):
    """One pair a thread: two must not use it at once."""

    def __init__(self) -> None:
        self.compressor = zstandard.ZstdCompressor(level=LEVEL)
        self.decompressor = zstandard.ZstdDecompressor()


_contexts: Final = _Contexts()


def compress(data: bytes | memoryview) -> bytes:
    """As one frame, which says how long the data are."""
    return bytes(_contexts.compressor.compress(data))


def decompress(frame: bytes | memoryview) -> bytes:
    """What one frame holds, if it says how long that is. Raises `ZstdError` otherwise."""
    return bytes(_contexts.decompressor.decompress(frame, allow_extra_data=False))
