"""The pilot: visits against manual records, the habits of people, the verdict, and settings tuned on it."""

import json
from dataclasses import dataclass, replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geofence.events import Ping, PingBatch, ServiceTime, VisitStatus
from geofence.fences import Fence
from geofence.geometry import LocalPlane
from geofence.routes import Route, Stop
from geofence.rules import Rules, ServiceStart
from models.pilot import compare, match
from models.pilot.agreement import agreement, groups
from models.pilot.habits import Flaw, flaws, habits, rounded_to_s
from models.pilot.matching import Pair
from models.pilot.report import render
from models.pilot.verdict import Answer
from simulation.scoring import Served
from streams.cli.main import run
from streams.records import ManualRecord, encode
from streams.rule_search import Material, fit, search, toml_of

NOON_MS = 1_789_992_000_000
DAY_MS = 86_400_000


def visit(minute, service_s=300, stop_id="s1", customer_id="c1", driver_id="d1", **more):
    arrived_ms = NOON_MS + round(minute * 60_000)
    departed_ms = arrived_ms + round(1000 * service_s)
    made = ServiceTime(
        visit_id=f"{driver_id}-{customer_id}-{minute}", revision=1, status=VisitStatus.COMPLETED,
        driver_id=driver_id, customer_id=customer_id, fence_id="f1", route_id="r1", stop_id=stop_id,
        arrived_ms=arrived_ms, departed_ms=departed_ms, service_time_s=service_s, entered_ms=None,
        exited_ms=None, parking_search_s=0.0, arrived_between_ms=(arrived_ms, arrived_ms),
        departed_between_ms=(departed_ms, departed_ms), confidence=0.9, runner_up=None, shared_with=(),
        share_method=None, pings=40, max_gap_s=5.0, median_accuracy_m=4.0, flags=(), config_hash="x",
    )  # fmt: skip
    return msgspec.structs.replace(made, **more)


def note(minute, service_s=300, stop_id="s1", customer_id="c1", driver_id="d1"):
    arrived_ms = NOON_MS + round(minute * 60_000)
    return ManualRecord(stop_id, driver_id, customer_id, arrived_ms, arrived_ms + round(1000 * service_s))


def a_day(count=40, off_s=0.0):
    """Visits ten minutes apart and the records of them, which differ by that many seconds in length."""
    visits = [visit(10 * n, 300, f"s{n}", f"c{n}") for n in range(count)]
    notes = [note(10 * n, 300 - off_s, f"s{n}", f"c{n}") for n in range(count)]
    return visits, notes


def test_a_stop_in_common_matches_whatever_the_time():
    found = match([visit(0)], [note(500)])
    assert (len(found.pairs), found.missed, found.extra) == (1, [], [])


def test_without_a_stop_in_common_driver_customer_and_time_decide():
    early, late = visit(0, stop_id=None), visit(100, stop_id=None)
    found = match([early, late], [note(95, stop_id="x"), note(5, stop_id="y")])
    assert [(p.visit.arrived_ms, p.note.stop_id) for p in found.pairs] == [
        (early.arrived_ms, "y"), (late.arrived_ms, "x"),
    ]  # fmt: skip
    for other in (note(0, stop_id="x", driver_id="d2"), note(0, stop_id="x", customer_id="c2"),
                  note(200, stop_id="x")):  # fmt: skip
        assert match([early], [other]).pairs == []


def test_each_visit_and_each_record_is_used_once():
    found = match([visit(0)], [note(0), note(1, stop_id="x")])
    assert (len(found.pairs), [n.stop_id for n in found.missed]) == (1, ["x"])
    twice = match([visit(0, stop_id=None)], [note(0, stop_id="x"), note(1, stop_id="y")])
    assert (twice.pairs[0].note.stop_id, [n.stop_id for n in twice.missed]) == ("x", ["y"])


def test_the_later_of_two_records_of_a_stop_holds():
    (pair,) = match([visit(0)], [note(0, 100), note(0, 200)]).pairs
    assert pair.note_s == 200


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 3)), max_size=12), st.integers(0, 12))
def test_every_visit_and_record_ends_in_exactly_one_place(rows, split):
    visits = [
        visit(m, stop_id=None if n % 2 else f"s{n}", customer_id=f"c{c}", visit_id=str(n))
        for n, (m, c) in enumerate(rows[:split])
    ]
    notes = [note(m, stop_id=f"s{n}", customer_id=f"c{c}") for n, (m, c) in enumerate(rows[split:])]
    found = match(visits, notes)
    assert sorted([p.visit.visit_id for p in found.pairs] + [v.visit_id for v in found.extra]) == sorted(
        v.visit_id for v in visits
    )
    assert len(found.pairs) + len(found.missed) == len(notes)


