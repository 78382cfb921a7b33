"""Replays of data sets spread over processes: the records of one process, from Parquet folders and Delta."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.e2e.deployment import lines_of

GOAL = Path(__file__).parents[1] / "simulation" / "data" / "goal"
FILES = ("--fences", str(GOAL / "fences.geojson"), "--routes", str(GOAL / "routes.jsonl"))


def replayed(pings: Path, out: Path, *options: str, status: int = 0) -> Any:
    words = ["replay", *FILES, "--pings", str(pings), "--out", str(out), "--json", *options]
    done = subprocess.run(
        [sys.executable, "-m", "streams.cli.main", *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == status, done.stderr
    return json.loads(done.stdout) if status == 0 else done.stderr


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    lines = lines_of(GOAL / "pings.jsonl.gz")[:3_000]
    pings = [json.loads(line) for line in lines]
    return pd.DataFrame(sorted(pings, key=lambda p: p["ts"])).assign(day=lambda f: f["ts"].str[:10])


@pytest.fixture(scope="module")
def one_process(frame: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], Any]:
    directory = tmp_path_factory.mktemp("one")
    path = directory / "pings.parquet"
    frame.drop(columns="day").to_parquet(path)
    told = replayed(path, directory / "out.jsonl")
    return sorted((directory / "out.jsonl").read_text().splitlines()), told


def test_folders_by_day_and_driver_give_the_records_of_one_process(
    frame: pd.DataFrame, one_process: tuple[list[str], Any], tmp_path: Path
) -> None:
    pq.write_to_dataset(
        pa.Table.from_pandas(frame, preserve_index=False), tmp_path / "set", ["day", "driver_id"]
    )
    told = replayed(tmp_path / "set", tmp_path / "two.jsonl", "--processes", "2")
    assert sorted((tmp_path / "two.jsonl").read_text().splitlines()) == one_process[0]
    assert len(one_process[0]) > 50
    assert told == one_process[1]


def test_a_delta_table_gives_them_too_with_bad_rows_told_and_the_same_bytes_each_time(
    frame: pd.DataFrame, one_process: tuple[list[str], Any], tmp_path: Path
) -> None:
    from deltalake import write_deltalake

    bad = frame.iloc[:2].assign(lat=147.0)
    write_deltalake(tmp_path / "table", pd.concat([frame, bad]).sample(frac=1, random_state=3))
    for out, processes in (("a", "1"), ("b", "2")):
        rejects = ("--rejects", str(tmp_path / f"{out}.rejects"))
        told = replayed(tmp_path / "table", tmp_path / f"{out}.jsonl", "--processes", processes, *rejects)
        assert told["rejected"] == 2
    assert sorted((tmp_path / "a.jsonl").read_text().splitlines()) == one_process[0]
    assert (tmp_path / "a.jsonl").read_bytes() == (tmp_path / "b.jsonl").read_bytes()
    letters = [json.loads(line) for line in (tmp_path / "a.rejects").read_text().splitlines()]
    assert [letter["field"] for letter in letters] == ["lat", "lat"]


def test_what_is_no_data_set_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    said = replayed(tmp_path / "empty", tmp_path / "out.jsonl", status=2)
    assert "empty" in said.splitlines()[-1]
    assert "Traceback" not in said
    assert not (tmp_path / "out.jsonl").exists()


def test_a_scheduler_that_does_not_answer_is_told_in_one_line(frame: pd.DataFrame, tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    frame.to_parquet(tmp_path / "set" / "a.parquet")
    said = replayed(tmp_path / "set", tmp_path / "out.jsonl", "--scheduler", "tcp://127.0.0.1:9", status=1)
    assert "no Dask scheduler answers at tcp://127.0.0.1:9" in said.splitlines()[-1]
