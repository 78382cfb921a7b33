"""SHAP values from tables equal LightGBM's own."""

import numpy as np
import pytest
from learning_town import small_model, small_town

from models import shapley
from models.boosting import lightgbm
from models.features import usable


def trained(missing: float, leaves: int = 12, rounds: int = 25) -> tuple[object, np.ndarray]:
    """A booster on numbers, gaps and two categories, and rows to explain (some with values never seen)."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=(1_500, 6))
    x[:, 4], x[:, 5] = rng.integers(0, 9, 1_500), rng.integers(0, 3, 1_500)
    y = x[:, 0] * 3 + (x[:, 1] > 0) * x[:, 2] + np.isin(x[:, 4], (2, 5)) * 2 + rng.normal(size=1_500) / 5
    x[rng.random(x.shape) < missing] = np.nan
    data = lightgbm().Dataset(x, y, categorical_feature=[4, 5])
    settings = {
        "num_leaves": leaves,
        "verbosity": -1,
        "min_data_per_group": 5,
        "min_data_in_leaf": 5,
        "cat_smooth": 1.0,
        "seed": 1,
    }
    booster = lightgbm().train({**settings, "objective": "regression"}, data, rounds)
    fresh = x[:400].copy()
    fresh[:20, 4] = 77
    fresh[20:40] = np.nan
    return booster, fresh


@pytest.mark.parametrize("missing", [0.0, 0.15])
def test_they_equal_those_of_the_library(missing: float) -> None:
    booster, rows = trained(missing)
    found = shapley.shap_values(shapley.tables(booster), rows)
    np.testing.assert_allclose(found, booster.predict(rows, pred_contrib=True), atol=1e-9)  # type: ignore[attr-defined]


def test_they_add_up_to_the_prediction() -> None:
    booster, rows = trained(0.1)
    found = shapley.shap_values(shapley.tables(booster), rows)
    np.testing.assert_allclose(found.sum(axis=1), booster.predict(rows), atol=1e-9)  # type: ignore[attr-defined]


def test_threads_share_the_rows_without_changing_a_value() -> None:
    booster, rows = trained(0.1)
    made, many = shapley.tables(booster), np.tile(rows, (8, 1))
    np.testing.assert_array_equal(shapley.shap_values(made, many, 3), shapley.shap_values(made, many, 1))


def test_a_tree_with_too_many_splits_is_refused() -> None:
    with pytest.raises(shapley.TooLarge):
        shapley.tables(trained(0.0, leaves=90, rounds=1)[0])


def test_a_models_explanation_is_the_same_either_way() -> None:
    model, visits = small_model().model, usable(small_town().frame())
    past = model.histories(visits)
    _, many = model.explain(visits, past)  # enough for tables
    _, few = model.explain(visits.head(20), past)
    np.testing.assert_allclose(many[:20], few, atol=1e-6)