def test_times_on_full_five_minutes_are_rounded_to_five_minutes():
    rounded = [note(5 * n, 300) for n in range(1, 12)]
    assert rounded_to_s(rounded) == 300
    assert rounded_to_s([note(n, 180) for n in range(1, 12)]) == 60
    assert rounded_to_s([note(n + 0.3, 185) for n in range(1, 12)]) == 0
    assert rounded_to_s(rounded[:3]) == 0


def test_records_begun_after_the_vehicle_left_are_entered_afterwards_and_together_a_batch():
    pairs = [
        Pair(visit(0, stop_id="a"), note(30, 30, "a")),
        Pair(visit(10, stop_id="b"), note(31, 30, "b")),
        Pair(visit(50, stop_id="c"), note(62, 30, "c")),
        Pair(visit(70, stop_id="d"), note(72, 180, "d")),
        Pair(visit(90, stop_id="e"), note(90.5, 270, "e")),
    ]
    both = {Flaw.AFTERWARDS, Flaw.BATCH}
    assert flaws(pairs) == [both, both, {Flaw.AFTERWARDS}, {Flaw.LATE}, set()]


def test_habits_tell_lag_and_what_was_forgotten():
    visits = [visit(10 * n, 300, f"s{n}") for n in range(10)]
    (habit,) = habits(match(visits, [note(10 * n + 0.5, 300, f"s{n}") for n in range(8)]))
    assert (habit.notes, habit.arrive_lag_s, habit.depart_lag_s) == (8, 30.0, 30.0)
    assert (habit.forgotten, habit.forgotten_share) == (2, 0.2)


def test_a_visit_nobody_planned_is_not_forgotten():
    found = match([visit(0), visit(20, stop_id=None, customer_id="c2")], [note(0)])
    assert habits(found)[0].forgotten == 0


def test_bias_and_limits_of_agreement_are_bland_and_altman_s():
    pairs = [Pair(visit(0, 300 + off), note(0, 300)) for off in (-20, 0, 20, 40)]
    told = agreement(pairs)
    assert (told.bias_s, told.mae_s, told.median_ae_s, told.within_60s) == (10, 20, 20, 1)
    assert told.sd_s == pytest.approx(25.82, abs=0.01)
    assert (told.low_limit_s, told.high_limit_s) == (
        pytest.approx(-40.6, abs=0.05),
        pytest.approx(60.6, abs=0.05),
    )
    assert (told.bias_arrive_s, told.bias_depart_s) == (0, 10)
    assert agreement([]) is None


def test_groups_tell_region_driver_and_quality_of_the_pings():
    visits = [
        visit(0, pings=3, max_gap_s=80, median_accuracy_m=None),
        visit(20, stop_id="s2", customer_id="c2"),
    ]
    found = match(visits, [note(0), note(20, 300, "s2", "c2"), note(40, 300, "s3", "c3", "d2")])
    told = {(g.kind, g.name): (g.matched, g.missed, g.extra) for g in groups(found, {"c1": "north"})}
    assert told["region", "north"] == (1, 0, 0)
    assert told["region", "unknown"] == (1, 1, 0)
    assert told["driver", "d2"] == (0, 1, 0)
    assert told["pings in the visit", "up to 5"] == (1, None, 0)
    assert told["longest gap, s", "above 60"] == (1, None, 0)
    assert told["accuracy, m", "unknown"] == (1, None, 0)


def test_visits_that_agree_can_replace_manual_records():
    verdict = compare(*a_day(off_s=20)).verdict
    assert (verdict.answer, verdict.not_where, verdict.short_of) == (Answer.YES, [], [])
    assert "A visit was found for 40 of 40 manual records (100.0 %)" in verdict.reasons[0]
    assert "differ by 20 s typically" in verdict.reasons[1]


def test_visits_that_are_minutes_off_cannot():
    verdict = compare(*a_day(off_s=200)).verdict
    assert verdict.answer is Answer.NO
    typical, bias = verdict.short_of
    assert "must be at most 45 s (45 s and rounding); it is 200 s" in typical
    assert "The bias must be at most 60 s" in bias


