"""`servicetime replay` as people call it: files in, records out, one line when something is wrong."""

import gzip
import json
import subprocess
import sys
import time

import pytest

from geofence.events import DeviceFenceEvent, FenceEventType, Ping
from geofence.fences import Fence
from geofence.geometry import LocalPlane
from geofence.routes import Route, Stop
from streams.cli.main import run
from streams.records import decode_pings, encode

NOON_MS = 1_789_992_000_000
HOME = LocalPlane(47.0, 8.0)


def drive(driver_id="d1", stand_s=300):
    """A ping every 5 s: 600 m towards the customer at 10 m/s, standing there, 1 km on."""
    pings = []
    for second in range(0, 60 + stand_s + 100, 5):
        east_m = min(second, 60) * 10 - 600 + max(0, second - 60 - stand_s) * 10
        lat, lon = HOME.to_degrees(east_m, 0.0)
        moving = second < 60 or second > 60 + stand_s
        pings.append(Ping(driver_id, NOON_MS + 1000 * second, lat, lon, 4.0, 10.0 if moving else 0.0))
    return pings


@pytest.fixture
def files(tmp_path):
    """Pings of two drivers who serve the customer for five minutes each, its fence, a route of one."""
    pings = sorted([*drive("d1"), *drive("d2")], key=lambda p: p.ts_ms)
    (tmp_path / "pings.jsonl").write_bytes(b"".join(encode(p) + b"\n" for p in pings))
    (tmp_path / "fences.geojson").write_bytes(encode(Fence("f1", "c1", 47.0, 8.0, 50.0, facts={"floor": 2})))
    route = Route("r1", "d1", NOON_MS - 60_000, (Stop("s1", "c1", 1),))
    (tmp_path / "routes.jsonl").write_bytes(encode(route) + b"\n")
    return tmp_path


def replay(files, *more, pings="pings.jsonl", out="out.jsonl"):
    out = out if out == "-" else str(files / out)
    fences, routes = str(files / "fences.geojson"), str(files / "routes.jsonl")
    return run(
        ["replay", "--pings", str(files / pings), "--fences", fences, "--routes", routes, "--out", out, *more]
    )


