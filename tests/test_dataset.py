"""The training table: each visit once, at its highest revision, however often it is delivered."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models import dataset
from models.errors import NoTrainingData
from models.rows import stop_facts, training_row
from models.schema import TRAINING

MORNING = 1_790_000_000_000


def record(visit: str = "v1", revision: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "visit_id": visit,
        "revision": revision,
        "status": "completed",
        "driver_id": "d1",
        "customer_id": "c1",
        "fence_id": "f1",
        "route_id": "r1",
        "stop_id": "s1",
        "arrived_at": "2026-09-21T14:18:56.604Z",
        "departed_at": "2026-09-21T14:28:56.604Z",
        "service_time_s": 600.0,
        "entered_at": None,
        "exited_at": None,
        "parking_search_s": 3.0,
        "arrived_between": ["2026-09-21T14:18:50.000Z", "2026-09-21T14:18:57.604Z"],
        "departed_between": ["2026-09-21T14:28:50.000Z", "2026-09-21T14:28:57.604Z"],
        "confidence": 0.9,
        "runner_up": {"customer_id": "c2", "confidence": 0.05},
        "shared_with": [],
        "share_method": None,
        "pings": 10,
        "max_gap_s": 5.0,
        "median_accuracy_m": None,
        "flags": ["gap_bridged"],
        "schema_version": 1,
        "engine_version": "0.1.0",
        "config_hash": "abc",
        **changes,
    }


def row(visit: str = "v1", revision: int = 1, **changes: Any) -> dict[str, Any]:
    return training_row(record(visit, revision, **changes), stop_facts(MORNING))


@pytest.fixture
def table(tmp_path: Path) -> str:
    return str(tmp_path / "table")


def test_a_new_table_holds_what_was_written_under_the_wire_names(table: str) -> None:
    dataset.upsert(table, [row()])
    visits = dataset.read(table)
    assert list(visits.columns) == TRAINING.names
    one = visits.iloc[0]
    assert (one["visit_id"], one["service_time_s"], one["schema_version"]) == ("v1", 600.0, "1")
    assert one["arrived_at"].isoformat() == "2026-09-21T14:18:56.604000+00:00"
    assert one["runner_up"] == {"customer_id": "c2", "confidence": 0.05}


def test_a_higher_revision_replaces_the_row_and_a_lower_one_changes_nothing(table: str) -> None:
    dataset.upsert(table, [row(revision=2, service_time_s=500.0)])
    dataset.upsert(table, [row(revision=1, service_time_s=100.0)])
    dataset.upsert(table, [row(revision=3, service_time_s=550.0)])
    assert dataset.read(table)[["revision", "service_time_s"]].to_numpy().tolist() == [[3, 550.0]]


def test_within_one_batch_the_highest_revision_holds(table: str) -> None:
    dataset.upsert(table, [row(revision=2, service_time_s=2.0), row(revision=1, service_time_s=1.0)])
    assert dataset.read(table)["service_time_s"].tolist() == [2.0]


def test_a_retracted_visit_is_gone_for_readers_and_no_late_revision_brings_it_back(table: str) -> None:
    dataset.upsert(table, [row("v1"), row("v2")])
    dataset.upsert(table, [row("v1", 2, status="retracted")])
    dataset.upsert(table, [row("v1", 1)])
    assert dataset.read(table)["visit_id"].tolist() == ["v2"]
    assert sorted(dataset.read(table, withdrawn=True)["status"]) == ["completed", "retracted"]


def test_a_batch_delivered_again_under_the_same_transaction_is_skipped(table: str) -> None:
    first = dataset.upsert(table, [row("v1"), row("v2")], "sink-pings-0", 10)
    again = dataset.upsert(table, [row("v1"), row("v2")], "sink-pings-0", 10)
    assert (first.written, first.skipped) == (2, False)
    assert (again.written, again.skipped, again.version) == (0, True, first.version)
    assert dataset.committed_version(table, "sink-pings-0") == 10
    assert dataset.committed_version(table, "sink-pings-1") is None


def test_each_partition_has_its_own_transactions(table: str) -> None:
    dataset.upsert(table, [row("v1")], "sink-0", 50)
    dataset.upsert(table, [row("v2")], "sink-1", 3)
    assert sorted(dataset.read(table)["visit_id"]) == ["v1", "v2"]
    assert (dataset.committed_version(table, "sink-0"), dataset.committed_version(table, "sink-1")) == (50, 3)


def test_a_table_that_is_not_there_has_no_committed_version(table: str) -> None:
    assert dataset.committed_version(table, "sink-0") is None


def test_a_rival_that_commits_in_between_makes_the_write_start_over(
    table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset.upsert(table, [row("v0")], "sink-0", 1)
    execute, rivals = dataset._execute, [5]

    def with_rival(*args: Any) -> None:
        if rivals:
            dataset.upsert(table, [row("v1")], "sink-0", rivals.pop())
        execute(*args)

    monkeypatch.setattr(dataset, "_execute", with_rival)
    ours = dataset.upsert(table, [row("v1")], "sink-0", 5)
    assert ours.skipped
    assert sorted(dataset.read(table)["visit_id"]) == ["v0", "v1"]


DELIVERIES = st.lists(
    st.tuples(st.integers(0, 3), st.integers(1, 4), st.sampled_from(["completed", "retracted"])),
    min_size=1,
    max_size=6,
)


@given(DELIVERIES, st.data())
@settings(
    max_examples=6,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_any_redelivery_in_any_batches_ends_with_the_highest_revisions(
    tmp_path_factory: pytest.TempPathFactory, log: list[tuple[int, int, str]], data: st.DataObject
) -> None:
    status = {(visit, revision): kind for visit, revision, kind in reversed(log)}
    log = [(visit, revision, status[visit, revision]) for visit, revision, _ in log]
    table = str(tmp_path_factory.mktemp("any") / "table")
    position = 0
    while position < len(log):
        start = data.draw(st.integers(0, position))  # a restart goes back
        end = data.draw(st.integers(position + 1, len(log)))
        batch = [row(f"v{v}", r, status=s, service_time_s=float(r)) for v, r, s in log[start:end]]
        dataset.upsert(table, batch, "sink-0", end)
        position = end
    last = {v: max(r for w, r, _ in log if w == v) for v, _, _ in log}
    expected = {f"v{v}": float(r) for v, r in last.items() if status[v, r] == "completed"}
    visits = dataset.read(table)
    assert dict(zip(visits["visit_id"], visits["service_time_s"], strict=True)) == expected
    assert len(visits) == len(expected)


def test_rows_that_break_expectations_are_quarantined_with_reasons_and_counted(table: str) -> None:
    bad = [
        row("v2", service_time_s=-5.0),
        row("v3", departed_at="2026-09-21T13:00:00.000Z"),
        row("v4", confidence=1.5, customer_id=""),
        row("v5", pings="many"),
    ]
    result = dataset.upsert(table, [row("v1"), *bad])
    assert (result.written, result.quarantined) == (1, 4)
    assert result.reasons == {
        "service_time_s: is not between 0 and 86400": 1,
        "departed_at: is before arrived_at": 1,
        "confidence: is not between 0 and 1": 1,
        "customer_id: is empty": 1,
        "pings: is no number": 1,
    }
    refused = dataset.quarantined(table)
    assert refused["visit_id"].tolist() == ["v2", "v3", "v4", "v5"]
    assert list(refused["reasons"][0]) == ["service_time_s: is not between 0 and 86400 (-5.0)"]
    assert json.loads(refused["row_json"][0])["service_time_s"] == -5.0
    assert dataset.read(table)["visit_id"].tolist() == ["v1"]


def test_a_refused_row_delivered_again_is_quarantined_once(table: str) -> None:
    for _ in range(2):
        dataset.upsert(table, [row("v1", confidence=7.0)])
    assert len(dataset.quarantined(table)) == 1


def test_a_refused_revision_withdraws_the_one_before_it(table: str) -> None:
    dataset.upsert(table, [row("v1"), row("v2")])
    dataset.upsert(table, [row("v1", 2, service_time_s=-1.0)])
    assert dataset.read(table)["visit_id"].tolist() == ["v2"]
    dataset.upsert(table, [row("v1", 3)])
    assert sorted(dataset.read(table)["visit_id"]) == ["v1", "v2"]


def test_a_value_of_another_type_is_quarantined_and_the_rest_is_written(table: str) -> None:
    result = dataset.upsert(table, [row("v1"), row("v2", flags=7)])
    assert (result.written, dict(result.reasons)) == (1, {"flags: is no list<item: string>": 1})


def test_an_earlier_version_can_be_read_again(table: str) -> None:
    first = dataset.upsert(table, [row("v1")]).version
    second = dataset.upsert(table, [row("v2")]).version
    assert dataset.read(table, version=first)["visit_id"].tolist() == ["v1"]
    assert sorted(dataset.read(table, version=second)["visit_id"]) == ["v1", "v2"]
    assert [v.version for v in dataset.versions(table)] == [0, 1, 2]


def test_compaction_keeps_the_rows_the_transactions_and_time_travel(table: str) -> None:
    for number in range(4):
        dataset.upsert(table, [row(f"v{number}")], "sink-0", number)
    assert dataset.compact(table) == 4
    assert len(dataset.read(table)) == 4
    assert dataset.committed_version(table, "sink-0") == 3
    assert len(dataset.read(table, version=2)) == 2


def test_a_table_written_before_a_column_existed_is_read_and_grows_the_column(table: str) -> None:
    names = [name for name in TRAINING.names if name not in {"wind_mps", "runner_up"}]
    old = pa.Table.from_pylist([row("v1")], schema=TRAINING).select(names)
    write_deltalake(table, old)
    assert dataset.read(table)["wind_mps"].isna().tolist() == [True]
    dataset.upsert(table, [row("v2")])
    visits = dataset.read(table).set_index("visit_id")
    assert visits.loc["v1", "runner_up"] is None
    assert visits.loc["v2", "runner_up"] == {"customer_id": "c2", "confidence": 0.05}


def test_a_column_that_a_newer_program_added_outlives_our_upserts(table: str) -> None:
    dataset.upsert(table, [row("v1")])
    newer = pa.Table.from_pylist([row("v2")], schema=TRAINING).append_column("mood", pa.array(["good"]))
    write_deltalake(table, newer, mode="append", schema_mode="merge")
    dataset.upsert(table, [row("v3"), row("v2", 2)])
    stored = DeltaTable(table).to_pyarrow_table().to_pylist()
    assert {r["visit_id"]: r["mood"] for r in stored} == {"v1": None, "v2": "good", "v3": None}


def test_forgetting_a_driver_leaves_no_row_in_any_file(table: str, tmp_path: Path) -> None:
    dataset.upsert(table, [row("v1", driver_id="gone"), row("v2"), row("v3", driver_id="gone", pings=-1)])
    dataset.upsert(table, [row("v4", driver_id="gone")])
    assert dataset.forget_driver(table, "gone") == 3
    assert dataset.read(table)["visit_id"].tolist() == ["v2"]
    assert len(dataset.quarantined(table)) == 0
    drivers = {d for f in tmp_path.rglob("*.parquet") for d in pq.read_table(f)["driver_id"].to_pylist()}
    assert drivers == {"d1"}


def test_forgetting_before_a_moment_keeps_what_came_later(table: str) -> None:
    from models.rows import moment

    later = row("v2", arrived_at="2026-09-23T14:18:56.604Z", departed_at="2026-09-23T14:28:56.604Z")
    dataset.upsert(table, [row("v1"), later])
    border = moment("2026-09-22T00:00:00.000Z")
    assert border is not None
    assert dataset.forget_before(table, border) == 1
    assert dataset.read(table)["visit_id"].tolist() == ["v2"]


def test_a_missing_table_or_version_is_named(table: str) -> None:
    with pytest.raises(NoTrainingData, match="is no training table"):
        dataset.read(table)
    dataset.upsert(table, [row()])
    with pytest.raises(NoTrainingData, match="has no version 99"):
        dataset.read(table, version=99)


def test_many_small_commits_are_merged_now_and_then(table: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset, "COMPACT_EVERY", 4)
    for number in range(5):
        dataset.upsert(table, [row(f"v{number}")], "sink-0", number)
    assert "OPTIMIZE" in [v.operation for v in dataset.versions(table)]
    assert len(DeltaTable(table).file_uris()) == 2
    assert len(dataset.read(table)) == 5