def test_too_many_missed_visits_cannot_replace_manual_records():
    visits, notes = a_day()
    assert compare(visits[:35], notes).verdict.answer is Answer.NO
    partly = compare(visits[:38], notes).verdict
    assert partly.answer is Answer.PARTLY
    (short,) = partly.short_of
    assert "97 % of the manual records (90 % to replace them in part); there is one for 95.0 %" in short


def test_a_driver_whose_visits_are_missing_is_named():
    visits, notes = a_day(200)
    lost = [replace(n, stop_id=f"x{i}", driver_id="d7", customer_id="lost") for i, n in enumerate(notes[:10])]
    verdict = compare(visits, notes + lost).verdict
    assert verdict.answer is Answer.PARTLY
    assert verdict.not_where == ["driver d7: a visit was found for 0 % of 10 manual records."]


def test_a_handful_of_visits_is_too_few_for_a_verdict():
    assert compare(*a_day(5)).verdict.answer is Answer.TOO_FEW
    assert compare([], []).verdict.answer is Answer.TOO_FEW


def test_records_entered_afterwards_do_not_speak_against_the_visits():
    visits, notes = a_day(50)
    later = [
        replace(n, arrived_ms=n.departed_ms + 600_000, departed_ms=n.departed_ms + 620_000)
        for n in notes[:10]
    ]
    pilot = compare(visits, later + notes[10:])
    assert (pilot.overall.mae_s, pilot.careful.mae_s) == (56.0, 0.0)
    assert pilot.verdict.answer is Answer.YES
    assert any(r.startswith("10 of 50 manual records were entered") for r in pilot.verdict.reasons)


def test_the_truth_decides_between_two_ways_that_differ():
    visits, notes = a_day(off_s=200)

    def truth(seconds):
        return [
            Served("d1", v.stop_id, v.customer_id, v.arrived_ms / 1000, v.arrived_ms / 1000 + seconds)
            for v in visits
        ]

    right = compare(visits, notes, truth=truth(300))
    assert (right.truth.measured_mae_s, right.truth.manual_mae_s, right.verdict.answer) == (
        0,
        200,
        Answer.YES,
    )
    wrong = compare(visits, notes, truth=truth(100))
    assert (wrong.truth.measured_mae_s, wrong.truth.manual_mae_s, wrong.verdict.answer) == (200, 0, Answer.NO)


def test_only_the_highest_revision_counts_and_retracted_visits_do_not():
    first = visit(0, 100)
    records = [
        first,
        msgspec.structs.replace(first, revision=2, service_time_s=300.0),
        visit(20, stop_id="s2"),
    ]
    gone = msgspec.structs.replace(records[2], revision=2, status=VisitStatus.RETRACTED)
    pilot = compare([*records, gone], [note(0), note(20, stop_id="s2")])
    assert [p.service_s for p in pilot.matching.pairs] == [0]
    assert [n.stop_id for n in pilot.matching.missed] == ["s2"]


def test_the_page_needs_nothing_from_elsewhere_and_escapes_names():
    visits, notes = a_day()
    visits = [msgspec.structs.replace(v, driver_id="<b>x") for v in visits]
    notes = [replace(n, driver_id="<b>x") for n in notes]
    page = render(compare(visits, notes))
    assert "can replace the manual ones" in page
    assert "<b>x" not in page
    assert "&lt;b&gt;x" in page
    assert 'src="http' not in page
    assert page == render(compare(visits, notes))


def test_a_page_without_a_single_match_is_still_a_page():
    assert "too few visits" in render(compare([], [note(0)]))


@dataclass(frozen=True)
class Files:
    records: str
    manual: str
    out: str


@pytest.fixture
def files(tmp_path):
    visits, notes = a_day(off_s=20)
    (tmp_path / "v.jsonl").write_bytes(b"".join(encode(v) + b"\n" for v in visits))
    (tmp_path / "m.jsonl").write_bytes(b"".join(encode(n) + b"\n" for n in notes))
    return Files(str(tmp_path / "v.jsonl"), str(tmp_path / "m.jsonl"), str(tmp_path / "report"))


def test_pilot_writes_page_and_json_and_says_the_verdict(files, tmp_path, capsys):
    assert run(["pilot", "--records", files.records, "--manual", files.manual, "--out", files.out]) == 0
    assert "Geofence timestamps can replace the manual ones." in capsys.readouterr().out
    told = json.loads((tmp_path / "report" / "pilot.json").read_text())
    assert (told["matched"], told["verdict"]["answer"]) == (40, "yes")
    assert (tmp_path / "report" / "pilot.html").read_text().startswith("<!doctype html>")


