"""Files in every format give the same pings; what is wrong is told with file, line and field."""

import csv
import gzip
import io
import json
import subprocess
import sys
from array import array
from math import isnan, nan

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from geofence.events import Ping
from geofence.times import format_time, parse_times
from streams.errors import UnreadableInput
from streams.files import read_fences, read_pings, read_routes, read_weather, writing
from streams.files.columns import is_number, numbers_of, times_of
from streams.files.opening import read_blocks
from streams.records import encode

PINGS = [
    Ping("d1", 1_789_992_000_000, 47.0, 8.0, 5.0, 0.0),
    Ping("d2", 1_789_992_000_250, -33.9, 151.2),
    Ping("d1", 1_789_992_005_000, 47.0001, 8.0, None, 3.5),
]


def rows(path, **options):
    """All pings of a file as tuples, and the bad lines as (line, field, reason)."""
    good, bad = [], []
    for read in read_pings(str(path), **options):
        b = read.batch
        columns = (
            b.ts_ms.tolist(),
            b.lat.tolist(),
            b.lon.tolist(),
            b.accuracy_m.tolist(),
            b.speed_mps.tolist(),
        )
        good += [
            Ping(d, t, la, lo, None if isnan(a) else a, None if isnan(s) else s)
            for d, t, la, lo, a, s in zip(b.driver_ids, *columns, strict=True)
        ]
        bad += [(line.line, line.field, line.reason) for line in read.bad]
    return good, bad


def as_jsonl(pings):
    return b"".join(encode(p) + b"\n" for p in pings)


def as_csv(pings):
    text = io.StringIO()
    out = csv.writer(text)
    out.writerow(["ts", "driver_id", "lat", "lon", "accuracy_m", "speed_mps", "note"])
    for p in pings:
        out.writerow([format_time(p.ts_ms), p.driver_id, p.lat, p.lon, p.accuracy_m, p.speed_mps, "a, b"])
    return text.getvalue().encode()


def as_parquet(pings, ts=None):
    table = pa.table(
        {
            "driver_id": [p.driver_id for p in pings],
            "ts": ts or pa.array([p.ts_ms for p in pings], pa.timestamp("ms", "UTC")),
            "lat": [p.lat for p in pings],
            "lon": [p.lon for p in pings],
            "accuracy_m": pa.array([p.accuracy_m for p in pings], pa.float32()),
            "speed_mps": pa.array([p.speed_mps for p in pings], pa.float64()),
        }
    )
    out = io.BytesIO()
    pq.write_table(table, out)
    return out.getvalue()


GPX = """<?xml version="1.0"?>
<gpx version="1.1" creator="test" xmlns="http://www.topografix.com/GPX/1/1" xmlns:x="http://example.org/x">
<trk><name>d1</name><trkseg>
<trkpt lat="47.0" lon="8.0"><time>2026-09-21T12:00:00Z</time>
  <extensions><x:data><x:accuracy>5.0</x:accuracy><x:speed>0</x:speed></x:data></extensions></trkpt>
<trkpt lat="47.0001" lon="8.0"><time>2026-09-21T14:00:05+02:00</time>
  <extensions><speed>3.5</speed><accuracy>-1</accuracy></extensions></trkpt>
</trkseg></trk>
<trk><name>d2</name><trkseg>
<trkpt lat="-33.9" lon="151.2"><time>2026-09-21T12:00:00.250Z</time></trkpt></trkseg></trk>
</gpx>"""


@pytest.mark.parametrize("packing", ["", ".gz", ".zst"])
@pytest.mark.parametrize(
    ("kind", "write"), [(".jsonl", as_jsonl), (".csv", as_csv), (".parquet", as_parquet)]
)
def test_every_format_and_packing_gives_the_same_pings(tmp_path, kind, write, packing):
    pack = {"": bytes, ".gz": gzip.compress, ".zst": zstandard.compress}[packing]
    path = tmp_path / f"pings{kind}{packing}"
    path.write_bytes(pack(write(PINGS)))
    assert rows(path) == (PINGS, [])


def test_gpx_gives_the_same_pings_track_by_track(tmp_path):
    path = tmp_path / "tracks.gpx"
    path.write_text(GPX)
    assert rows(path) == ([PINGS[0], PINGS[2], PINGS[1]], [])
    assert {p.driver_id for p in rows(path, driver="me")[0]} == {"me"}


