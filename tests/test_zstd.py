"""Zstandard with kept contexts: what others wrote is read, others read what it wrote, in any thread."""

import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import zstandard
from aiokafka.codec import zstd_decode, zstd_encode
from hypothesis import given
from hypothesis import strategies as st

from geofence import zstd
from streams.compression import unpack_zstd

BATCH = """
import sys
from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder
from geofence import zstd
from streams.compression import keep_contexts

def batch():
    builder = DefaultRecordBatchBuilder(2, 4, 0, -1, -1, -1, 1 << 20)
    for n in range(20):
        builder.append(n, 1_000 + n, b"key", b"value" * 30, [])
    return bytes(builder.build())

before, made = batch(), []
compress = zstd.compress
zstd.compress = lambda data: made.append(data) or compress(data)
keep_contexts()
after = batch()
assert len(made) == 1
for raw in (before, after):
    assert [r.value for r in DefaultRecordBatch(bytearray(raw))] == [b"value" * 30] * 20
"""


@given(st.binary(max_size=5000))
def test_frames_are_those_of_others(data):
    assert zstd.decompress(zstd_encode(data)) == zstd_decode(zstd.compress(data)) == data
    assert unpack_zstd(memoryview(zstd.compress(data))) == data


@given(st.binary(min_size=1, max_size=5000))
def test_batches_of_any_producer_are_read(data):
    stream = zstandard.ZstdCompressor().compressobj()
    unknown = stream.compress(data) + stream.flush()
    assert zstandard.frame_content_size(unknown) < 0
    assert unpack_zstd(unknown) == data
    assert unpack_zstd(zstd.compress(data) + zstd.compress(data)) == data + data


def test_a_frame_cut_short_is_an_error():
    frame = zstd.compress(random.Random(0).randbytes(5000))
    with pytest.raises(zstd.ZstdError):
        zstd.decompress(frame[:-10])
    with pytest.raises(Exception, match=r"(?i)incomplete|frame|end"):
        unpack_zstd(frame[:-10])


def test_threads_do_not_disturb_each_other():
    data = [random.Random(n).randbytes(50) * 2000 for n in range(64)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda d: zstd.decompress(zstd.compress(d)), data)) == data


def test_aiokafka_compresses_and_reads_with_them_when_told_to():
    subprocess.run([sys.executable, "-c", BATCH], check=True)