def records(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def final(path):
    return {r["visit_id"]: r for r in records(path)}


def test_each_driver_s_service_is_one_visit(files, capsys):
    assert replay(files) == 0
    visits = sorted(final(files / "out.jsonl").values(), key=lambda r: r["driver_id"])
    assert [(v["driver_id"], v["customer_id"], v["stop_id"], v["status"]) for v in visits] == [
        ("d1", "c1", "s1", "completed"),
        ("d2", "c1", None, "completed"),
    ]
    assert all(abs(v["service_time_s"] - 300) <= 15 for v in visits)
    summary = capsys.readouterr().err.splitlines()[-1]
    assert summary.startswith("184 pings: 184 used, 0 duplicate, 0 too late, 0 rejected; 2 visits (")


def test_two_replays_give_the_same_bytes(files):
    options = [("--events", "events"), ("--rejects", "rejects")]
    for run_ in "ab":
        more = [word for name, kind in options for word in (name, str(files / f"{kind}.{run_}"))]
        assert replay(files, *more, out=f"out.{run_}") == 0
    for kind in ("out", "events", "rejects"):
        assert (files / f"{kind}.a").read_bytes() == (files / f"{kind}.b").read_bytes()
    assert records(files / "events.a")[0]["type"] in {"entered", "dwelled"}


def test_events_are_counted_where_they_are_wanted_and_change_no_record(files, capsys):
    assert replay(files, "--json", "--events", str(files / "events.jsonl"), out="with") == 0
    assert json.loads(capsys.readouterr().out)["events"] == len(records(files / "events.jsonl")) > 0
    assert replay(files, "--json", out="without") == 0
    assert json.loads(capsys.readouterr().out)["events"] is None
    assert (files / "with").read_bytes() == (files / "without").read_bytes()


def test_the_kind_of_file_does_not_matter(files):
    lines = (files / "pings.jsonl").read_bytes()
    (files / "pings.jsonl.gz").write_bytes(gzip.compress(lines))
    pings = [json.loads(line) for line in lines.splitlines()]
    rows = [",".join(str(p[c]) for c in pings[0]) for p in pings]
    (files / "pings.csv").write_text("\n".join([",".join(pings[0]), *rows]))
    (files / "arrays.jsonl").write_text(json.dumps(pings[:100]) + "\n" + json.dumps(pings[100:]))
    assert replay(files) == 0
    for other in ("pings.jsonl.gz", "pings.csv", "arrays.jsonl"):
        assert replay(files, pings=other, out="other.jsonl") == 0
        assert (files / "other.jsonl").read_bytes() == (files / "out.jsonl").read_bytes()


def test_a_day_in_two_files_is_the_same_day(files):
    lines = (files / "pings.jsonl").read_bytes().splitlines(keepends=True)
    (files / "a.jsonl").write_bytes(b"".join(lines[:90]))
    (files / "b.jsonl").write_bytes(b"".join(lines[90:]))
    assert replay(files) == 0
    assert replay(files, "--pings", str(files / "b.jsonl"), pings="a.jsonl", out="parts.jsonl") == 0
    assert final(files / "parts.jsonl") == final(files / "out.jsonl")


def test_every_line_is_used_counted_or_a_dead_letter(files, capsys):
    lines = (files / "pings.jsonl").read_bytes().splitlines(keepends=True)
    bad = b'{"driver_id": "d1", "ts": 1789992000, "lat": 99, "lon": 8}\n'
    (files / "pings.jsonl").write_bytes(b"".join([*lines[:10], bad, lines[9], b"nope\n", *lines[10:]]))
    assert replay(files, "--rejects", str(files / "rejects.jsonl"), "--json") == 0
    summary = json.loads(capsys.readouterr().out)
    counts = {k: summary[k] for k in ("pings", "used", "duplicate", "too_late", "rejected", "visits")}
    assert counts == {"pings": 187, "used": 184, "duplicate": 1, "too_late": 0, "rejected": 2, "visits": 2}
    letters = records(files / "rejects.jsonl")
    assert [(x["offset"], x.get("field"), x["reason"]) for x in letters] == [
        (10, "lat", "99.0 is not between -90 and 90"),
        (12, None, "is not JSON: invalid character (byte 4)"),
    ]
    assert {(x["topic"], x["partition"]) for x in letters} == {(str(files / "pings.jsonl"), 0)}


def test_stdout_gets_the_records_and_stderr_the_rest(files):
    names = [str(files / n) for n in ("pings.jsonl", "fences.geojson")]
    command = [sys.executable, "-m", "streams.cli.main", "replay", "--pings", "-", "--fences", names[1]]
    with (files / "pings.jsonl").open("rb") as pings:
        done = subprocess.run([*command, "--out", "-"], stdin=pings, capture_output=True, check=True)
    assert {json.loads(line)["driver_id"] for line in done.stdout.splitlines()} == {"d1", "d2"}
    assert done.stderr.splitlines()[-1].startswith(b"184 pings: ")


def test_a_replay_that_is_terminated_leaves_nothing_behind(files):
    fences = str(files / "fences.geojson")
    command = [sys.executable, "-m", "streams.cli.main", "replay", "--pings", "-", "--fences", fences]
    out = files / "out"
    out.mkdir()
    running = subprocess.Popen([*command, "--out", str(out / "o.jsonl")], stdin=subprocess.PIPE)
    while not list(out.iterdir()):
        assert running.poll() is None
        time.sleep(0.05)
    running.terminate()
    assert running.wait() == 143
    assert list(out.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("pings.jsonl", None, "pings.jsonl: no such file or directory"),
        ("fences.geojson", None, "fences.geojson: no such file or directory"),
        ("routes.jsonl", None, "routes.jsonl: no such file or directory"),
        ("pings.jsonl", b"\x00\x01\x02", "pings.jsonl, line 1: is not JSON"),
        ("fences.geojson", b"{}", "fences.geojson, line 1, type: is missing"),
        ("routes.jsonl", b'{"route_id": "r"}\n', "routes.jsonl, line 1, driver_id: is missing"),
    ],
)
def test_a_missing_or_broken_file_is_exit_2_one_line_and_no_output(files, capsys, name, content, message):
    if content is None:
        (files / name).unlink()
    else:
        (files / name).write_bytes(content)
    assert replay(files, "--events", str(files / "events.jsonl")) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not (files / "out.jsonl").exists()
    assert sorted(p.suffix for p in files.iterdir() if p.name.startswith(".")) == []


