"""The table of detection quality that `make accuracy` prints."""

import json

from click.testing import CliRunner

from benchmarks.accuracy import main
from benchmarks.cases import Case, simulated
from benchmarks.explain import explain
from simulation.scoring import Claim, Served, judge

SMALL = ["--drivers", "1", "--days", "1", "--spacing", "40", "--no-peers"]


def test_figures_of_each_seed_and_of_all_together() -> None:
    result = CliRunner().invoke(main, ["--profiles", "no-route", "--seeds", "1,2", "--json", *SMALL])
    rows = json.loads(result.stdout)
    assert [(r["case"], r["method"]) for r in rows] == [
        ("no-route 1", "servicetime"),
        ("no-route 1", "enter/exit"),
        ("no-route 2", "servicetime"),
        ("no-route 2", "enter/exit"),
        ("no-route, all", "servicetime"),
        ("no-route, all", "enter/exit"),
    ]
    for single, whole in ((rows[0], rows[4]), (rows[1], rows[5])):
        assert whole["hits"] == single["hits"] + rows[rows.index(single) + 2]["hits"]
    assert rows[4]["f1"] > 0.7


def test_a_table_for_people() -> None:
    result = CliRunner().invoke(main, ["--profiles", "no-route", "--calibration", "--explain", "1", *SMALL])
    assert result.exit_code == 0
    assert "enter/exit" in result.stdout
    assert "Calibration: servicetime, no-route 0" in result.stdout


def test_errors_are_told_by_kind() -> None:
    case = simulated("no-route", 1, 1, 1, spacing_s=60)
    truth = [
        Served("d", "s1", "c1", 0, 100),
        Served("d", "s2", "c2", 200, 300),
        Served("d", "s3", "c3", 400, 500),
    ]
    claims = [
        Claim("v1", "d", "c1", None, 0, 250, 250),
        Claim("v2", "d", "other", None, 210, 290, 80),
        Claim("v3", "d", "c1", None, 900, 990, 90),
    ]
    small = Case("small", case.pings, case.fences, case.routes, truth)
    told = explain(small, claims, judge(claims, truth), examples=2)
    assert "small: 1 right" in told
    assert "1  late or early by over 60 s" in told
    assert "1  extra: other customer served there (not planned)" in told
    assert "1  extra: nobody served (not planned)" in told
    assert "1  missed: other customer named (not planned)" in told
    assert "1  missed: nothing recorded (not planned)" in told
