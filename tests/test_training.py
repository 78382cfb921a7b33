"""Training: better than the baselines on days it never saw, and the same model for the same data."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from learning_town import QUICK, small_model, small_town

from models.errors import IncompatibleModel
from models.features import usable
from models.model import Model
from models.training import data_digest, train


def test_the_model_beats_the_rule_and_the_historical_mean_on_days_it_never_saw() -> None:
    errors = small_model().proof.mae_s
    assert errors["model"] < errors["rule"] - 30
    assert errors["model"] < 0.85 * errors["historical_mean"]


def test_the_model_comes_near_a_predictor_that_knows_the_law() -> None:
    proof = small_model().proof
    law_s = proof.stops["stop_id"].map(small_town().law_s).to_numpy()
    assert proof.mae_s["model"] < 1.25 * np.mean(np.abs(law_s - proof.actual_s))


def test_p90_covers_about_nine_in_ten() -> None:
    assert small_model().proof.p90_coverage == pytest.approx(0.9, abs=0.06)


def test_the_same_data_settings_and_seed_give_the_same_bytes(tmp_path: Path) -> None:
    shuffled = (
        small_town().frame().sample(frac=1, random_state=5).sort_values("arrived_at", ignore_index=True)
    )
    again = train(shuffled, QUICK).model
    small_model().model.save(tmp_path / "one")
    again.save(tmp_path / "two")
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert names == ["main.txt", "model.json", "scale.txt", "work.txt"]
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert again.fingerprint == small_model().model.fingerprint


def test_another_seed_gives_another_model() -> None:
    other = train(small_town().frame(), replace(QUICK, seed=8, trials=1)).model
    assert other.fingerprint != small_model().model.fingerprint


def test_a_saved_model_predicts_what_it_predicted_before(tmp_path: Path) -> None:
    model, visits = small_model().model, usable(small_town().frame())
    model.save(tmp_path)
    loaded = Model.load(tmp_path)
    features = model.features(visits.tail(50), model.histories(visits))
    np.testing.assert_array_equal(loaded.features(visits.tail(50), loaded.histories(visits)), features)
    for name in ("p50_s", "p90_s", "expected_s", "sd_s"):
        np.testing.assert_array_equal(
            getattr(loaded.predict(features), name), getattr(model.predict(features), name)
        )
    assert loaded.fingerprint == model.fingerprint


def test_a_model_of_other_features_is_refused(tmp_path: Path) -> None:
    small_model().model.save(tmp_path)
    about = tmp_path / "model.json"
    about.write_text(about.read_text().replace('"order_weight_kg"', '"moon_phase"'))
    with pytest.raises(IncompatibleModel, match="train again"):
        Model.load(tmp_path)


def test_contributions_add_up_to_the_median() -> None:
    model, visits = small_model().model, usable(small_town().frame())
    features = model.features(visits.tail(40), model.histories(visits))
    parts_s = model.contributions_s(features)
    np.testing.assert_allclose(parts_s.sum(axis=1), model.predict(features).p50_s, rtol=1e-6)


def test_an_interrupted_search_goes_on_and_ends_the_same(tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path / 'studies.db'}"
    config = replace(QUICK, trials=3)

    class Stopped(Exception):
        pass

    def stop_after_the_first(what: str, done: int, _best: float) -> None:
        if what == "Tuning" and done == 1:
            raise Stopped

    with pytest.raises(Stopped):
        train(small_town().frame(), config, storage, stop_after_the_first)
    resumed = []
    one = train(small_town().frame(), config, storage, lambda what, done, _: resumed.append((what, done)))
    assert [done for what, done in resumed if what == "Tuning"] == [2, 3]
    assert one.model.fingerprint == train(small_town().frame(), config).model.fingerprint


def test_the_digest_of_the_data_ignores_order_and_sees_every_change() -> None:
    visits = small_town().frame()
    assert data_digest(visits) == data_digest(visits.iloc[::-1])
    changed = visits.copy()
    changed.loc[3, "service_time_s"] += 0.1
    assert data_digest(changed) != data_digest(visits)
    corrected = visits.assign(floor=visits["floor"] + 1)
    assert data_digest(corrected) != data_digest(visits)