def test_a_gpx_point_without_a_time_is_told_by_its_number(tmp_path):
    path = tmp_path / "t.gpx"
    path.write_text(GPX.replace("<time>2026-09-21T14:00:05+02:00</time>", ""))
    assert rows(path)[1] == [(2, "ts", "is missing")]


def test_a_line_may_hold_an_array_and_blank_lines_are_passed_over(tmp_path):
    one, two, three = (encode(p).decode() for p in PINGS)
    path = tmp_path / "p.jsonl"
    path.write_text(f"\ufeff{one}\r\n\n  \n[{two},{three}]")
    assert rows(path) == (PINGS, [])


@pytest.mark.parametrize("block", [1, 7, 100, 1000])
def test_the_size_of_blocks_changes_nothing(tmp_path, block):
    lines = as_jsonl(PINGS) + b"broken\n" + as_jsonl(PINGS)
    path = tmp_path / "p.jsonl"
    path.write_bytes(lines)
    assert rows(path, batch_bytes=block) == (
        PINGS * 2,
        [(4, None, "is not JSON: invalid character (byte 0)")],
    )
    table = tmp_path / "p.csv"
    table.write_bytes(as_csv(PINGS) + b"x,d1,1,1,,,\n")
    assert rows(table, batch_bytes=block) == (PINGS, [(5, "ts", "'x' is not a time")])


BAD_LINES = [
    (b'{"driver_id": "d1", "ts": 1789992000, "lat": 91, "lon": 8}', "lat", "91.0 is not between -90 and 90"),
    (b'{"driver_id": "d1", "ts": 1789992000, "lon": 8}', "lat", "is missing"),
    (b"\x00\x01", None, "is not JSON: invalid character (byte 0)"),
]


@pytest.mark.parametrize(("bad", "field", "reason"), BAD_LINES)
def test_a_bad_line_is_told_and_costs_only_itself(tmp_path, bad, field, reason):
    path = tmp_path / "p.jsonl"
    path.write_bytes(as_jsonl(PINGS[:2]) + bad + b"\n" + as_jsonl(PINGS[2:]))
    assert rows(path) == (PINGS, [(3, field, reason)])
    (read,) = read_pings(str(path))
    assert read.bad[0].value == bad


@pytest.mark.parametrize(
    ("bad", "field", "reason"),
    [
        ("2026-09-21T12:00:00Z,d1,abc,8,,,", "lat", "'abc' is not a number"),
        ("2026-09-21T12:00:00Z,d1,,8,,,", "lat", "is missing"),
        ("2026-09-21T12:00:00Z,,47,8,,,", "driver_id", "is missing"),
        ("2026-09-21T12:00:00Z,d1,47", "lon", "is missing"),
        ("2026-09-21T12:00:00Z,d1,47,8,,,,,", None, "has 9 cells, the header 7"),
        ("2026-09-21T12:00:00Z,d1,47,181,,,", "lon", "181.0 is not between -180 and 180"),
        ("noon,d1,47,8,,,", "ts", "'noon' is not a time"),
        ('"2026,d1,47,8,,,', None, "is not CSV: unexpected end of data"),
        ("2026-09-21T12:00:00Z,d1,47,8,exact,,", "accuracy_m", "'exact' is not a number"),
    ],
)
def test_a_bad_row_of_csv_is_told_by_line_and_field(tmp_path, bad, field, reason):
    path = tmp_path / "p.csv"
    path.write_bytes(as_csv(PINGS[:2]) + b"\n" + bad.encode() + b"\n" + as_csv(PINGS[2:]).partition(b"\n")[2])
    assert rows(path) == (PINGS, [(5, field, reason)])


