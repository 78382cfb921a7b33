"""Training over a Dask cluster: the model of one process, but for sums in another order."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from learning_town import small_town

from models import dataset
from models.regional import AnyModel
from models.registry import Registry


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> str:
    uri = str(tmp_path_factory.mktemp("spreading") / "table")
    dataset.upsert(uri, small_town().rows)
    return uri


def trained(table: str, registry: Path, *options: str) -> tuple[Any, AnyModel]:
    """What the command prints, and the model that it registered."""
    words = ["train", "--table", table, "--registry", str(registry), "--trials", "1", "--threads", "1"]
    done = subprocess.run(
        [sys.executable, "-m", "streams.cli.main", *words, "--json", *options],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert {line.split(":")[0] for line in done.stderr.splitlines()} == {"Training"}  # and nothing of ports
    return json.loads(done.stdout), Registry(str(registry)).load("champion")[0]


def test_a_model_fitted_over_a_cluster_errs_as_that_of_one_process(table: str, tmp_path: Path) -> None:
    alone, one = trained(table, tmp_path / "one")
    spread, two = trained(table, tmp_path / "two", "--scheduler", "local")
    assert spread["mae_s"]["model"] == pytest.approx(alone["mae_s"]["model"], rel=0.03)
    assert spread["p90_coverage"] == pytest.approx(alone["p90_coverage"], abs=0.03)
    assert spread["promoted"]
    assert (one.notes["fitted"], two.notes["fitted"]) == ("in one process", "over a cluster")
    assert one.spec == two.spec
    two.save(tmp_path / "files")
    texts = {name: (tmp_path / "files" / f"{name}.txt").read_text() for name in ("work", "main", "scale")}
    assert all("[tree_learner: data]" in text for text in texts.values())
    assert not any("machines" in text or "listen_port" in text for text in texts.values())