def test_pilot_says_which_file_line_and_field_are_wrong(files, tmp_path, capsys):
    (tmp_path / "m.jsonl").write_text('{"stop_id": "s1"}\n')
    assert run(["pilot", "--records", files.records, "--manual", files.manual, "--out", files.out]) == 2
    assert "m.jsonl, line 1" in capsys.readouterr().err
    assert run(["pilot", "--manual", files.manual]) == 2
    assert "Missing option '--records'" in capsys.readouterr().err


HOME = LocalPlane(47.0, 8.0)


def material(days=3, searched_s=40):
    """A driver who looks for parking slowly before each stop and writes that down as service."""
    pings, routes, notes = [], [], []
    for day in range(days):
        start_ms, at_s, east_m = NOON_MS + day * DAY_MS, 0, -800.0
        legs = [(10.0, 74, 10.0), (1.5, searched_s, 1.5), (0.0, 240, 0.0), (10.0, 200, 10.0)]
        for speed, lasts_s, told in legs:
            for _ in range(0, lasts_s, 2):
                lat, lon = HOME.to_degrees(east_m, 0.0)
                pings.append(Ping("d1", start_ms + 1000 * at_s, lat, lon, 4.0, told))
                at_s, east_m = at_s + 2, east_m + 2 * speed
        routes.append(Route(f"r{day}", "d1", start_ms - 60_000, (Stop(f"s{day}", "c1", 1),)))
        notes.append(
            ManualRecord(
                f"s{day}", "d1", "c1", start_ms + 74_000, start_ms + 314_000 + 1000 * (searched_s - 0)
            )
        )
    return Material([PingBatch.of(pings)], [Fence("f1", "c1", 47.0, 8.0, 50.0)], routes, notes)


def test_fit_counts_only_the_days_asked_for():
    visits, notes = a_day(4, off_s=60)
    day = NOON_MS // DAY_MS
    told = fit(visits, notes, frozenset([day]))
    assert (told.precision, told.recall, told.median_ae_s, told.loss) == (1, 1, 60, pytest.approx(0.1))
    assert fit(visits, notes, frozenset([day + 1])).recall == 0


def test_tuning_finds_what_people_count_as_service_and_proves_it_on_later_days():
    found = search(material(), Rules(), trials=14)
    assert found.improved
    assert found.rules.service_starts_with is not ServiceStart.STANDING
    assert found.after.median_ae_s < found.before.median_ae_s
    assert found == search(material(), Rules(), trials=14)


def test_tuned_settings_are_a_file_that_replay_accepts(tmp_path):
    found = search(material(), Rules(dwell_s=31.5), trials=2)
    (tmp_path / "rules.toml").write_text(toml_of(replace(found, rules=Rules(dwell_s=31.5))))
    from streams.cli.rules import _from_file

    assert Rules(**_from_file(str(tmp_path / "rules.toml"))) == Rules(dwell_s=31.5)


def test_tuning_as_people_call_it(tmp_path, capsys):
    m = material(2)
    (tmp_path / "p.jsonl").write_bytes(b"".join(encode(p) + b"\n" for p in pings_of(m.pings[0])))
    (tmp_path / "f.geojson").write_bytes(encode(m.fences[0]))
    for name, rows in (("r", m.routes), ("m", m.notes)):
        (tmp_path / f"{name}.jsonl").write_bytes(b"".join(encode(row) + b"\n" for row in rows))
    files = {"pings": "p.jsonl", "fences": "f.geojson", "routes": "r.jsonl", "manual": "m.jsonl"}
    given = [word for name, file in files.items() for word in (f"--{name}", str(tmp_path / file))]
    out = str(tmp_path / "rules.toml")
    assert run(["pilot", "tune", *given, "--trials", "2", "--out", out]) == 0
    assert "2 trials; on 1 later day(s)" in capsys.readouterr().err
    replayed = ["--out", str(tmp_path / "v.jsonl"), "--config", out]
    assert run(["replay", *given[:6], *replayed]) == 0
    (tmp_path / "m.jsonl").write_bytes(encode(m.notes[0]) + b"\n")
    assert run(["pilot", "tune", *given, "--trials", "2", "--out", out]) == 2
    assert "at least two days" in capsys.readouterr().err


def pings_of(batch):
    columns = zip(
        batch.driver_ids, batch.ts_ms, batch.lat, batch.lon, batch.accuracy_m, batch.speed_mps, strict=True
    )
    return [Ping(d, int(t), float(a), float(o), float(m), float(s)) for d, t, a, o, m, s in columns]