def test_csv_times_may_be_seconds_and_extra_spaces_in_the_header_do_not_matter(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text("driver_id, ts, lat, lon\nd1,1789992000,47,8\nd2,1789992000.25,-33.9,151.2\n")
    assert [p.ts_ms for p in rows(path)[0]] == [1_789_992_000_000, 1_789_992_000_250]
    path.write_text("driver_id,ts,lat,lon\nd1,1789992000,47,8\nd2,1789992000.25,-33.9,x\n")
    assert [p.ts_ms for p in rows(path)[0]] == [1_789_992_000_000]


def test_tables_without_a_driver_take_the_one_given(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text("ts,lat,lon\n1789992000,47,8\n")
    assert rows(path, driver="me")[0] == [Ping("me", 1_789_992_000_000, 47.0, 8.0)]
    with pytest.raises(
        UnreadableInput, match=r"p\.csv, driver_id: there is no such column, only ts, lat, lon"
    ):
        rows(path)


@pytest.mark.parametrize(
    "ts",
    [
        pa.array([p.ts_ms * 1000 for p in PINGS], pa.timestamp("us")),
        pa.array([p.ts_ms * 1_000_000 for p in PINGS], pa.timestamp("ns", "Europe/Berlin")),
        pa.array([format_time(p.ts_ms) for p in PINGS]),
        pa.array([p.ts_ms / 1000 for p in PINGS]),
        pa.array([format_time(p.ts_ms) for p in PINGS]).dictionary_encode(),
    ],
    ids=["naive is UTC", "zone", "text", "seconds", "dictionary"],
)
def test_parquet_times_may_be_of_any_kind(tmp_path, ts):
    path = tmp_path / "p.parquet"
    path.write_bytes(as_parquet(PINGS, ts))
    assert rows(path) == (PINGS, [])


def test_a_bad_row_of_parquet_is_told_by_its_number(tmp_path):
    table = pa.table(
        {
            "driver_id": ["d1", None, "d1", "d1", "d1"],
            "ts": pa.array(
                [1_789_992_000_000, 1_789_992_000_000, None, 5, 1_789_992_000_000], pa.timestamp("ms")
            ),
            "lat": [47.0, 47.0, 47.0, 47.0, nan],
            "lon": [8, 8, 8, 8, 8],
        }
    )
    pq.write_table(table, tmp_path / "p.parquet")
    good, bad = rows(tmp_path / "p.parquet", batch_bytes=256)
    assert len(good) == 1
    assert bad == [
        (2, "driver_id", "is empty"),
        (3, "ts", "is missing"),
        (4, "ts", "1970-01-01T00:00:00.005Z is not between 1990 and 2200"),
        (5, "lat", "is missing"),
    ]


def test_a_parquet_column_of_the_wrong_kind_is_told(tmp_path):
    pq.write_table(
        pa.table({"driver_id": ["d"], "ts": [1], "lat": ["north"], "lon": [8.0]}), tmp_path / "p.parquet"
    )
    with pytest.raises(UnreadableInput, match="row 1, lat: Failed to parse string: 'north'"):
        rows(tmp_path / "p.parquet")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.jsonl", None, "none.jsonl: no such file or directory"),
        ("none.parquet", None, "none.parquet: no such file or directory"),
        ("none.gpx", None, "none.gpx: no such file or directory"),
        ("p.xlsx", b"x", "p.xlsx: is not a .jsonl, .csv, .parquet or .gpx file"),
        (
            "p.jsonl",
            b"\x89PNG\r\n\x1a\n",
            "line 1: is not JSON: invalid character (byte 0) (and no ping is usable)",
        ),
        ("p.jsonl", b'{"route_id": "r"}\n', "line 1, driver_id: is missing (and no ping is usable)"),
        ("p.parquet", b"PAR1 but not really", "is no readable Parquet: "),
        ("p.gpx", b"<gpx><trk>", "is no readable GPX: "),
        ("p.csv", b"\xff\xfe", "p.csv, line 1: is not UTF-8"),
        ("p.csv", b"a,b\n1,2\n", "p.csv, driver_id: there is no such column, only a, b"),
        ("p.jsonl.gz", b"plain", "p.jsonl.gz: not a gzipped file"),
        ("p.jsonl.zst", b"plain", "p.jsonl.zst: "),
    ],
)
def test_a_file_that_cannot_be_used_is_told_in_one_line(tmp_path, name, content, message):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UnreadableInput) as caught:
        rows(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_directory_is_no_file(tmp_path):
    (tmp_path / "p.jsonl").mkdir()
    with pytest.raises(UnreadableInput, match="is a directory"):
        rows(tmp_path / "p.jsonl")


@pytest.mark.parametrize(("packing", "pack"), [(".gz", gzip.compress), (".zst", zstandard.compress)])
def test_a_truncated_file_is_told_with_the_line_reached(tmp_path, packing, pack):
    lines = b"".join(
        encode(Ping(f"driver-{i * 7919 % 1000}", 1_789_992_000_000 + i, 47 + i * 1e-7, 8.0)) + b"\n"
        for i in range(20_000)
    )
    path = tmp_path / f"p.jsonl{packing}"
    path.write_bytes(pack(lines)[:-40])
    reads = read_pings(str(path), batch_bytes=1 << 16)
    with pytest.raises(UnreadableInput, match=r"cannot be unpacked|truncated compressed stream") as caught:
        for _ in reads:
            pass
    assert caught.value.line is not None
    assert caught.value.line > 10_000


def test_an_empty_file_holds_no_pings(tmp_path):
    (tmp_path / "p.jsonl").write_bytes(b"")
    (tmp_path / "p.csv").write_bytes(b"")
    assert rows(tmp_path / "p.jsonl") == ([], [])
    assert rows(tmp_path / "p.csv") == ([], [])


def test_stdin_is_json_lines():
    code = "from streams.files import read_pings; print(sum(len(r.batch) for r in read_pings('-')))"
    done = subprocess.run(
        [sys.executable, "-c", code], input=as_jsonl(PINGS), capture_output=True, check=True
    )
    assert done.stdout == b"3\n"


@given(
    st.lists(st.floats(allow_nan=False) | st.none(), max_size=80),
    st.integers(0, 9),
    st.sampled_from([pa.float64(), pa.float32(), pa.int32()]),
)
def test_numbers_of_a_column_are_its_values_and_nan_where_there_are_none(values, begin, kind):
    if kind == pa.int32():
        values = [None if v is None else int(v) % 1000 if abs(v) < 1e300 else 7 for v in values]
    column = pa.chunked_array([pa.array(values, pa.float64())]).combine_chunks().cast(kind, safe=False)
    column = column.slice(begin)
    expected = [nan if v is None else float(v) for v in column.to_pylist()]
    assert numbers_of(column).tobytes() == array("d", expected).tobytes()


def test_parquet_is_read_without_loading_pandas(tmp_path):
    (tmp_path / "p.parquet").write_bytes(as_parquet(PINGS))
    code = (
        "import sys; from streams.files import read_pings;"
        "print(sum(len(r.batch) for r in read_pings(sys.argv[1])), 'pandas' in sys.modules)"
    )
    words = [sys.executable, "-c", code, str(tmp_path / "p.parquet")]
    assert subprocess.run(words, capture_output=True, check=True).stdout == b"3 False\n"


TIMES = [
    "2026-09-21T14:18:56.604Z",
    "2026-02-30T14:18:56.604Z",
    "2026-09-21T14:18:56Z",
    "ünklar",
    "",
    "1789992000",
]


@given(
    st.lists(st.sampled_from(TIMES[:1] * 9 + TIMES) | st.text(max_size=24), max_size=12),
    st.integers(0, 3),
    st.booleans(),
)
def test_times_of_a_column_of_texts_are_those_of_its_values(texts, begin, missing):
    texts = [*texts, None] if missing else texts
    column = pa.array(texts, pa.string()).slice(begin)
    values = column.to_pylist()
    if values and values[0] and is_number(values[0]):  # then they may all be seconds since 1970
        values = [float(v) if v and is_number(v) else v for v in values]
    assert times_of(column).tolist() == parse_times(values).tolist()


@given(st.lists(st.sampled_from([b"ab", b"", b"cdef", b"\r"]), max_size=8), st.integers(1, 10))
def test_blocks_hold_all_lines_in_order(tmp_path_factory, lines, size):
    path = tmp_path_factory.mktemp("b") / "f"
    path.write_bytes(b"\n".join(lines))
    found = {}
    for block in read_blocks(str(path), size):
        found.update(enumerate(block.lines(), start=block.first))
    expected = dict(enumerate(lines, start=1))
    if lines and not lines[-1]:
        expected.pop(len(lines))
    assert found == expected


FEATURE = {
    "type": "Feature",
    "geometry": {"type": "Point", "coordinates": [8.0, 47.0]},
    "properties": {"fence_id": "f1", "customer_id": "c1", "radius_m": 50},
}
BROKEN = {**FEATURE, "properties": {**FEATURE["properties"], "radius_m": -3}}


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"type": "FeatureCollection", "features": [FEATURE, FEATURE]}),
        json.dumps({"type": "FeatureCollection", "features": [FEATURE, FEATURE]}, indent=2),
        json.dumps(FEATURE) + "\n\n" + json.dumps(FEATURE) + "\n",
        "\x1e" + json.dumps(FEATURE) + "\n\x1e" + json.dumps(FEATURE) + "\n",
    ],
    ids=["collection", "indented", "lines", "sequence"],
)
def test_fences_are_read_from_collections_and_lines(tmp_path, text):
    path = tmp_path / "fences.geojson"
    path.write_text(text)
    assert [f.fence_id for f in read_fences(str(path))] == ["f1", "f1"]


