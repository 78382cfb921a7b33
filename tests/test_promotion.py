"""From a table to a champion: the gate's way in and the way back."""

from dataclasses import replace
from pathlib import Path

import pytest
from learning_town import DAY_MS, QUICK, START_MS, registry_folder, small_town

from models import dataset
from models.errors import NoTrainingData
from models.gate import GateRules
from models.promotion import _rivalry, train_on_table
from models.registry import Registry
from models.rows import from_ms
from models.training import train


@pytest.fixture
def registry(request: pytest.FixtureRequest) -> Registry:
    return Registry(registry_folder(), name=request.node.name)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> str:
    uri = str(tmp_path_factory.mktemp("promotion") / "table")
    before = from_ms(START_MS + 18 * DAY_MS)
    dataset.upsert(uri, [r for r in small_town().rows if r["as_of"] < before])
    dataset.upsert(uri, [r for r in small_town().rows if r["as_of"] >= before])
    return uri


def test_a_first_model_that_beats_the_baselines_takes_over(table: str, registry: Registry) -> None:
    outcome = train_on_table(table, registry, QUICK)
    assert outcome.promoted
    assert registry.entry("champion").version == 1
    kept = registry.passport("champion")
    assert kept["data_version"].startswith("2:")
    assert kept["code_version"].startswith("0.1.0+")
    assert kept["metrics"]["mae_model_s"] == outcome.trained.proof.mae_s["model"]
    assert {"name": "stairs", "group": "place", "kind": "number", "rising": True} in kept["features"]
    assert [f["name"] for f in kept["features"]] == outcome.trained.model.spec.names
    assert kept["config"]["tuned"]["learning_rate"] > 0
    assert Path(kept["report"].removeprefix("file://")).is_file()


def test_a_model_that_the_gate_holds_back_stays_challenger(table: str, registry: Registry) -> None:
    outcome = train_on_table(table, registry, QUICK, rules=GateRules(least_gain=0.9))
    assert not outcome.promoted
    assert registry.entry(1).aliases == ("challenger",)
    assert not registry.has("champion")


def test_the_champion_is_compared_on_the_same_visits(table: str, registry: Registry) -> None:
    train_on_table(table, registry, replace(QUICK, trials=1))
    second = train_on_table(table, registry, replace(QUICK, trials=1))
    assert second.champion_mae_s == pytest.approx(second.trained.proof.mae_s["model"])
    assert not second.promoted


def test_visits_that_the_champion_learned_from_are_left_out(table: str, registry: Registry) -> None:
    train_on_table(table, registry, replace(QUICK, trials=1, newest_days=3))  # learned until day 21
    visits = dataset.read(table)
    proof = train(visits, replace(QUICK, trials=1)).proof  # of day 18 on
    fair, champion_s = _rivalry(registry, visits, proof)
    assert (len(proof.actual_s), len(fair.actual_s)) == (288, 144)
    assert fair.stops["as_of"].min() == from_ms(START_MS + 21 * DAY_MS + 7 * 3_600_000)
    assert champion_s is not None
    assert len(champion_s) == 144


def test_an_empty_table_trains_nothing(tmp_path: Path, registry: Registry) -> None:
    uri = str(tmp_path / "table")
    dataset.upsert(uri, [])
    with pytest.raises(NoTrainingData, match="holds no visits yet"):
        train_on_table(uri, registry, QUICK)
    assert registry.entries() == []
