"""The registry: what is kept, who is champion, and the way back."""

from pathlib import Path

import pytest
from learning_town import registry_folder, small_model

from models.errors import NoSuchModel, RegistryUnusable
from models.registry import Passport, Registry

FEATURES = ({"name": "floor", "kind": "number"}, {"name": "region", "kind": "category"})
PASSPORT = Passport("7:abc", "0.1.0+f00", {"trials": 2}, {"mae_model_s": 41.5}, FEATURES)


@pytest.fixture
def registry(request: pytest.FixtureRequest) -> Registry:
    return Registry(
        registry_folder(), name=request.node.name
    )  # one database, a model of its own for each test


def test_a_registered_model_comes_back_bit_by_bit_and_is_the_challenger(registry: Registry) -> None:
    entry = registry.register(small_model().model, PASSPORT)
    assert (entry.version, entry.aliases, entry.metrics["mae_model_s"]) == (1, ("challenger",), 41.5)
    model, loaded = registry.load("challenger")
    assert model.fingerprint == small_model().model.fingerprint == loaded.fingerprint


def test_everything_that_made_a_model_is_kept_beside_it(registry: Registry) -> None:
    registry.register(small_model().model, PASSPORT)
    kept = registry.passport(1)
    assert (kept["data_version"], kept["code_version"], kept["config"]) == (
        "7:abc",
        "0.1.0+f00",
        {"trials": 2},
    )
    assert kept["features"] == [*FEATURES]
    assert kept["metrics"] == {"mae_model_s": 41.5}


def test_promoting_moves_the_champion_to_previous_and_rolling_back_swaps_them(registry: Registry) -> None:
    for _ in range(3):
        registry.register(small_model().model, PASSPORT)
    registry.promote(1)
    registry.promote("challenger")
    assert [(e.version, e.aliases) for e in registry.entries()] == [
        (3, ("champion",)),
        (2, ()),
        (1, ("previous",)),
    ]
    assert registry.rollback().version == 1
    assert registry.load()[1].version == 1
    assert registry.entry("previous").version == 3
    assert registry.rollback().version == 3


def test_promoting_the_champion_again_changes_nothing(registry: Registry) -> None:
    registry.register(small_model().model, PASSPORT)
    registry.promote(1)
    registry.promote(1)
    assert registry.entry(1).aliases == ("champion",)
    assert not registry.has("previous")


def test_what_is_not_there_is_said_not_to_be_there(registry: Registry) -> None:
    with pytest.raises(NoSuchModel, match="has no champion model yet"):
        registry.load()
    with pytest.raises(NoSuchModel, match="has no model 12"):
        registry.promote(12)
    with pytest.raises(NoSuchModel, match="no previous champion to go back to"):
        registry.rollback()


def test_another_process_sees_the_same_registry(registry: Registry) -> None:
    registry.register(small_model().model, PASSPORT)
    registry.promote(1)
    assert Registry(registry_folder(), registry.name).entry("champion").version == 1
    database = f"sqlite:///{Path(registry_folder()) / 'mlflow.db'}"
    assert Registry(database, registry.name).load()[1].fingerprint == small_model().model.fingerprint


def test_a_file_address_is_refused_with_advice() -> None:
    with pytest.raises(RegistryUnusable, match="without file:"):
        Registry("file:///tmp/models")


def test_a_place_that_cannot_be_a_directory_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(RegistryUnusable, match="taken"):
        Registry(str(tmp_path / "taken"))