def test_a_directory_that_is_not_there_is_named(files, capsys):
    assert replay(files, out="no/out.jsonl") == 1
    assert capsys.readouterr().err == f"servicetime: {files}/no/out.jsonl: No such file or directory\n"


def test_settings_come_from_the_line_before_the_environment_before_the_file(files, monkeypatch):
    config = files / "settings.toml"
    config.write_text("[detection]\ndwell_s = 400\nservice_starts_with = 'parking_search'\n")
    hashes = set()

    def visits(*more):
        assert replay(files, *more) == 0
        found = records(files / "out.jsonl")
        hashes.update(r["config_hash"] for r in found)
        return len({r["visit_id"] for r in found})

    assert visits("--config", str(config)) == 0
    assert visits("--config", str(config), "--dwell-s", "30") == 2
    monkeypatch.setenv("SERVICETIME_DWELL_S", "30")
    assert visits("--config", str(config)) == 2
    assert visits("--config", str(config), "--dwell-s", "400") == 0
    assert visits() == 2
    assert len(hashes) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[detection]\ndwel_s = 3", "detection.dwel_s: there is no such setting"),
        ("[detection]\ndwell_s = 'x'", "detection.dwell_s: 'x' is not a number"),
        (
            "[detection]\nservice_starts_with = 'lunch'",
            "'lunch' is none of standing, parking_search, fence_entry",
        ),
        ("[detection]\ndwell_s = -1", "dwell_s: -1.0 is not between"),
        ("detection = [", "is not TOML: "),
    ],
)
def test_a_bad_setting_in_the_file_is_named(files, capsys, text, message):
    config = files / "settings.toml"
    config.write_text(text)
    assert replay(files, "--config", str(config)) == 2
    assert message in capsys.readouterr().err


def test_a_phone_that_finds_fences_itself_is_believed_where_there_are_no_pings(files):
    lines = [
        DeviceFenceEvent("d3", "f1", FenceEventType.ENTERED, NOON_MS),
        DeviceFenceEvent("d3", "f1", FenceEventType.EXITED, NOON_MS + 300_000),
    ]
    device = files / "device.jsonl"
    device.write_bytes(b"".join(encode(e) + b"\n" for e in reversed(lines)))
    assert replay(files, "--device-events", str(device)) == 0
    (visit,) = [v for v in final(files / "out.jsonl").values() if v["driver_id"] == "d3"]
    assert (visit["customer_id"], visit["entered_at"]) == ("c1", "2026-09-21T12:00:00.000Z")
    device.write_text('{"driver_id": "d3", "fence_id": "f1", "type": "left", "ts": 1789992000}')
    assert replay(files, "--device-events", str(device)) == 2


def test_the_training_table_gets_each_visit_once(files):
    from models.dataset import read

    table = str(files / "table")
    for _ in range(2):
        assert replay(files, "--table", table) == 0
    rows = read(table)
    assert sorted(rows["driver_id"]) == ["d1", "d2"]
    assert rows["floor"].tolist() == [2.0, 2.0]
    assert rows.set_index("driver_id")["stop_id"].fillna("").to_dict() == {"d1": "s1", "d2": ""}


def test_rows_that_the_training_table_refuses_are_counted_and_told(files, capsys):
    far = {"floor": 2_000}
    (files / "fences.geojson").write_bytes(encode(Fence("f1", "c1", 47.0, 8.0, 50.0, facts=far)))
    assert replay(files, "--table", str(files / "table")) == 0
    told = capsys.readouterr().err
    assert "0 rows in the training table, 2 in quarantine (2 × floor: is not between -20 and 300)" in told
    assert replay(files, "--table", str(files / "table"), "--json") == 0
    assert json.loads(capsys.readouterr().out)["table"] == {
        "rows": 0,
        "quarantined": 2,
        "reasons": {"floor: is not between -20 and 300": 2},
    }


def test_options_of_rules_give_the_same_rules_elsewhere(files):
    from geofence.rules import Rules, ServiceStart
    from streams.cli.rules import options_of

    rules = Rules(dwell_s=45.0, service_starts_with=ServiceStart.FENCE_ENTRY)
    assert replay(files, *options_of(rules)) == 0
    assert {r["config_hash"] for r in records(files / "out.jsonl")} == {rules.config_hash}


def test_the_fixture_is_what_it_says(files):
    got = decode_pings((files / "pings.jsonl").read_bytes().splitlines())
    assert (len(got.batch), got.bad) == (184, [])
