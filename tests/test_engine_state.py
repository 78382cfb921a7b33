"""What is persisted of a driver comes back, and no more is written than has changed."""

import zlib

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from geofence import zstd
from geofence.fences import FenceSet
from geofence.saved import CHUNK_ROWS
from tests.playing import HOUR_MS, Store, cut
from tests.tracks import START_MS, Drawn, batch, circle, engine_of, plan

FENCES = [circle("a", 900)]


def long_track(seconds: int = 2000) -> Drawn:
    return Drawn(every_s=1, noise_m=3).stand(60).drive(900).stand(seconds)


def matrices(engine) -> dict[str, list[list[tuple]]]:
    return {
        driver_id: [[tuple(r) for r in np.nan_to_num(day.track.matrix(), nan=-1).tolist()] for day in d.days]
        for driver_id, d in engine._drivers.items()
    }


@given(
    st.lists(st.integers(0, 2000), max_size=12),
    st.lists(st.tuples(st.integers(0, 2000), st.integers(1, 80)), max_size=3),
)
@settings(max_examples=30)
def test_pings_come_back_whatever_was_late_and_whenever_it_was_saved(at, late):
    pings = long_track().pings[:2000]
    held = {n for begin, length in late for n in range(begin, min(begin + length, 2000))}
    order = [n for n in range(2000) if n not in held] + sorted(held)
    engine, store = engine_of(FENCES), Store()
    for part in cut(batch([pings[n] for n in order]), at):
        if len(part):
            engine.feed(part)
        store.apply(engine.take_dirty())
    assert matrices(store.revive(FenceSet(FENCES))) == matrices(engine)


def test_a_checkpoint_writes_little_more_than_the_new_pings():
    engine, written = engine_of(FENCES), []
    for part in cut(batch(long_track().pings), range(100, 2200, 10)):
        engine.feed(part)
        written.append([len(v) for d in engine.take_dirty().values() for v in d.chunks.values() if v])
    tails = [sizes for sizes in written[1:] if sizes and max(sizes) < 1000]
    assert len(tails) > 150
    assert all(len(sizes) == 1 for sizes in tails)


def test_there_are_few_tails_however_many_checkpoints_and_each_ping_is_written_few_times():
    engine, store = engine_of(FENCES), Store()
    pings = batch(long_track().pings[:500])
    sizes: list[int] = []
    for part in cut(pings, range(1, 500)):
        engine.feed(part)
        delta = engine.take_dirty()
        sizes += [len(v) for d in delta.values() for v in d.chunks.values() if v]
        store.apply(delta)
    assert len(sizes) == 500
    assert len(store.drivers["d"][1]) <= 3 * 8
    assert sum(sizes) < 500 * 40 * 4
    assert matrices(store.revive(FenceSet(FENCES))) == matrices(engine)


def test_full_chunks_are_written_once_and_squeezed():
    engine, store = engine_of(FENCES), Store()
    full: list[int] = []
    for part in cut(batch(long_track().pings), range(0, 2200, 100)):
        engine.feed(part) if len(part) else None
        for delta in engine.take_dirty().values():
            full += [n for n in delta.chunks if n < 100]
            store.apply({"d": delta})
    assert full == list(range(len(full)))
    sizes = [len(v) for n, v in store.drivers["d"][1].items() if n < 100]
    assert len(sizes) >= 3
    assert max(sizes) < CHUNK_ROWS * 40 * 0.6


def test_chunks_written_with_zlib_come_back():
    engine, store = engine_of(FENCES), Store()
    engine.feed(batch(long_track().pings))
    store.apply(engine.take_dirty())
    chunks = store.drivers["d"][1]
    for number in [n for n in chunks if n < 100]:
        chunk = msgspec.msgpack.decode(chunks[number])
        chunk[2] = zlib.compress(zstd.decompress(chunk[2]), 1)
        chunks[number] = msgspec.msgpack.encode(chunk)
    assert matrices(store.revive(FenceSet(FENCES))) == matrices(engine)


def test_the_head_is_written_only_when_something_was_told():
    engine = engine_of(FENCES)
    heads = []
    for part in cut(batch(Drawn().stand(60).drive(5000).stand(600).pings), range(20, 200, 20)):
        engine.feed(part)
        heads += [delta.head is not None for delta in engine.take_dirty().values()]
    assert heads == [True] + [False] * (len(heads) - 1)


def test_routes_come_back_and_go_when_their_day_is_over():
    engine, store = engine_of(FENCES, [plan("a")]), Store()
    store.apply(engine.take_dirty())
    assert set(store.revive(FenceSet(FENCES))._drivers["d"].routes) == {"r"}
    for day in range(4):
        engine.feed(batch(Drawn(start_ms=START_MS + 24 * day * HOUR_MS).stand(600).pings))
        store.apply(engine.take_dirty())
    assert store.revive(FenceSet(FENCES))._drivers["d"].routes == {}
    assert [n for n in store.drivers["d"][1] if n >= 1 << 60] == []


def test_what_comes_back_is_not_written_again():
    engine, store = engine_of(FENCES, [plan("a")]), Store()
    engine.feed(batch(long_track().pings))
    engine.settle()
    store.apply(engine.take_dirty())
    revived = store.revive(FenceSet(FENCES))
    assert revived.settle() == []
    assert revived.take_dirty() == {}
