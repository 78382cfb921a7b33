"""Has Kafka's batches compressed and read with contexts of Zstandard that are kept, for aiokafka too."""

from importlib import import_module
from typing import Final

from aiokafka.codec import zstd_decode

from geofence import zstd

CODERS: Final = ("aiokafka.record.default_records", "aiokafka.record._crecords.default_records")
"""Modules that compress and read batches: in Python and, where there is one, compiled."""


def keep_contexts() -> None:
    """Have aiokafka do so from now on; it makes a context for each batch, however small."""
    for name in CODERS:
        try:
            module = import_module(name)
        except ImportError:
            continue
        module.zstd_encode, module.zstd_decode = zstd.compress, unpack_zstd  # type: ignore[attr-defined]


def unpack_zstd(payload: bytes | memoryview) -> bytes:
    """The records of a batch. What is not one frame that says its length is left to aiokafka."""
    try:
        return zstd.decompress(payload)
    except zstd.ZstdError:
        return bytes(zstd_decode(payload))