@pytest.mark.parametrize("indent", [None, 1])
def test_a_single_feature_is_a_file_of_one_fence(tmp_path, indent):
    path = tmp_path / "fence.geojson"
    path.write_text(json.dumps(FEATURE, indent=indent))
    assert [f.fence_id for f in read_fences(str(path))] == ["f1"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            json.dumps({"type": "FeatureCollection", "features": [FEATURE, BROKEN]}),
            "f.geojson, feature 2, radius_m: -3.0 is not between 0 and 50,000 metres",
        ),
        (
            json.dumps(FEATURE) + "\n" + json.dumps(BROKEN) + "\n",
            "f.geojson, line 2, radius_m: -3.0 is not between 0 and 50,000 metres",
        ),
        (json.dumps(FEATURE) + "\nnope\n", "f.geojson, line 2: is not JSON: invalid character (byte 4)"),
        (
            '{"type": "FeatureCollection",\n "features": [\n',
            "f.geojson, line 2: is not JSON: input data was truncated",
        ),
        (
            '{"type":\n "FeatureCollection"\n "x"}',
            "f.geojson, line 3: is not JSON: expected ',' or '}' (byte 31)",
        ),
        ('{"type": "Topology"}', "f.geojson, type: a 'Topology' holds no features"),
        ("[1]", "f.geojson, line 1: expected object, got array"),
    ],
)
def test_a_broken_fences_file_names_the_place(tmp_path, text, message):
    path = tmp_path / "f.geojson"
    path.write_text(text)
    with pytest.raises(UnreadableInput) as caught:
        list(read_fences(str(path)))
    assert str(caught.value).endswith(message)


