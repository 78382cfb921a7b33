"""The learning side's commands, as a user calls them."""

import json
from pathlib import Path

import pytest
from learning_town import DAY_MS, START_MS, registry_folder, small_town

from geofence.fences import Fence
from geofence.routes import Order, Route, Stop
from models import dataset
from streams.cli.main import run
from streams.records import encode

LATER = START_MS + 30 * DAY_MS


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> str:
    uri = str(tmp_path_factory.mktemp("cli") / "table")
    dataset.upsert(uri, small_town().rows)
    return uri


@pytest.fixture
def registry() -> str:
    return registry_folder()


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    folder = tmp_path_factory.mktemp("plan")
    stop = Stop("s1", "customer-0-1", 1, LATER, Order(12.0, 5, 2))
    fence = Fence("f1", "customer-0-1", 47.0, 8.0, radius_m=40, facts={"floor": 2, "region": "region-1"})
    (folder / "routes.jsonl").write_bytes(encode(Route("r1", "d1", LATER, (stop,))))
    (folder / "fences.jsonl").write_bytes(encode(fence))
    return str(folder / "routes.jsonl"), str(folder / "fences.jsonl")


def predicted(table: str, registry: str, plan: tuple[str, str], out: Path) -> dict[str, object]:
    routes, fences = plan
    arguments = ["--table", table, "--routes", routes, "--fences", fences, "--registry", registry]
    assert run(["predict", *arguments, "--out", str(out)]) == 0
    (line,) = out.read_text().splitlines()
    found: dict[str, object] = json.loads(line)
    return found


def test_without_a_registry_predictions_fall_back_and_none_is_made(
    table: str, plan: tuple[str, str], tmp_path: Path
) -> None:
    one = predicted(table, str(tmp_path / "none"), plan, tmp_path / "out.jsonl")
    assert (one["stop_id"], one["fallback"], one["model"]) == ("s1", "historical_mean", None)
    assert not (tmp_path / "none").exists()


def test_training_registers_promotes_and_predicts(
    table: str,
    registry: str,
    plan: tuple[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["train", "--table", table, "--registry", registry, "--trials", "2", "--threads", "1"]) == 0
    printed = capsys.readouterr().out
    assert "historical mean per customer" in printed
    assert "Promoted: it is the champion now." in printed
    one = predicted(table, registry, plan, tmp_path / "out.jsonl")
    assert one["model"] == {"name": "service-times", "version": "1"}
    assert one["fallback"] is None

    # the same again: registered, but no better than itself
    assert (
        run(["train", "--table", table, "--registry", registry, "--trials", "2", "--threads", "1", "--json"])
        == 0
    )
    summary = json.loads(capsys.readouterr().out)
    assert (summary["version"], summary["promoted"]) == (2, False)
    assert "the champion" in summary["reasons"][0]

    assert run(["models", "promote", "2", "--registry", registry]) == 0
    assert run(["models", "rollback", "--registry", registry]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "Version 2 is the champion now.",
        "Version 1 is the champion again.",
    ]
    assert run(["models", "list", "--registry", registry, "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [(e["version"], e["aliases"]) for e in listed] == [(2, ["previous"]), (1, ["champion"])]
    assert listed[0]["fingerprint"] == listed[1]["fingerprint"]
    assert run(["models", "show", "--registry", registry]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["version"], shown["config"]["trials"]) == (1, 2)
    report = Path(shown["artifacts"].removeprefix("file://")) / "report"
    assert "Mean absolute error first" in (report / "evaluation.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["train", "--table", "{tmp}/no"], "no: is no training table"),
        (
            ["predict", "--table", "{tmp}/no", "--routes", "{tmp}/r", "--fences", "{tmp}/f", "--out", "-"],
            "{tmp}/f",
        ),
        (["train", "--table", "{table}", "--country", "XX"], "no holidays are known for 'XX'"),
        (["train", "--table", "{table}", "--region-country", "north=XX"], "no holidays are known for 'XX'"),
        (["train", "--table", "{table}", "--region-country", "north"], "is not REGION=COUNTRY"),
        (["train", "--table", "{table}", "--time-zone", "Mars"], "'Mars' is no time zone"),
        (["models", "show", "9", "--registry", "{tmp}/none"], "none: holds no models"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    arguments: list[str], said: str, table: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([a.format(tmp=tmp_path, table=table) for a in arguments]) == 2
    line = capsys.readouterr().err.strip()
    assert said.format(tmp=tmp_path) in line
    assert "\n" not in line


def test_an_empty_table_is_said_to_be_empty(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    uri = str(tmp_path / "table")
    dataset.upsert(uri, [])
    assert run(["train", "--table", uri, "--registry", str(tmp_path / "models")]) == 2
    assert "holds no visits yet" in capsys.readouterr().err


def test_the_table_tells_its_versions_and_what_it_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    uri = str(tmp_path / "table")
    rows = small_town().rows
    dataset.upsert(uri, rows[:20])
    dataset.upsert(uri, [{**rows[20], "service_time_s": -3.0}, rows[21]])
    assert run(["table", "versions", "--table", uri, "--json"]) == 0
    assert [v["version"] for v in json.loads(capsys.readouterr().out)] == [2, 1, 0]
    assert run(["table", "quarantine", "--table", uri]) == 0
    assert capsys.readouterr().out.splitlines()[1] == "service_time_s: is not between 0 and 86400     1"
    assert run(["table", "quarantine", "--table", uri, "--json"]) == 0
    (refused,) = json.loads(capsys.readouterr().out)
    assert (refused["visit_id"], refused["row"]["service_time_s"]) == (rows[20]["visit_id"], -3.0)
    assert run(["table", "compact", "--table", uri, "--keep-hours", "0"]) == 0
    assert capsys.readouterr().out == "2 small files were merged.\n"
    assert len(dataset.read(uri)) == 21
    assert run(["table", "quarantine", "--table", str(tmp_path / "none")]) == 2


def test_a_model_can_be_trained_on_the_table_as_it_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    uri, rows = str(tmp_path / "table"), small_town().rows
    early = sorted(rows, key=lambda row: row["as_of"])
    dataset.upsert(uri, early[:600])
    dataset.upsert(uri, [*early[600:], {**rows[0], "visit_id": "odd", "confidence": 7.0}])
    where = ["--table", uri, "--registry", str(tmp_path / "models"), "--trials", "1", "--json"]
    assert run(["train", *where, "--table-version", "1"]) == 0
    then = json.loads(capsys.readouterr().out)
    assert then["visits_learned"] + then["visits_proven"] == 600
    assert then["data_version"].startswith("1:")
    assert then["quarantined"] == {"confidence: is not between 0 and 1": 1}
    assert run(["train", *where, "--table-version", "77"]) == 2