def test_a_broken_route_names_the_place(tmp_path):
    good = {"route_id": "r", "driver_id": "d", "starts_at": 1_789_992_000, "stops": []}
    path = tmp_path / "routes.jsonl"
    path.write_text(json.dumps(good) + "\n" + json.dumps({**good, "starts_at": "noon"}) + "\n")
    with pytest.raises(UnreadableInput, match=r"routes.jsonl, line 2, starts_at: 'noon' is not a time"):
        list(read_routes(str(path)))


def test_weather_is_read_by_lines(tmp_path):
    path = tmp_path / "w.jsonl.gz"
    line = {"region": "west", "ts": 1_789_992_000, "temperature_c": 3, "precipitation_mm": 0}
    path.write_bytes(gzip.compress(json.dumps(line).encode()))
    assert [w.temperature_c for w in read_weather(str(path))] == [3.0]


@pytest.mark.parametrize("packing", ["", ".gz", ".zst"])
def test_what_is_written_is_read_back_and_the_same_each_time(tmp_path, packing):
    contents = []
    for run in ("a", "b"):
        path = tmp_path / f"{run}.jsonl{packing}"
        with writing(str(path)) as sink:
            sink.write(PINGS[:1])
            sink.write(PINGS[1:])
        contents.append(path.read_bytes())
        assert rows(path) == (PINGS, [])
    assert contents[0] == contents[1]


def test_an_error_while_writing_leaves_the_former_file_alone(tmp_path):
    path = tmp_path / "out.jsonl"
    path.write_text("former")

    def fail_half_way():
        with writing(str(path)) as sink:
            sink.write(PINGS)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail_half_way()
    assert path.read_text() == "former"
    assert [p.name for p in tmp_path.iterdir()] == ["out.jsonl"]
